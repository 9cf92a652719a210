//! Reading a request's body, bounded.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use crate::model::{Code, Problem};

/// The largest body a valid request can have, with room to spare.
const MAX_BODY: usize = 256 * 1024;

/// How much of a body that is too large is read and forgotten.
const MOST_READ: usize = 8 << 20;

/// The whole body of a call.
///
/// # Errors
/// As [`read_up_to`].
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    read_up_to(body, MAX_BODY).await
}

/// The whole body, if it has at most so many bytes. One that is larger is read on all the same for [`MOST_READ`]: a client that
/// is cut off while it still sends never sees the answer.
///
/// # Errors
/// [`Code::BodyTooLarge`]; [`Code::InvalidBody`] if it did not arrive whole.
pub async fn read_up_to(body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    let mut size = 0;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::new(Code::InvalidBody, "The body did not arrive whole."))?;
        size += piece.len();
        if size <= most {
            bytes.extend_from_slice(&piece);
        } else if size - most > MOST_READ {
            break;
        }
    }
    if size > most {
        return Err(Problem::new(Code::BodyTooLarge, format!("A body has at most {most} bytes.")));
    }
    Ok(bytes.into())
}

/// The body as a JSON object; `None` if there is nothing in it.
///
/// # Errors
/// As [`read`]; [`Code::InvalidBody`] if it is no JSON object, or not the one that the call takes.
pub async fn read_json<T: DeserializeOwned>(body: Body) -> Result<Option<T>, Problem> {
    let bytes = read(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let fault = |error| Problem::new(Code::InvalidBody, format!("The body is not what this call takes: {error}."));
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(fault)?;
    if !value.is_object() {
        return Err(Problem::new(Code::InvalidBody, "The body is not a JSON object."));
    }
    serde_json::from_value(value).map(Some).map_err(fault)
}

/// Bounds the bodies of the server functions, which read them without asking.
pub async fn bounded(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read(body).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(problem) => problem.into_response(),
    }
}
