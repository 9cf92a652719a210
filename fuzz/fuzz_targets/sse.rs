//! Server-sent events under libFuzzer's inputs. The properties are in `src/sse.rs`.

#![no_main]

#[path = "../src/sse.rs"]
mod sse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sse::check(bytes));
