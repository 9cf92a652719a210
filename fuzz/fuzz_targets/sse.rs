//! Server-sent events under bytes that libFuzzer thinks of. What must hold is in `src/sse.rs`.

#![no_main]

#[path = "../src/sse.rs"]
mod sse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sse::check(bytes));
