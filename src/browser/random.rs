//! Chance.

use js_sys::Math;

/// A number from 0 to 1.
pub fn random() -> f64 {
    Math::random()
}

/// A text that no one else makes: 128 bits as hex. Good for telling things apart, not for secrets.
///
/// Not `crypto.randomUUID`: pages that come over plain HTTP from another machine do not have it.
pub fn random_key() -> String {
    (0..4).map(|_| format!("{:08x}", (Math::random() * 4_294_967_296.0) as u32)).collect()
}
