//! Random numbers. Good for jitter and ids, not for secrets.

use js_sys::Math;

/// A number from 0 to 1.
pub fn random() -> f64 {
    Math::random()
}

/// A unique id: 128 bits as hex.
///
/// Not `crypto.randomUUID`, which pages that came over plain HTTP from another machine do not have.
pub fn random_key() -> String {
    (0..4).map(|_| format!("{:08x}", (Math::random() * 4_294_967_296.0) as u32)).collect()
}
