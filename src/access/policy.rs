//! Which role a request needs (docs/CONTRACT.md, "Access"). Pure: one table for the whole server.

use crate::model::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The weakest role that is sufficient.
    pub role: Role,
    /// Whether the request must come from a person, not from a token.
    pub needs_person: bool,
}

const fn role(role: Role) -> Requirement {
    Requirement { role, needs_person: false }
}

/// What a request to this path, without the base path, needs. `is_read`: whether its method is safe (RFC 9110, section
/// 9.2.1).
///
/// By default, viewers may read and operators may change.
pub fn requirement(is_read: bool, path: &str) -> Requirement {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        // Approvals need a person, so that a command with a token cannot approve its own run.
        ["api", "v1", "runs", _, "approve" | "reject"] | ["fn", "approve" | "reject"] => {
            Requirement { role: Role::Approver, needs_person: true }
        }
        // The pages `/access` and `/audit` stay readable: they show the problem of these calls.
        ["fn", "access" | "audit" | "create_token" | "revoke_token"]
        | ["api", "v1", "tokens" | "audit" | "login-links", ..] => role(Role::Admin),
        // It ends the server.
        ["api", "v1", "drain"] => role(Role::Admin),
        // Everybody may see and end their own sessions; the handler rejects those of others.
        ["api", "v1", "sessions", ..] | ["fn", "end_session"] => role(Role::Viewer),
        // A POST that only redirects.
        ["fn", "show_fields"] => role(Role::Viewer),
        _ if is_read => role(Role::Viewer),
        _ => role(Role::Operator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_maps_requests_to_roles() {
        for (is_read, path, role, needs_person) in [
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
            (true, "/api/v1/workers", Role::Viewer, false),
            (true, "/workers", Role::Viewer, false),
            (false, "/api/v1/drain", Role::Admin, false),
            (false, "/api/v1/of-the-future", Role::Operator, false),
        ] {
            assert_eq!(requirement(is_read, path), Requirement { role, needs_person }, "{is_read} {path}");
        }
    }
}
