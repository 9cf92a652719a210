//! The four phases of the built-in pipelines.

pub mod analyzing;
pub mod applying;
pub mod generating;
mod handover;
pub mod scanning;
mod unreadable;
