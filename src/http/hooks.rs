//! `POST /api/v1/hooks/{pipeline}`: a forge asks for a run. The only call that needs no token: its signature stands for it.
//!
//! The guard's other rules hold: the host must be ours, and a page of another site is refused before it comes here. What is
//! read of somebody who has proved nothing yet is bounded in size and time (`hook_body.rs`). Every call has its place in the list
//! of deliveries: those without the secret are counted (`refusals.rs`), the others are written down by the service.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::Instant;

use super::App;
use super::guard::{Client, Slowdown, Verdict};
use super::hook_body::{BodyRoom, Held, Sender};
use super::refusals::Refusals;
use crate::base;
use crate::hooks::{Delivery, KeyBy, Secret, Signature, payload};
use crate::model::{Hook, Pipeline, Problem, ProblemCode, Run, Timestamp};
use crate::runs::{HookAnswer, told_again};
use crate::store::SenderTrust;

/// What all hooks share.
#[derive(Debug, Default)]
pub struct Door {
    slowdown: Slowdown,
    room: BodyRoom,
    refusals: Arc<Refusals>,
}

impl Door {
    fn sender(&self, client: Client) -> Sender {
        if self.slowdown.is_proven(client) {
            Sender::Known
        } else if self.slowdown.is_busy(client, Instant::now()) {
            Sender::Suspect
        } else {
            Sender::Stranger
        }
    }
}

/// A run that was asked for before by the same delivery.
#[derive(Serialize)]
struct Again {
    #[serde(flatten)]
    run: Run,
    /// What became of it, and how to run it again.
    message: String,
    /// The run's page.
    page: String,
    /// The call that runs it again, if it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun: Option<String>,
}

/// `POST /api/v1/hooks/{pipeline}`
pub async fn hook(
    State(app): State<App>,
    name: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Result<Response, Response> {
    // A name that is not UTF-8 is no hook's.
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let client = Client::of(&request);
    let (parts, body) = request.into_parts();
    let headers = Arc::new(parts.headers);
    let delivery = Delivery::of(&|name| one(&headers, name));
    let found = app.service.hook(&name);
    let no_hook = found.as_ref().err().filter(|problem| problem.code == ProblemCode::HookNotFound).cloned();
    let call = Call { app: &app, client, name: &name, delivery: &delivery, no_hook };
    let (pipeline, hook, secret) = match found {
        Ok(found) => found,
        // Nobody without a secret finds out which hooks there are: answers, and how long they take, are the same.
        Err(_) if call.no_hook.is_some() => {
            let proved = call.prove(&headers, Secret::unknown(), body).await;
            return Err(proved.err().unwrap_or_else(|| bad_signature().into_response()));
        }
        Err(problem) => {
            call.note(&problem);
            return Err(problem.into_response());
        }
    };
    let (body, _held) = call.prove(&headers, secret, body).await?;
    call.deliver(&headers, pipeline, &hook, &body).await.map_err(Problem::into_response)
}

/// One call of a hook.
struct Call<'a> {
    app: &'a App,
    client: Client,
    name: &'a str,
    delivery: &'a Delivery,
    /// Set if there is no such hook: what the operator is told, and the caller is not.
    no_hook: Option<Problem>,
}

impl<'a> Call<'a> {
    /// Notes a call that proved nothing.
    fn note(&self, problem: &Problem) {
        let (trust, problem) = match &self.no_hook {
            Some(no_hook) => (SenderTrust::Unknown, no_hook),
            None => (SenderTrust::Unsigned, problem),
        };
        self.app.hooks.refusals.note(&self.app.service, trust, self.name, self.delivery, problem);
    }

    /// The body of a call whose sender knows the secret, and what it takes of the room.
    async fn prove(
        &self,
        headers: &Arc<HeaderMap>,
        secret: Secret,
        body: axum::body::Body,
    ) -> Result<(Bytes, Held<'a>), Response> {
        let door = &self.app.hooks;
        // What shows nothing, or a wrong secret, is not read.
        let judged = judge(headers, &secret, None);
        if judged == Some(false) {
            return Err(self.refuse(false).await.err().unwrap_or_else(|| bad_signature().into_response()));
        }
        if judged == Some(true) {
            self.refuse(true).await?;
        }
        let sender = if judged == Some(true) { Sender::Known } else { door.sender(self.client) };
        let size = one(headers, "content-length").and_then(|size| size.parse::<u64>().ok());
        let read = door.room.read(sender, size, body).await;
        let (body, held) = read.map_err(|problem| {
            self.note(&problem);
            problem.into_response()
        })?;
        if judged == Some(true) {
            return Ok((body, held));
        }
        let (headers, given, is_strong) = (Arc::clone(headers), body.clone(), secret.is_strong());
        // Some time for a body of many megabytes: not on a thread that others wait for.
        let judged = tokio::task::spawn_blocking(move || judge(&headers, &secret, Some(&given)));
        let right = judged.await.is_ok_and(|judged| judged == Some(true));
        if right && is_strong {
            // A signature by a strong secret cannot be guessed: who fails at the forge's address does not lock it out.
            door.slowdown.prove(self.client, Instant::now());
        } else if right {
            self.refuse(true).await?;
        } else {
            // Neither is kept while the sender waits.
            drop((body, held));
            return Err(self.refuse(false).await.err().unwrap_or_else(|| bad_signature().into_response()));
        }
        Ok((body, held))
    }

    /// Lets a right signature pass; says of a wrong one that it is, later each time, as of wrong tokens.
    async fn refuse(&self, right: bool) -> Result<(), Response> {
        let (client, name) = (self.client, self.name);
        match self.app.hooks.slowdown.judge(client, right, false, Instant::now()) {
            Verdict::Right => Ok(()),
            Verdict::Wrong(wait) => {
                tracing::warn!(%client, pipeline = name, "a call of a hook with a wrong signature or none");
                let problem = bad_signature();
                self.note(&problem);
                tokio::time::sleep(wait).await;
                let challenge = [(header::WWW_AUTHENTICATE, "Signature realm=\"runtrail hooks\"")];
                Err((challenge, problem).into_response())
            }
            Verdict::Busy(wait) => {
                let seconds = wait.as_secs() + 1;
                let detail = format!("Too many wrong signatures came from your address. Try again in {seconds} s.");
                let later = [(header::RETRY_AFTER, seconds.to_string())];
                let problem = Problem::new(ProblemCode::TooManyAttempts, detail);
                self.note(&problem);
                Err((later, problem).into_response())
            }
        }
    }

    async fn deliver(
        &self,
        headers: &HeaderMap,
        pipeline: Arc<Pipeline>,
        hook: &Hook,
        body: &Bytes,
    ) -> Result<Response, Problem> {
        let is_of_body = Signature::of(&|name| one(headers, name)).is_some_and(|signature| signature.is_of_body());
        let key_by = if is_of_body { KeyBy::Body } else { KeyBy::Id };
        let payload = || {
            payload::read(one(headers, "content-type"), body)
                .map_err(|error| Problem::new(ProblemCode::InvalidBody, error.to_string()))
        };
        match self.app.service.deliver(pipeline, hook, self.delivery, (body, key_by), payload).await? {
            HookAnswer::Ignored(why) => {
                Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "ignored": why }))).into_response())
            }
            HookAnswer::Run(run, is_new) => {
                let location = [(header::LOCATION, format!("/api/v1/runs/{}", run.id))];
                if is_new {
                    return Ok((StatusCode::CREATED, location, Json(run)).into_response());
                }
                let rerun = run.status.is_finished().then(|| base::path(&format!("/api/v1/runs/{}/rerun", run.id)));
                let page = base::path(&format!("/runs/{}", run.id));
                let again = Again { message: told_again(&run), page, rerun, run: *run };
                Ok((StatusCode::OK, location, Json(again)).into_response())
            }
        }
    }
}

fn bad_signature() -> Problem {
    let detail = "There is no such hook, or the request does not prove that its sender knows the secret: by `X-Hub-Signature-256`, \
                  `X-Gitea-Signature`, `X-Gitlab-Token` or `webhook-signature`. The server's page of deliveries says which.";
    Problem::new(ProblemCode::BadSignature, detail)
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
