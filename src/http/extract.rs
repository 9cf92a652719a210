//! Extractors and query parameters that several handlers use.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query};
use axum::http::request::Parts;

use crate::access::Actor;
use crate::access::Principal;
use crate::model::{Problem, ProblemCode};

/// The result of a handler. A [`Problem`] becomes an `application/problem+json` response.
pub type ApiResult<T> = Result<T, Problem>;

/// A path parameter, or why it could not be decoded.
pub type PathResult<T> = Result<Path<T>, PathRejection>;

/// The query parameters, or why they could not be decoded.
pub type QueryResult = Result<Query<HashMap<String, String>>, QueryRejection>;

/// The run's id in the path, not parsed yet.
pub struct RunIdPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RunIdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(ProblemCode::RunNotFound, "There is no such run: its id is not UTF-8."))?;
        Ok(Self(id))
    }
}

/// Who makes a request through the API.
pub struct Caller(pub Actor);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        // The guard adds it to every request.
        let principal = parts.extensions.get::<Principal>();
        let principal =
            principal.ok_or_else(|| Problem::new(ProblemCode::Internal, "The request came past the guard."))?;
        Ok(Self(principal.actor("the API", peer)))
    }
}

/// The query parameters of a request.
pub struct QueryParams(HashMap<String, String>);

impl QueryParams {
    /// # Errors
    /// [`ProblemCode::BadRequest`]: the query is malformed.
    pub fn read(query: QueryResult) -> ApiResult<Self> {
        let query = query.map_err(|error| Problem::new(ProblemCode::BadRequest, error.body_text()))?;
        Ok(Self(query.0))
    }

    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Lists treat an empty parameter as absent, since forms send empty fields.
    pub fn take_non_empty(&mut self, name: &str) -> Option<String> {
        self.take(name).filter(|value| !value.is_empty())
    }

    /// A parameter that is the number of an attempt.
    ///
    /// # Errors
    /// [`ProblemCode::BadRequest`]: it is not a whole number of at least 1.
    pub fn take_attempt(&mut self, name: &str) -> ApiResult<Option<u32>> {
        let error =
            |text: &str| Problem::new(ProblemCode::BadRequest, format!("`{text}` is no attempt; they count from 1."));
        let read = |text: &str| text.parse().ok().filter(|&attempt| attempt > 0);
        self.take_non_empty(name).map(|text| read(&text).ok_or_else(|| error(&text))).transpose()
    }
}

/// Reads the parameter `limit`. Its bounds depend on the list, so the use cases check them.
///
/// # Errors
/// [`ProblemCode::BadRequest`]: it is not a whole number.
pub fn parse_limit(limit: Option<String>) -> ApiResult<Option<u32>> {
    let error =
        |text: &str| Problem::new(ProblemCode::BadRequest, format!("The limit `{text}` is not a whole number."));
    limit.map(|text| text.parse().map_err(|_| error(&text))).transpose()
}
