//! The forms of the dashboard that start and re-run runs: what they offer, and what they submit.

mod options;
mod submit;

pub use options::start_options;
pub use submit::{FormInput, rerun, start};
