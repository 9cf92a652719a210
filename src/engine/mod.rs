//! Executes runs. It is the only place where a run's work starts, and it starts by winning the transition from pending
//! to running.
//!
//! From top to bottom: [`dispatch`] claims runs and [`recovery`] ends those whose worker is lost; [`attempt_runner`]
//! executes one attempt under its lease; [`phase_sequence`] runs its phases; [`phase_runner`] runs one phase with its
//! retries; [`command_runner`] follows one command. [`process`] starts commands as processes, each below a
//! [`supervisor`], so that none outlives the server.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod approval;
mod attempt;
mod attempt_runner;
mod background;
pub mod cgroup;
mod child;
mod claim;
mod clock;
mod command_runner;
mod commands;
pub mod confinement;
mod disk_monitor;
mod dispatch;
mod earlier_phases;
pub mod environment;
mod handle;
mod interruption;
mod lease_keeper;
mod lease_term;
mod meter;
mod oom;
mod options;
mod orphans;
mod outcome;
mod output;
mod output_masker;
pub mod own_process;
mod phase_report;
mod phase_runner;
mod phase_sequence;
mod pipe;
mod prepared_attempt;
mod process;
mod process_table;
mod recovery;
mod report;
mod row_frames;
pub mod run_as;
pub mod sandbox;
mod secrets;
mod shortage;
mod shortage_retry;
mod signals;
mod spawn;
mod state;
pub mod supervisor;
mod termination;
mod variables;
mod work_folder;

pub use commands::{
    CommandEvent, CommandLauncher, CommandSpec, Output, Outputs, Privileges, RunningCommand, Variables,
};
pub use dispatch::EngineTask;
pub use handle::Engine;
pub use options::EngineOptions;
pub use process::ProcessLauncher;
pub use report::{Exit, ProcessList, ServiceSignal};
