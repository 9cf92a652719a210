//! The user who views the page. The server embeds it in the page for display; every call is authorized again on the
//! server.

use crate::model::{CurrentUser, Role};

#[cfg(not(feature = "ssr"))]
pub fn current_user() -> CurrentUser {
    crate::browser::root_data("data-me").and_then(|me| serde_json::from_str(&me).ok()).unwrap_or_default()
}

#[cfg(feature = "ssr")]
pub fn current_user() -> CurrentUser {
    let principal = crate::calls::context::principal();
    principal.map(|principal| principal.me()).unwrap_or_default()
}

/// Whether the user has this role or a higher one.
pub fn has_role(role: Role) -> bool {
    current_user().role.allows(role)
}
