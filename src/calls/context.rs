//! What server functions and rendered pages know about their request. The HTTP layer provides a [`RequestContext`] to
//! each of them; nothing here depends on its framework.

use std::net::SocketAddr;
use std::sync::Arc;

use leptos::prelude::use_context;

use crate::access::Actor;
use crate::access::{Access, AccessAdmin, NoAccessControl, Principal, forbidden};
use crate::model::{Problem, ProblemCode, Role};
use crate::runs::Backend;

/// Changes the response to the current request.
pub trait ResponseControl: Send + Sync {
    fn set_status(&self, status: u16);

    /// Redirects to a path of this server, without the base path.
    fn redirect(&self, path: &str);
}

/// A request and the services that it may use.
#[derive(Clone)]
pub struct RequestContext {
    pub backend: Backend,
    /// `None` with `--no-token`.
    pub access: Option<Access>,
    /// The guard adds it to every request, so `None` is a bug.
    pub principal: Option<Principal>,
    pub peer: Option<SocketAddr>,
    /// Whether the response is shown by the browser itself, and not read by a script.
    pub accepts_html: bool,
    pub response: Arc<dyn ResponseControl>,
}

fn current() -> Option<RequestContext> {
    use_context()
}

/// # Errors
/// [`ProblemCode::Internal`]: there is no [`RequestContext`].
pub fn backend() -> Result<Backend, Problem> {
    let missing = || Problem::new(ProblemCode::Internal, "The page was rendered without its backend.");
    current().map(|context| context.backend).ok_or_else(missing)
}

/// # Errors
/// [`ProblemCode::NotFound`] with `--no-token`.
pub fn access_admin() -> Result<AccessAdmin, Problem> {
    Ok(current().and_then(|context| context.access).ok_or(NoAccessControl)?.admin())
}

/// Who makes the request.
///
/// # Errors
/// [`ProblemCode::Internal`]: the request did not pass the guard.
pub fn principal() -> Result<Principal, Problem> {
    let missing = || Problem::new(ProblemCode::Internal, "The page was rendered past the guard.");
    current().and_then(|context| context.principal).ok_or_else(missing)
}

/// The actor that journals and the audit log name.
///
/// # Errors
/// As [`principal`].
pub fn actor() -> Result<Actor, Problem> {
    let peer = current().and_then(|context| context.peer);
    Ok(principal()?.actor("the page", peer))
}

/// The actor, if it has at least this role.
///
/// # Errors
/// [`ProblemCode::Forbidden`]; as [`principal`].
pub fn require_role(needed: Role) -> Result<Actor, Problem> {
    let principal = principal()?;
    if principal.role.allows(needed) { actor() } else { Err(forbidden(&principal, needed)) }
}

/// Gives the response the status of the problem, if there is one.
pub fn respond<T>(result: Result<T, Problem>) -> Result<T, Problem> {
    if let Err(problem) = &result {
        set_status(problem.status);
    }
    result
}

/// [`respond`] for what a form sends. Without scripts, the response is a redirect back to the form, which shows the
/// problem; that needs the status to stay as it is.
pub fn respond_to_action<T>(result: Result<T, Problem>) -> Result<T, Problem> {
    let accepts_html = current().is_some_and(|context| context.accepts_html);
    if accepts_html { result } else { respond(result) }
}

pub fn set_status(status: u16) {
    if let Some(context) = current() {
        context.response.set_status(status);
    }
}

/// Redirects to a path of this server, without the base path.
pub fn redirect(path: &str) {
    if let Some(context) = current() {
        context.response.redirect(path);
    }
}
