//! `POST /api/v1/hooks/{pipeline}` (docs/CONTRACT.md, "Triggers"): a forge's delivery, which may start a run. It needs
//! no token, because its signature authenticates it. The guard's other rules apply.
//!
//! What is read before the signature is verified is bounded in size and time ([`body_budget`]). Every call appears in
//! the list of deliveries: those without a valid signature are counted ([`refused_calls`]), the others are recorded by
//! the use case.

mod body_budget;
mod refused_calls;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::Instant;

use super::extract::PathResult;
use super::guard::{AttemptLimiter, AttemptVerdict, Client};
use super::state::AppState;
use crate::base;
use crate::hooks::{
    DeliveryHeaders, HookOutcome, KeyBy, Secret, Signature, duplicate_message, handle_delivery, payload,
};
use crate::model::{Hook, Pipeline, Problem, ProblemCode, Run, Timestamp};
use crate::store::SenderTrust;
use body_budget::{BodyBudget, BudgetPermit, ClientTrust};
use refused_calls::RefusedCalls;

/// The limits that all hooks share.
#[derive(Debug, Default)]
pub struct HookLimits {
    attempts: AttemptLimiter,
    bodies: BodyBudget,
    refused: Arc<RefusedCalls>,
}

impl HookLimits {
    fn trust_of(&self, client: Client) -> ClientTrust {
        if self.attempts.has_succeeded(client) {
            ClientTrust::Proven
        } else if self.attempts.is_throttled(client, Instant::now()) {
            ClientTrust::Throttled
        } else {
            ClientTrust::Unproven
        }
    }
}

/// The response to a delivery that came before: its run, and how to re-run it.
#[derive(Serialize)]
struct DuplicateDelivery {
    #[serde(flatten)]
    run: Run,
    message: String,
    /// The path of the run's page.
    page: String,
    /// The path of the call that re-runs it. `None` while the run is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun: Option<String>,
}

/// `POST /api/v1/hooks/{pipeline}`
pub async fn receive(
    State(app): State<AppState>,
    pipeline: PathResult<String>,
    request: Request,
) -> Result<Response, Response> {
    // No pipeline has a name that is not UTF-8, so the empty name gives the same response.
    let name = pipeline.map(|Path(name)| name).unwrap_or_default();
    let client = Client::of(&request);
    let (parts, body) = request.into_parts();
    let headers = Arc::new(parts.headers);
    let delivery = DeliveryHeaders::of(&|name| single_header(&headers, name));
    let hook = crate::hooks::find_hook(&app.backend, &name);
    let not_found = hook.as_ref().err().filter(|problem| problem.code == ProblemCode::HookNotFound).cloned();
    let call = HookCall { app: &app, client, name: &name, delivery: &delivery, not_found };
    let (pipeline, hook, secret) = match hook {
        Ok(hook) => hook,
        // A sender without the secret must not learn which hooks exist, so the response and its timing are the same.
        Err(_) if call.not_found.is_some() => {
            let authenticated = call.authenticate(&headers, Secret::unknown(), body).await;
            return Err(authenticated.err().unwrap_or_else(|| bad_signature().into_response()));
        }
        Err(problem) => {
            call.record_refusal(&problem);
            return Err(problem.into_response());
        }
    };
    let (body, _permit) = call.authenticate(&headers, secret, body).await?;
    call.deliver(&headers, pipeline, &hook, &body).await.map_err(Problem::into_response)
}

/// A call of a hook.
struct HookCall<'a> {
    app: &'a AppState,
    client: Client,
    name: &'a str,
    delivery: &'a DeliveryHeaders,
    /// Set if there is no such hook. The operator sees this problem in the list of deliveries, the sender does not.
    not_found: Option<Problem>,
}

impl<'a> HookCall<'a> {
    /// Counts the call as refused before authentication.
    fn record_refusal(&self, problem: &Problem) {
        let (trust, problem) = match &self.not_found {
            Some(not_found) => (SenderTrust::Unknown, not_found),
            None => (SenderTrust::Unsigned, problem),
        };
        self.app.hooks.refused.record(&self.app.backend, trust, self.name, self.delivery, problem);
    }

    /// Reads the body and verifies that the sender knows the secret. The permit must live as long as the body.
    ///
    /// # Errors
    /// The response, if it does not.
    async fn authenticate(
        &self,
        headers: &Arc<HeaderMap>,
        secret: Secret,
        body: Body,
    ) -> Result<(Bytes, BudgetPermit<'a>), Response> {
        let limits = &self.app.hooks;
        // Without a signature, or with a wrong token, the body is not read.
        let is_proven = match verify(headers, &secret, None) {
            Some(false) => return Err(self.reject().await),
            Some(true) => {
                self.check_attempt(true).await?;
                true
            }
            None => false,
        };
        let trust = if is_proven { ClientTrust::Proven } else { limits.trust_of(self.client) };
        let size = single_header(headers, "content-length").and_then(|size| size.parse::<u64>().ok());
        let read = limits.bodies.read(trust, size, body).await;
        let (body, permit) = read.map_err(|problem| {
            self.record_refusal(&problem);
            problem.into_response()
        })?;
        if is_proven {
            return Ok((body, permit));
        }
        let (headers, signed, is_strong) = (Arc::clone(headers), body.clone(), secret.is_strong());
        // Hashing many megabytes would block the runtime's thread.
        let verified = tokio::task::spawn_blocking(move || verify(&headers, &secret, Some(&signed)));
        let is_valid = verified.await.is_ok_and(|verified| verified == Some(true));
        if !is_valid {
            // The memory is released before the delay of the response.
            drop((body, permit));
            return Err(self.reject().await);
        }
        if is_strong {
            // A strong secret cannot be guessed, so failures of others at the forge's address do not lock the forge
            // out.
            limits.attempts.record_success(self.client, Instant::now());
        } else {
            self.check_attempt(true).await?;
        }
        Ok((body, permit))
    }

    /// The response to an invalid signature, after its delay.
    async fn reject(&self) -> Response {
        self.check_attempt(false).await.err().unwrap_or_else(|| bad_signature().into_response())
    }

    /// Passes a valid signature, and delays the response to an invalid one, as [`AttemptLimiter`] decides.
    ///
    /// # Errors
    /// The response, if the call may not go on.
    async fn check_attempt(&self, is_valid: bool) -> Result<(), Response> {
        let (client, name) = (self.client, self.name);
        match self.app.hooks.attempts.check(client, is_valid, false, Instant::now()) {
            AttemptVerdict::Accept => Ok(()),
            AttemptVerdict::Reject(delay) => {
                tracing::warn!(%client, pipeline = name, "rejected a call of a hook without a valid signature");
                let problem = bad_signature();
                self.record_refusal(&problem);
                tokio::time::sleep(delay).await;
                let challenge = [(header::WWW_AUTHENTICATE, "Signature realm=\"runtrail hooks\"")];
                Err((challenge, problem).into_response())
            }
            AttemptVerdict::Throttle(wait) => {
                let seconds = wait.as_secs() + 1;
                let detail = format!("Too many wrong signatures came from your address. Try again in {seconds} s.");
                let retry_after = [(header::RETRY_AFTER, seconds.to_string())];
                let problem = Problem::new(ProblemCode::TooManyAttempts, detail);
                self.record_refusal(&problem);
                Err((retry_after, problem).into_response())
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
        let is_of_body = Signature::of(&|name| single_header(headers, name)).is_some_and(|it| it.is_of_body());
        let key_by = if is_of_body { KeyBy::Body } else { KeyBy::Id };
        let payload = || {
            payload::read(single_header(headers, "content-type"), body)
                .map_err(|error| Problem::new(ProblemCode::InvalidBody, error.to_string()))
        };
        match handle_delivery(&self.app.backend, pipeline, hook, self.delivery, (body, key_by), payload).await? {
            HookOutcome::Ignored(why) => {
                Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "ignored": why }))).into_response())
            }
            HookOutcome::Run(run, is_new) => {
                let location = [(header::LOCATION, format!("/api/v1/runs/{}", run.id))];
                if is_new {
                    return Ok((StatusCode::CREATED, location, Json(run)).into_response());
                }
                let rerun = run.status.is_finished().then(|| base::path(&format!("/api/v1/runs/{}/rerun", run.id)));
                let page = base::path(&format!("/runs/{}", run.id));
                let duplicate = DuplicateDelivery { message: duplicate_message(&run), page, rerun, run: *run };
                Ok((StatusCode::OK, location, Json(duplicate)).into_response())
            }
        }
    }
}

fn bad_signature() -> Problem {
    let detail = "There is no such hook, or the request does not prove that its sender knows the secret: by `X-Hub-Signature-256`, \
                  `X-Gitea-Signature`, `X-Gitlab-Token` or `webhook-signature`. The server's page of deliveries says which.";
    Problem::new(ProblemCode::BadSignature, detail)
}

/// The value of a header that occurs exactly once and is text.
fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (None | Some(_), _) => None,
    }
}

/// Whether the request proves that its sender knows the secret. `None` if that depends on the body, which is not read
/// yet.
fn verify(headers: &HeaderMap, secret: &Secret, body: Option<&[u8]>) -> Option<bool> {
    match (Signature::of(&|name| single_header(headers, name)), body) {
        (None, _) => Some(false),
        (Some(signature), None) if !signature.is_token() => None,
        (Some(signature), body) => Some(signature.proves(secret, body.unwrap_or_default(), Timestamp::now())),
    }
}
