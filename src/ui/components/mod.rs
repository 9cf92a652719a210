//! The parts that pages are made of.

pub mod actions;
pub mod activity;
pub mod again;
pub mod attempts;
pub mod code;
pub mod connection;
pub mod copy;
pub mod database;
pub mod icon;
pub mod keep;
pub mod notice;
pub mod notify_toggle;
pub mod outcome;
pub mod params;
pub mod phases;
pub mod popover;
pub mod queue;
pub mod review;
pub mod runs;
pub mod start;
pub mod status;
pub mod time;
pub mod top_bar;
pub mod upcoming;
pub mod visible;
