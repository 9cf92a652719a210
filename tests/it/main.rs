//! Tests with real parts: a real SQLite file, the real program, real child processes, a real HTTP client.

#![allow(clippy::unwrap_used, missing_docs)]

mod api;
mod approval;
mod attempts;
mod codemod;
mod commands;
mod connections;
mod crash;
mod deliveries;
mod faults;
mod forges;
mod hooks;
mod journal;
mod lifecycle;
mod load;
mod locked;
mod machine;
mod many;
mod notify;
mod one_server;
mod outbox;
mod phases;
mod queue;
mod restarts;
mod resume;
mod retention;
mod schedules;
mod sse;
mod stop;
mod stream;
mod support;
mod torn;
mod triggers;
