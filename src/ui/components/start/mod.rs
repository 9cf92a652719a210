//! The start form: made from the pipelines and their parameters.

mod edited;
mod field;
mod form;
mod lines;

pub use edited::Edited;
pub use field::ParamField;
pub use form::{StartForm, boxes, focus, general, values};
