//! The login key, which pages send with changes. Unlike a cookie, no other port of this host gets it.

use crate::base;

/// The storage key that the login page uses (`http/guard/login.js`).
const NAME: &str = "runtrail-key";

/// The login key, if there is one.
pub fn login_key() -> Option<String> {
    web_sys::window()?.local_storage().ok()??.get_item(&base::name(NAME)).ok()?.filter(|key| !key.is_empty())
}
