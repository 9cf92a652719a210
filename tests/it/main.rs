//! Tests with real parts: a real SQLite file, the real program, real child processes, a real HTTP client.

#![allow(clippy::unwrap_used, missing_docs)]

mod api;
mod approval;
mod attempts;
mod codemod;
mod commands;
mod connections;
mod crash;
mod faults;
mod first_view;
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
mod reference_terminal;
mod restarts;
mod resume;
mod retention;
mod schedules;
mod sse;
mod stop;
mod stream;
mod support;
mod terminal;
mod torn;
