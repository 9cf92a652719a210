//! Runtrail: a dashboard for long, multi-phase runs. The journal is the only source: see ARCHITECTURE.md.
//!
//! This library is what server and browser share, and the browser's entry point. Its rooms, in the order a click passes
//! them: [`ui`], [`calls`], then on the server `service`, `engine`, `journal`, `store`; [`model`] is the words of all.

pub mod activity;
pub mod browser;
pub mod calls;
pub mod model;
