//! What exists only for the API, the streams and the pages: answers, pages of results, problems, server-sent events,
//! and patches prepared for display.

pub mod access;
pub mod compare;
pub mod database;
pub mod pages;
pub mod problem;
pub mod review;
pub mod sse;
pub mod view;
pub mod workers;
