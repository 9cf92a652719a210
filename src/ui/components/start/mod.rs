//! The start form, generated from a pipeline's parameters.

mod edited_field;
mod field;
mod form;
mod lines;

pub use edited_field::EditedField;
pub use field::ParamField;
pub use form::{StartForm, boxes, focus, general, values};
