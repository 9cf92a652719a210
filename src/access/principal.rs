//! Who makes a request.

use std::net::SocketAddr;

use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use super::Actor;
use super::Purpose;
use crate::model::identity::OWNER;
use crate::model::{AuthMethod, CurrentUser, Problem, ProblemCode, Role};
use crate::store::Digest;

/// Who makes a request, and what they may do.
#[derive(Clone, Debug)]
pub struct Principal {
    pub name: String,
    pub role: Role,
    /// How they were authenticated.
    pub via: AuthMethod,
    pub session: Option<RequestSession>,
    /// The id of the token behind them, or a name for the server's own token.
    pub parent: Option<String>,
    /// Cancelled when they lose access, or the server stops.
    pub revoked: CancellationToken,
}

impl Principal {
    /// Everybody, with `--no-token`.
    pub fn anonymous_admin(revoked: CancellationToken) -> Self {
        Self { name: OWNER.to_owned(), role: Role::Admin, via: AuthMethod::Open, session: None, parent: None, revoked }
    }

    pub fn session_id(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.id.as_str())
    }

    pub fn me(&self) -> CurrentUser {
        CurrentUser { name: self.name.clone(), role: self.role, via: self.via }
    }

    /// The actor that journals and the audit log name. `through`: the page or the API.
    pub fn actor(&self, through: &'static str, peer: Option<SocketAddr>) -> Actor {
        let address = peer.map(|peer| peer.ip().to_canonical());
        let (name, parent) = (self.name.clone(), self.parent.clone());
        Actor { name, role: self.role, via: self.via, address, through, parent }
    }
}

/// The session of a request.
#[derive(Clone, Debug)]
pub struct RequestSession {
    pub id: String,
    /// The digest of the key that the session's pages send with changes.
    key_digest: Option<Digest>,
}

impl RequestSession {
    pub fn new(id: String, key_digest: Option<Digest>) -> Self {
        Self { id, key_digest }
    }

    /// Whether a change with this key may be made. A session without a key needs none.
    pub fn is_key_valid(&self, key: Option<&str>) -> bool {
        let Some(expected) = &self.key_digest else { return true };
        key.is_some_and(|key| Purpose::Key.digest(key).ct_eq(expected).into())
    }
}

/// The problem of a principal whose role is not enough.
pub fn forbidden(principal: &Principal, needed: Role) -> Problem {
    let detail = format!(
        "This needs the role {needed}; {} has the role {}. An admin can give another one.",
        principal.name, principal.role
    );
    Problem::new(ProblemCode::Forbidden, detail)
}
