//! Server functions of attempts.

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use super::context;
use crate::model::Problem;
use crate::model::attempt::AttemptView;
use crate::model::compare::AttemptComparison;

/// An attempt of a run: its parameters, phases and result.
///
/// # Errors
/// There is no such run or attempt, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "attempt", input = GetUrl)]
pub async fn view_attempt(id: String, attempt: u32) -> Result<AttemptView, Problem> {
    context::respond(crate::runs::attempt(&context::backend()?, &id, attempt).await)
}

/// Two attempts of a run side by side.
///
/// # Errors
/// There is no such run or attempt, or only one attempt, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "compare", input = GetUrl)]
pub async fn compare_attempts(
    id: String,
    /// By default, the attempt before `b`.
    #[server(default)]
    a: Option<u32>,
    /// By default, the newest attempt.
    #[server(default)]
    b: Option<u32>,
) -> Result<AttemptComparison, Problem> {
    context::respond(crate::runs::compare(&context::backend()?, &id, a, b).await)
}
