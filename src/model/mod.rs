//! The types that server and browser share: runs, pipelines, frames, and the answers of the API.
//!
//! Pure: knows neither tokio, wasm, SQL nor HTTP, and nothing else of this crate. [`wire`] has what exists only for
//! the API, the streams and the pages.

// Runs: requests, attempts and statuses.
pub mod attempt;
pub mod attempt_info;
pub mod origin;
pub mod placement;
pub mod queue;
pub mod retention;
pub mod run;
pub mod status;
pub mod time;

// The journal: frames and their payloads.
pub mod cursor;
pub mod frame;
pub mod kinds;
pub mod payload;

// Pipelines: what files declare, and which phases run.
pub mod condition;
pub mod extension;
pub mod form;
pub mod hook;
pub mod json_pointer;
pub mod limits;
pub mod notify;
pub mod param;
pub mod phase;
pub mod phase_condition;
pub mod pipeline;
pub mod plan;
pub mod retry_policy;
pub mod sandbox;
pub mod schedule;
pub mod secret;
pub mod trigger;

// Access: who may do what, and who did it.
pub mod audit;
pub mod identity;

// The server's address.
pub mod base;

// Rules that server and pages share.
pub mod backoff;
pub mod visible;

pub mod wire;

pub use attempt_info::AttemptInfo;
pub use base::{BasePath, BasePathError};
pub use cursor::{Cursor, CursorError};
pub use extension::{BuiltInPipeline, Linter, NamedCheck, PipelineExtension};
pub use form::FormPrefill;
pub use frame::{Frame, FrameRecord};
pub use hook::Hook;
pub use identity::{AuthMethod, CurrentUser, Role};
pub use kinds::{Log, LogStream, PhaseState};
pub use notify::NotifyTarget;
pub use origin::{OriginKind, RunOrigin};
pub use param::{Param, ParamError, ParamInput, ParamKind, ParamValue, Params};
pub use payload::FramePayload;
pub use phase::{ApprovalConditions, ApprovalRule, OutputMode, PhaseSpec};
pub use pipeline::{Pipeline, PipelineFileError, StartOptions};
pub use retention::Retention;
pub use run::{ApprovalDecision, ApprovalRequest, Phase, Pin, Run, RunId};
pub use schedule::{MissedPolicy, OverlapPolicy, Schedule, UpcomingRun};
pub use secret::Secrets;
pub use status::{FinalStatus, Status, Transition};
#[cfg(not(target_arch = "wasm32"))]
pub use time::SteadyClock;
pub use time::Timestamp;
pub use wire::database::{DatabaseHealth, DatabaseSize, DatabaseUsage, Outage, OutageKind};
pub use wire::problem::{Problem, ProblemCode};
pub use wire::run_list::{RunFilter, RunListUpdate, RunPage};
pub use wire::run_view::{FramePage, RunView};
pub use wire::{access, compare, patch_view, problem, review, sse, workers};
