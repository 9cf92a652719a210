//! The logged-in actor and what they may do. This decides only what the page shows: the server checks every call.

use crate::model::{CurrentUser, Role};

/// The actor, as the server wrote it on the page.
#[cfg(not(feature = "ssr"))]
pub fn me() -> CurrentUser {
    crate::browser::root_data("data-me").and_then(|me| serde_json::from_str(&me).ok()).unwrap_or_default()
}

/// The actor who requested the page.
#[cfg(feature = "ssr")]
pub fn me() -> CurrentUser {
    let granted = crate::calls::server::granted();
    granted.map(|granted| CurrentUser { name: granted.name, role: granted.role, via: granted.via }).unwrap_or_default()
}

/// Whether the actor has this role, or a higher one.
pub fn can(role: Role) -> bool {
    me().role.allows(role)
}
