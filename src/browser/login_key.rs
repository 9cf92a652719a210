//! The key of the login: what pages send with changes, and no other port of this host ever gets.

use crate::base;

/// Where the login page keeps it (`http/guard/login.js`).
const NAME: &str = "runtrail-key";

/// The key of the login, if there is one.
pub fn login_key() -> Option<String> {
    web_sys::window()?.local_storage().ok()??.get_item(&base::name(NAME)).ok()?.filter(|key| !key.is_empty())
}
