//! Server functions of tokens, sessions and the audit log, as those of [`crate::calls`].

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

use crate::calls::keyed_client::KeyedClient;
use crate::model::access::{AccessList, CreatedToken};
use crate::model::audit::{AuditFilter, AuditPage};
use crate::model::{Problem, Role};

/// Tokens and sessions, for admins.
///
/// # Errors
/// Somebody else asks, the server has no tokens, or the database is not available.
#[server(prefix = "/fn", endpoint = "access", input = GetUrl)]
pub async fn read_access() -> Result<AccessList, Problem> {
    server::answer(server::list().await)
}

/// Makes a token. Its secret is answered once.
///
/// # Errors
/// Somebody else than an admin asks, the name or the time does not do, or the database is not available.
#[server(prefix = "/fn", endpoint = "create_token", client = KeyedClient)]
pub async fn create_token(
    /// Its name.
    name: String,
    /// What it allows.
    role: Role,
    /// How long it works, such as 90d; until it is revoked if empty.
    #[server(default)]
    expires_in: String,
) -> Result<CreatedToken, Problem> {
    calls::answer_action(server::create(&name, role, &expires_in).await)
}

/// Revokes a token.
///
/// # Errors
/// Somebody else than an admin asks, there is no such token, or the database is not available.
#[server(prefix = "/fn", endpoint = "revoke_token", client = KeyedClient)]
pub async fn revoke_token(
    /// Its id.
    id: String,
) -> Result<(), Problem> {
    calls::answer_action(server::revoke(&id).await)
}

/// Ends a session.
///
/// # Errors
/// There is no such session of theirs, or the database is not available.
#[server(prefix = "/fn", endpoint = "end_session", client = KeyedClient)]
pub async fn end_session(
    /// Its id.
    id: String,
) -> Result<(), Problem> {
    calls::answer_action(server::end(&id).await)
}

/// Lines of the audit log, for admins.
///
/// # Errors
/// Somebody else asks, or the database is not available.
#[server(prefix = "/fn", endpoint = "audit", input = GetUrl)]
pub async fn read_audit(
    /// Which lines are wanted. All of them, if nothing is said.
    #[server(default)]
    filter: AuditFilter,
) -> Result<AuditPage, Problem> {
    calls::answer(server::audit(&filter).await)
}

#[cfg(feature = "ssr")]
use crate::calls::server as calls;

#[cfg(feature = "ssr")]
mod server {
    use leptos::prelude::use_context;

    use crate::access::{self, Access};
    use crate::calls::server::{actor, granted, require, service};
    use crate::http::lasts_ms;
    use crate::model::access::{AccessList, CreatedToken};
    use crate::model::audit::{AuditFilter, AuditPage};
    use crate::model::{Problem, ProblemCode, Role};

    pub use crate::calls::server::answer;

    fn tokens() -> Result<Access, Problem> {
        let none = || {
            Problem::new(
                ProblemCode::NotFound,
                "This server was started with --no-token: it has no tokens and no sessions.",
            )
        };
        use_context::<Access>().ok_or_else(none)
    }

    pub async fn list() -> Result<AccessList, Problem> {
        let (by, granted) = (require(Role::Admin)?, granted()?);
        tokens()?.list(&by, granted.session.as_ref().map(|session| session.id.as_str())).await
    }

    pub async fn create(name: &str, role: Role, expires_in: &str) -> Result<CreatedToken, Problem> {
        let by = require(Role::Admin)?;
        let lasts = (!expires_in.trim().is_empty()).then(|| lasts_ms(expires_in.trim())).transpose()?;
        tokens()?.create_token(name.trim(), role, lasts, &by).await
    }

    pub async fn revoke(id: &str) -> Result<(), Problem> {
        let by = require(Role::Admin)?;
        tokens()?.revoke_token(id, &by).await
    }

    pub async fn end(id: &str) -> Result<(), Problem> {
        tokens()?.end_session(id, &actor()?).await
    }

    pub async fn audit(filter: &AuditFilter) -> Result<AuditPage, Problem> {
        require(Role::Admin)?;
        access::read_audit(&service()?.store, filter).await
    }
}
