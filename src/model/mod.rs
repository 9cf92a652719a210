//! The words of Runtrail: run, status, frame, cursor, pipeline, problem.
//!
//! Pure: knows neither tokio nor wasm nor SQL nor HTTP, and nothing else of this crate. Server and browser share it.

pub mod access;
pub mod attempt;
pub mod audit;
pub mod base;
pub mod compare;
pub mod condition;
pub mod cursor;
pub mod form;
pub mod frame;
pub mod hook;
pub mod identity;
pub mod kinds;
pub mod limits;
pub mod notify;
pub mod origin;
pub mod outage;
pub mod param;
pub mod pipeline;
pub mod plan;
pub mod problem;
pub mod queue;
pub mod retention;
pub mod review;
pub mod run;
pub mod sandbox;
pub mod schedule;
pub mod secret;
pub mod sse;
pub mod status;
pub mod time;
pub mod trigger;
pub mod view;

pub use base::{BasePath, BasePathError};
pub use cursor::{Cursor, CursorError};
pub use form::FormPrefill;
pub use frame::{Frame, FramePayload, FrameRecord};
pub use hook::Hook;
pub use identity::{AuthMethod, CurrentUser, Role};
pub use kinds::{Log, LogStream, PhaseState};
pub use notify::NotifyTarget;
pub use origin::{OriginKind, RunOrigin};
pub use outage::{DatabaseHealth, Outage, OutageKind};
pub use param::{Param, ParamError, ParamInput, ParamKind, ParamValue, Params};
pub use pipeline::{
    ApprovalConditions, ApprovalRule, OutputMode, PhaseSpec, Pipeline, PipelineFileError, StartOptions,
};
pub use problem::{Problem, ProblemCode};
pub use retention::{DatabaseSize, DatabaseUsage, Retention};
pub use run::{
    ApprovalDecision, ApprovalRequest, FramePage, Phase, Pin, Run, RunFilter, RunId, RunListUpdate, RunPage, RunView,
};
pub use schedule::{MissedPolicy, OverlapPolicy, Schedule, UpcomingRun};
pub use secret::Secrets;
pub use status::{FinalStatus, Status, Transition};
#[cfg(not(target_arch = "wasm32"))]
pub use time::SteadyClock;
pub use time::Timestamp;
