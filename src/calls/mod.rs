//! Server functions: what pages request from the server. They are thin and typed: each calls one use case.
//!
//! None of them carries frames of a running page: those come by the stream and by polls, from the journal.

pub mod access;
mod attempts;
#[cfg(feature = "ssr")]
pub mod context;
mod database;
mod keyed_client;
mod review;
mod runs;
mod start;
pub mod triggers;
pub mod workers;

use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};

use crate::model::{Problem, ProblemCode};

pub use attempts::*;
pub use database::*;
pub use review::*;
pub use runs::*;
pub use start::*;

/// Failures of the connection become problems as well: of the network, of the arguments, or of the server.
impl FromServerFnError for Problem {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        // A response that cannot be decoded was written by something in between, such as a proxy.
        #[cfg(feature = "hydrate")]
        if matches!(
            error,
            ServerFnErrorErr::Request(_) | ServerFnErrorErr::Response(_) | ServerFnErrorErr::Deserialization(_)
        ) {
            leptos::logging::warn!("{error}");
            return Self::new(ProblemCode::Unreachable, UNREACHABLE);
        }
        let code = match &error {
            ServerFnErrorErr::Request(_) => ProblemCode::Unreachable,
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) | ServerFnErrorErr::Deserialization(_) => {
                ProblemCode::BadRequest
            }
            _ => ProblemCode::Internal,
        };
        let problem = Self::new(code, error.to_string());
        #[cfg(feature = "ssr")]
        let _ = context::respond_to_action::<()>(Err(problem.clone()));
        problem
    }
}

/// The detail of [`ProblemCode::Unreachable`].
#[cfg(feature = "hydrate")]
const UNREACHABLE: &str = "The page keeps retrying; nothing will be lost.";
