//! Which role a request needs (docs/CONTRACT.md, "Access"). Pure: one table for the whole server.

use crate::model::Role;

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The weakest role that may make it.
    pub role: Role,
    /// Whether only a person may make it, and no token.
    pub person: bool,
}

const fn role(role: Role) -> Needs {
    Needs { role, person: false }
}

/// What a request to this path, below the base path, needs. `reads`: whether its method changes nothing.
///
/// What is not named here may be read by viewers and changed by operators.
pub fn needs(reads: bool, path: &str) -> Needs {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        // Answers to questions: commands have no session.
        ["api", "v1", "runs", _, "approve" | "reject"] | ["fn", "approve" | "reject"] => {
            Needs { role: Role::Approver, person: true }
        }
        // The pages themselves say what their calls answer.
        ["fn", "access" | "audit" | "create_token" | "revoke_token"]
        | ["api", "v1", "tokens" | "audit" | "login-links", ..] => role(Role::Admin),
        // Everybody sees and ends their own sessions; those of others are the handler's to refuse.
        ["api", "v1", "sessions", ..] | ["fn", "end_session"] => role(Role::Viewer),
        // Leads to a page, and changes nothing.
        ["fn", "show_fields"] => role(Role::Viewer),
        _ if reads => role(Role::Viewer),
        _ => role(Role::Operator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_request_needs_its_role() {
        for (reads, path, role, person) in [
            (true, "/", Role::Viewer, false),
            (true, "/runs/1/events", Role::Viewer, false),
            (true, "/api/v1/runs", Role::Viewer, false),
            (false, "/api/v1/runs", Role::Operator, false),
            (false, "/api/v1/runs/1", Role::Operator, false),
            (false, "/api/v1/runs/1/rerun", Role::Operator, false),
            (false, "/api/v1/runs/1/approve", Role::Approver, true),
            (false, "/api/v1/runs/1/reject", Role::Approver, true),
            (false, "/fn/approve", Role::Approver, true),
            (false, "/fn/start_run", Role::Operator, false),
            (false, "/fn/show_fields", Role::Viewer, false),
            (true, "/fn/access", Role::Admin, false),
            (true, "/access", Role::Viewer, false),
            (true, "/api/v1/audit", Role::Admin, false),
            (true, "/api/v1/tokens", Role::Admin, false),
            (false, "/api/v1/tokens/1", Role::Admin, false),
            (true, "/api/v1/sessions", Role::Viewer, false),
            (false, "/api/v1/sessions/1", Role::Viewer, false),
            (false, "/api/v1/of-the-future", Role::Operator, false),
        ] {
            assert_eq!(needs(reads, path), Needs { role, person }, "{reads} {path}");
        }
    }
}
