//! Server functions of findings, patches and approvals.

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use super::context;
use super::keyed_client::KeyedClient;
#[cfg(feature = "ssr")]
use crate::approvals::DecisionRequest;
use crate::model::review::{FindingFilter, FindingPage, PatchContent, PatchEntry};
use crate::model::{Problem, Run};

/// Approves the open question of a run.
///
/// # Errors
/// There is no such run, this question is not open, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "approve", client = KeyedClient)]
pub async fn approve(
    id: String,
    /// The seq of the question that the operator saw.
    seq: u64,
    /// The seqs of the patches to leave out, separated by commas.
    #[server(default)]
    exclude: String,
    #[server(default)] note: String,
) -> Result<Run, Problem> {
    let backend = context::backend()?;
    let exclude = context::respond_to_action(crate::approvals::excluded_paths(&backend, &id, &exclude).await)?;
    let reply = DecisionRequest { approved: true, exclude, note: Some(note) };
    context::respond_to_action(crate::approvals::decide(&backend, &id, Some(seq), reply, &context::actor()?).await)
}

/// Rejects the open question of a run.
///
/// # Errors
/// As [`approve`].
#[server(prefix = "/fn", endpoint = "reject", client = KeyedClient)]
pub async fn reject(
    id: String,
    /// The seq of the question that the operator saw.
    seq: u64,
    #[server(default)] note: String,
) -> Result<Run, Problem> {
    let reply = DecisionRequest { approved: false, exclude: Vec::new(), note: Some(note) };
    context::respond_to_action(
        crate::approvals::decide(&context::backend()?, &id, Some(seq), reply, &context::actor()?).await,
    )
}

/// Findings of an attempt.
///
/// # Errors
/// There is no such run, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "findings", input = GetUrl)]
pub async fn read_findings(
    id: String,
    attempt: u32,
    /// Without it, all findings.
    #[server(default)]
    filter: FindingFilter,
    limit: u32,
) -> Result<FindingPage, Problem> {
    context::respond(crate::runs::findings(&context::backend()?, &id, attempt, &filter, limit).await)
}

/// The patches of an attempt.
///
/// # Errors
/// There is no such run, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "patches", input = GetUrl)]
pub async fn read_patches(id: String, attempt: u32) -> Result<Vec<PatchEntry>, Problem> {
    context::respond(crate::runs::patches(&context::backend()?, &id, attempt).await)
}

/// One patch.
///
/// # Errors
/// There is no such run or patch, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "patch", input = GetUrl)]
pub async fn read_patch(
    id: String,
    /// The seq of the patch's frame.
    seq: u64,
) -> Result<PatchContent, Problem> {
    context::respond(crate::runs::patch(&context::backend()?, &id, seq).await)
}
