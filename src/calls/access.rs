//! Server functions of tokens, sessions and the audit log.

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use super::context;
use super::keyed_client::KeyedClient;
#[cfg(feature = "ssr")]
use crate::access;
use crate::model::access::{AccessList, CreatedToken};
use crate::model::audit::{AuditFilter, AuditPage};
use crate::model::{Problem, Role};

/// Tokens and sessions, for admins.
///
/// # Errors
/// The role is not admin, the server runs with `--no-token`, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "access", input = GetUrl)]
pub async fn read_access() -> Result<AccessList, Problem> {
    context::respond(
        async {
            let (by, principal) = (context::require_role(Role::Admin)?, context::principal()?);
            context::access_admin()?.list(&by, principal.session_id()).await
        }
        .await,
    )
}

/// Creates a token. Only this response contains its secret.
///
/// # Errors
/// The role is not admin, the name or lifetime is not allowed, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "create_token", client = KeyedClient)]
pub async fn create_token(
    name: String,
    role: Role,
    /// A duration such as `90d`. If empty, the token is valid until it is revoked.
    #[server(default)]
    expires_in: String,
) -> Result<CreatedToken, Problem> {
    context::respond_to_action(
        async {
            let by = context::require_role(Role::Admin)?;
            let expires_in = Some(expires_in.trim()).filter(|text| !text.is_empty());
            let lifetime_ms = expires_in.map(access::parse_lifetime_ms).transpose()?;
            context::access_admin()?.create_token(name.trim(), role, lifetime_ms, &by).await
        }
        .await,
    )
}

/// Revokes a token.
///
/// # Errors
/// The role is not admin, there is no such token, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "revoke_token", client = KeyedClient)]
pub async fn revoke_token(id: String) -> Result<(), Problem> {
    context::respond_to_action(
        async {
            let by = context::require_role(Role::Admin)?;
            context::access_admin()?.revoke_token(&id, &by).await
        }
        .await,
    )
}

/// Ends a session.
///
/// # Errors
/// There is no such session, it belongs to somebody else, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "end_session", client = KeyedClient)]
pub async fn end_session(id: String) -> Result<(), Problem> {
    context::respond_to_action(async { context::access_admin()?.end_session(&id, &context::actor()?).await }.await)
}

/// Entries of the audit log, for admins.
///
/// # Errors
/// The role is not admin, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "audit", input = GetUrl)]
pub async fn read_audit(
    /// Without it, all entries.
    #[server(default)]
    filter: AuditFilter,
) -> Result<AuditPage, Problem> {
    context::respond(
        async {
            context::require_role(Role::Admin)?;
            access::read_audit(&context::backend()?.store, &filter).await
        }
        .await,
    )
}
