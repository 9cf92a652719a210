//! Executes runs. It is the only place where a run's work starts, and it starts by winning the transition from pending
//! to running.
//!
//! From top to bottom: [`dispatch`] claims runs and [`recovery`] ends those whose worker is lost; [`attempt_runner`]
//! executes one attempt under its lease; [`phase_sequence`] runs its phases; [`phase_runner`] runs one phase with its
//! retries; [`command_runner`] follows one command. [`command`] starts commands as processes, each below a
//! [`supervisor`], which ends it if no server is left, and [`adoption`] takes over those of an earlier server.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod adoption;
mod approval;
mod attempt;
mod attempt_runner;
mod background;
mod claim;
mod clock;
mod command;
mod command_runner;
mod disk_monitor;
mod dispatch;
mod earlier_phases;
mod handle;
mod interruption;
mod lease_keeper;
mod lease_term;
mod meter;
mod options;
mod outcome;
mod output;
mod phase_report;
mod phase_runner;
mod phase_sequence;
mod prepared_attempt;
mod recovery;
mod row_frames;
mod secrets;
mod shortage_retry;
mod signals;
mod state;
mod variables;
mod work_folder;

pub use command::handover::record::{Record, TimedRecord};
pub use command::launcher::{
    CommandEvent, CommandLauncher, CommandSpec, CommandToAdopt, OutputForm, Privileges, RecordSource, RunningCommand,
    StartedCommand, Variables,
};
pub use command::process::{Handover, ProcessLauncher};
pub use command::report::{Exit, ProcessList, ServiceSignal};
pub use command::{cgroup, confinement, environment, own_process, run_as, sandbox, supervisor};
pub use dispatch::EngineTask;
pub use handle::Engine;
pub use options::EngineOptions;
