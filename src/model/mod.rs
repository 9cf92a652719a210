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
pub mod extension;
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
pub use extension::{BuiltInPipeline, Linter, NamedCheck, PipelineExtension};
pub use form::Filled;
pub use frame::{Body, Frame, Record};
pub use hook::Hook;
pub use identity::{Me, Role, Via};
pub use kinds::{Log, LogStream, PhaseState};
pub use notify::Notify;
pub use origin::{OriginKind, RunOrigin};
pub use outage::{DatabaseHealth, Outage, OutageKind};
pub use param::{Given, Param, ParamError, ParamKind, ParamValue, Params};
pub use pipeline::{Conditions, Gate, Offer, OutputMode, PhaseSpec, Pipeline, PipelineFault};
pub use problem::{Code, Problem};
pub use retention::{DatabaseSize, DatabaseUse, Retention};
pub use run::{Answer, FramePage, Listed, Phase, Pin, Question, Run, RunFilter, RunId, RunPage, RunView};
pub use schedule::{Missed, Overlap, Schedule, Upcoming};
pub use secret::Secrets;
pub use status::{End, Status, Transition};
#[cfg(not(target_arch = "wasm32"))]
pub use time::SteadyClock;
pub use time::Timestamp;
