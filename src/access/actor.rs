//! Who makes a request, as journals and the audit log name them.

use std::fmt;
use std::net::IpAddr;

use crate::model::audit::AuditAction;
use crate::model::identity::OWNER;
use crate::model::{AuthMethod, Problem, Role, RunId, RunOrigin, Timestamp};
use crate::store::NewAudit;

/// The outcome in the audit log of a request that was not refused.
pub const OUTCOME_DONE: &str = "done";

/// The person or program behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub name: String,
    pub role: Role,
    /// How they were authenticated.
    pub via: AuthMethod,
    /// The address of the request.
    pub address: Option<IpAddr>,
    /// `the page` or `the API`.
    pub through: &'static str,
    /// The id of the token behind a session.
    pub parent: Option<String>,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.via) {
            (OWNER, _) => f.write_str("the operator")?,
            (name, AuthMethod::Token) => write!(f, "the token {name}")?,
            (name, _) => f.write_str(name)?,
        }
        if let Some(address) = self.address {
            write!(f, " at {address}")?;
        }
        write!(f, ", through {}", self.through)
    }
}

impl Actor {
    /// The origin of an attempt that they request.
    pub fn origin(&self) -> RunOrigin {
        RunOrigin { kind: self.via.into(), name: self.name.clone() }
    }

    /// The line of the audit log for a request of theirs that succeeds.
    pub fn audit_entry(&self, action: AuditAction, run: Option<RunId>, detail: Option<String>) -> NewAudit {
        NewAudit {
            at: Timestamp::now(),
            actor: self.name.clone(),
            via: audit_via(self.via),
            address: self.address.map(|address| address.to_string()),
            action,
            run,
            outcome: OUTCOME_DONE.to_owned(),
            detail,
        }
    }
}

/// The audit log's word for a way to be authenticated.
pub const fn audit_via(via: AuthMethod) -> &'static str {
    match via {
        AuthMethod::Open => "open",
        AuthMethod::Session => "session",
        AuthMethod::Token => "token",
        AuthMethod::Proxy => "proxy",
    }
}

/// The outcome in the audit log of a request that was refused with this problem: its code.
pub fn refused_outcome(problem: &Problem) -> String {
    problem.r#type.strip_prefix("about:blank#").unwrap_or("refused").to_owned()
}

/// The line of the audit log for a run that a schedule or a hook starts.
pub fn trigger_audit_entry(origin: &RunOrigin, via: &'static str, run: RunId, pipeline: &str) -> NewAudit {
    NewAudit {
        at: Timestamp::now(),
        actor: origin.name.clone(),
        via,
        address: None,
        action: AuditAction::RunStart,
        run: Some(run),
        outcome: OUTCOME_DONE.to_owned(),
        detail: Some(pipeline.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actor_text_has_name_address_and_channel() {
        let actor = |name: &str, via| Actor {
            name: name.to_owned(),
            role: Role::Admin,
            via,
            address: Some([10, 0, 0, 7].into()),
            through: "the API",
            parent: None,
        };
        assert_eq!(actor(OWNER, AuthMethod::Open).to_string(), "the operator at 10.0.0.7, through the API");
        assert_eq!(actor("ci", AuthMethod::Token).to_string(), "the token ci at 10.0.0.7, through the API");
        assert_eq!(actor("Anna", AuthMethod::Proxy).to_string(), "Anna at 10.0.0.7, through the API");
        let unknown = Actor { address: None, through: "the page", ..actor("Anna", AuthMethod::Session) };
        assert_eq!(unknown.to_string(), "Anna, through the page");
    }
}
