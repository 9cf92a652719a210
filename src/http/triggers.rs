//! The JSON API of schedules and deliveries.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::App;
use super::api::{Answer, Caller, QueryMap, read_limit, read_query};
use super::body::read_json;
use crate::model::trigger::{DeliveryFilter, DeliveryPage, DeliveryResult, ScheduleList, ScheduleView};
use crate::model::{Problem, ProblemCode};

/// A pipeline and the name of one of its schedules.
type SchedulePath = Result<Path<(String, String)>, axum::extract::rejection::PathRejection>;

/// What a pause is asked for with.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PauseBody {
    /// Why, for those who find it paused.
    reason: String,
}

fn read_path(path: SchedulePath) -> Answer<(String, String)> {
    let fault = |_| Problem::new(ProblemCode::ScheduleNotFound, "There is no such schedule: its name is not UTF-8.");
    path.map(|Path(path)| path).map_err(fault)
}

/// `GET /api/v1/deliveries`
pub async fn deliveries(State(app): State<App>, query: QueryMap) -> Answer<Json<DeliveryPage>> {
    let mut query = read_query(query)?;
    let mut take = |name: &str| query.remove(name).filter(|value| !value.is_empty());
    let result = take("result").map(|word| {
        let words = DeliveryResult::ALL.map(DeliveryResult::as_str).join(", ");
        let fault = || Problem::new(ProblemCode::BadRequest, format!("`{word}` is no result; they are {words}."));
        DeliveryResult::parse(&word).ok_or_else(fault)
    });
    let (result, limit) = (result.transpose()?, read_limit(take("limit"))?);
    let filter = DeliveryFilter { pipeline: take("pipeline"), result, limit, before: take("before") };
    app.service.deliveries(&filter).await.map(Json)
}

/// `GET /api/v1/schedules`
pub async fn schedules(State(app): State<App>) -> Answer<Json<ScheduleList>> {
    app.service.schedules().await.map(Json)
}

/// `POST /api/v1/schedules/pause`
pub async fn pause_all(State(app): State<App>, Caller(by): Caller, request: Request) -> Answer<Json<ScheduleList>> {
    let PauseBody { reason } = read_json(request).await?.unwrap_or_default();
    app.service.pause_schedules(&by, &reason).await.map(Json)
}

/// `POST /api/v1/schedules/resume`
pub async fn resume_all(State(app): State<App>, Caller(by): Caller) -> Answer<Json<ScheduleList>> {
    app.service.resume_schedules(&by).await.map(Json)
}

/// `POST /api/v1/schedules/{pipeline}/{name}/pause`
pub async fn pause(
    State(app): State<App>,
    path: SchedulePath,
    Caller(by): Caller,
    request: Request,
) -> Answer<Json<ScheduleView>> {
    let (pipeline, name) = read_path(path)?;
    let PauseBody { reason } = read_json(request).await?.unwrap_or_default();
    app.service.pause_schedule(&pipeline, &name, &by, &reason).await.map(Json)
}

/// `POST /api/v1/schedules/{pipeline}/{name}/resume`
pub async fn resume(State(app): State<App>, path: SchedulePath, Caller(by): Caller) -> Answer<Json<ScheduleView>> {
    let (pipeline, name) = read_path(path)?;
    app.service.resume_schedule(&pipeline, &name, &by).await.map(Json)
}

/// `POST /api/v1/schedules/{pipeline}/{name}/run`
pub async fn run(State(app): State<App>, path: SchedulePath, Caller(by): Caller) -> Answer<Response> {
    let (pipeline, name) = read_path(path)?;
    let (run, is_new) = app.service.run_schedule(&pipeline, &name, &by).await?;
    let location = [(header::LOCATION, format!("/api/v1/runs/{}", run.id))];
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, location, Json(run)).into_response())
}
