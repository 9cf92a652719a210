//! Starts and ends commands. [`launcher`] is the interface; [`process`] implements it with processes.
//!
//! Between the server and each command is a [`supervisor`]. It reads what the command prints, reports to the server
//! ([`report`], [`handover`]) and ends the command's processes, as [`termination`] decides. [`confinement`] limits what
//! commands can reach, and [`environment`] which variables they get.

pub(super) mod handover;
pub(super) mod launcher;
pub(super) mod orphans;
pub(super) mod process;
pub(super) mod report;
pub(super) mod shortage;

mod child;
mod connection;
mod oom;
mod output_masker;
mod pipe;
mod process_table;
mod termination;

pub mod cgroup;
pub mod confinement;
pub mod environment;
pub mod own_process;
pub mod run_as;
pub mod sandbox;
pub mod supervisor;
