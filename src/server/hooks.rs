//! `POST /api/v1/hooks/{pipeline}`: a forge asks for a run. The only call that needs no token: its signature stands for it.
//!
//! The guard's other rules hold: the host must be ours, and a page of another site is refused before it comes here. What is
//! read of somebody who has proved nothing yet is bounded in size and time, and large bodies come one after the other.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::App;
use super::body::read_up_to;
use super::guard::{Client, Slowdown, Verdict};
use crate::hooks::{Delivery, Secret, Signature, payload};
use crate::model::{Code, Problem, Timestamp};
use crate::service::HookAnswer;

/// The largest body that is taken: GitHub sends none that is larger (docs.github.com, "Webhook events and payloads").
const MAX_BODY: usize = 25 << 20;

/// How many KiB all bodies together may take: what people who prove nothing may fill the memory with.
const ROOM: usize = 64 << 10;

/// How long a body may take. Forges wait no longer for their answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all hooks share.
#[derive(Debug)]
pub struct Door {
    slowdown: Slowdown,
    /// In KiB.
    room: Semaphore,
}

impl Default for Door {
    fn default() -> Self {
        Self { slowdown: Slowdown::default(), room: Semaphore::new(ROOM) }
    }
}

/// `POST /api/v1/hooks/{pipeline}`
pub async fn hook(
    State(app): State<App>,
    name: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Result<Response, Response> {
    let Ok(Path(name)) = name else {
        let problem = Problem::new(Code::HookNotFound, "There is no such hook: its name is not UTF-8.");
        return Err(problem.into_response());
    };
    let (pipeline, hook, secret) = app.service.hook(&name).map_err(Problem::into_response)?;
    let client = Client::of(&request);
    let (parts, body) = request.into_parts();
    let headers = Arc::new(parts.headers);
    let refuse = |right: bool| refuse_unless(&app.hooks, client, right, &name);

    // What shows nothing, or a wrong secret, is not read.
    let judged = judge(&headers, &secret, None);
    if judged == Some(false) {
        refuse(false).await?;
    }
    let (mut body, _room) = read(&app.hooks, &headers, body).await.map_err(Problem::into_response)?;
    let strong = secret.is_strong();
    if judged.is_none() {
        let (headers, given) = (Arc::clone(&headers), body.clone());
        // Some time for a body of many megabytes: not on a thread that others wait for.
        let judged = tokio::task::spawn_blocking(move || judge(&headers, &secret, Some(&given)));
        let right = judged.await.is_ok_and(|judged| judged == Some(true));
        if !right {
            // Not kept while its sender waits.
            body = Bytes::new();
        }
        // A signature by a strong secret cannot be guessed: who fails at the forge's address does not lock it out.
        if !(right && strong) {
            refuse(right).await?;
        }
    } else {
        refuse(true).await?;
    }

    let delivery = Delivery::of(&|name| one(&headers, name));
    let payload = || {
        payload::read(one(&headers, "content-type"), &body)
            .map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))
    };
    match app.service.deliver(pipeline, &hook, &delivery, &body, payload).await.map_err(Problem::into_response)? {
        HookAnswer::Ignored(why) => {
            Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "ignored": why }))).into_response())
        }
        HookAnswer::Run(run, new) => {
            let location = [(header::LOCATION, format!("/api/v1/runs/{}", run.id))];
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, location, Json(run)).into_response())
        }
    }
}

/// The value of a header that is there once and is text.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (None | Some(_), _) => None,
    }
}

/// Whether the request proves that its sender knows the secret. `None` if that takes the body, which is not there yet.
fn judge(headers: &HeaderMap, secret: &Secret, body: Option<&[u8]>) -> Option<bool> {
    match (Signature::of(&|name| one(headers, name)), body) {
        (None, _) => Some(false),
        (Some(signature), None) if !signature.is_token() => None,
        (Some(signature), body) => Some(signature.proves(secret, body.unwrap_or_default(), Timestamp::now())),
    }
}

/// Lets a right signature pass; says of a wrong one that it is, later each time, as of wrong tokens.
async fn refuse_unless(door: &Door, client: Client, right: bool, name: &str) -> Result<(), Response> {
    match door.slowdown.judge(client, right, Instant::now()) {
        Verdict::Right => Ok(()),
        Verdict::Wrong(wait) => {
            tracing::warn!(%client, pipeline = name, "a call of a hook with a wrong signature or none");
            tokio::time::sleep(wait).await;
            let detail = "Sign the request with the hook's secret: `X-Hub-Signature-256`, `X-Gitea-Signature`, `X-Gitlab-Token` \
                          or `webhook-signature`.";
            let challenge = [(header::WWW_AUTHENTICATE, "Signature realm=\"runtrail hooks\"")];
            Err((challenge, Problem::new(Code::BadSignature, detail)).into_response())
        }
        Verdict::Busy(wait) => {
            let seconds = wait.as_secs() + 1;
            let detail = format!("Too many wrong signatures came from your address. Try again in {seconds} s.");
            let later = [(header::RETRY_AFTER, seconds.to_string())];
            Err((later, Problem::new(Code::TooManyAttempts, detail)).into_response())
        }
    }
}

async fn read<'a>(
    door: &'a Door,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<(Bytes, Option<SemaphorePermit<'a>>), Problem> {
    let size = one(headers, "content-length").and_then(|size| size.parse::<u64>().ok());
    let reading = async {
        // Without a length it may be any; one that is too large is refused when it is read.
        let most = size.unwrap_or(u64::MAX).min(MAX_BODY as u64);
        let room = door.room.acquire_many(u32::try_from(most / 1024 + 1).unwrap_or(u32::MAX)).await.ok();
        Ok((read_up_to(body, MAX_BODY).await?, room))
    };
    let late = |_| Problem::new(Code::InvalidBody, "The body did not arrive in time.");
    tokio::time::timeout(PATIENCE, reading).await.map_err(late)?
}
