//! What exists only for the API, the streams and the pages: answers, pages of results, problems, server-sent events,
//! and patches prepared for display.

pub mod access;
pub mod compare;
pub mod database;
pub mod patch_view;
pub mod problem;
pub mod review;
pub mod run_list;
pub mod run_view;
pub mod sse;
pub mod workers;
