//! Who asks for something, as journals and the audit log name them.

use std::fmt;
use std::net::IpAddr;

use crate::model::audit::AuditAction;
use crate::model::identity::OWNER;
use crate::model::{AuthMethod, Problem, Role, RunId, RunOrigin, Timestamp};
use crate::store::NewAudit;

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they have shown who they are.
    pub via: AuthMethod,
    /// The address that their request came from.
    pub address: Option<IpAddr>,
    /// What they use: the page, or the API.
    pub through: &'static str,
    /// The token behind them, if there is one.
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

impl AuthMethod {
    /// As the audit log names it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Session => "session",
            Self::Token => "token",
            Self::Proxy => "proxy",
        }
    }
}

impl Actor {
    /// What an attempt that they ask for has as its origin.
    pub fn origin(&self) -> RunOrigin {
        RunOrigin { kind: self.via.into(), name: self.name.clone() }
    }

    /// A line of the audit log that says they did this.
    pub fn note(&self, action: AuditAction, run: Option<RunId>, detail: Option<String>) -> NewAudit {
        NewAudit {
            at: Timestamp::now(),
            actor: self.name.clone(),
            via: self.via.word(),
            address: self.address.map(|address| address.to_string()),
            action,
            run,
            outcome: DONE.to_owned(),
            detail,
        }
    }
}

/// The outcome of what was done.
pub const DONE: &str = "done";

/// The outcome of what was refused.
pub fn refusal(problem: &Problem) -> String {
    problem.r#type.strip_prefix("about:blank#").unwrap_or("refused").to_owned()
}

/// The line of the audit log of a run that a schedule or a hook asks for.
pub fn triggered(origin: &RunOrigin, via: &'static str, run: RunId, pipeline: &str) -> NewAudit {
    NewAudit {
        at: Timestamp::now(),
        actor: origin.name.clone(),
        via,
        address: None,
        action: AuditAction::RunStart,
        run: Some(run),
        outcome: DONE.to_owned(),
        detail: Some(pipeline.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_name_who_asked() {
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
