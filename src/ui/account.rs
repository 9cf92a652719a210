//! Who looks at the page, and what they may do. The server says it with the page; what it answers to calls is what counts.

use crate::model::{CurrentUser, Role};

/// Who looks at the page.
#[cfg(not(feature = "ssr"))]
pub fn me() -> CurrentUser {
    crate::browser::root_data("data-me").and_then(|me| serde_json::from_str(&me).ok()).unwrap_or_default()
}

/// Who looks at the page.
#[cfg(feature = "ssr")]
pub fn me() -> CurrentUser {
    let granted = crate::calls::server::granted();
    granted.map(|granted| CurrentUser { name: granted.name, role: granted.role, via: granted.via }).unwrap_or_default()
}

/// Whether they may do what needs this role.
pub fn can(role: Role) -> bool {
    me().role.allows(role)
}
