//! The wall clock and the steady clock.

use js_sys::Date;
use wasm_bindgen::JsValue;

/// Milliseconds since 1970-01-01T00:00:00Z by the machine's clock.
pub fn now() -> i64 {
    Date::now() as i64
}

/// Milliseconds of a clock that never goes back.
pub fn steady() -> u64 {
    web_sys::window().and_then(|window| window.performance()).map_or_else(Date::now, |clock| clock.now()) as u64
}

/// Minutes by which local time is ahead of UTC at this moment, in milliseconds since 1970: summer and winter differ.
pub fn utc_offset(ms: i64) -> i32 {
    -(Date::new(&JsValue::from_f64(ms as f64)).get_timezone_offset() as i32)
}
