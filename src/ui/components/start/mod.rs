//! The start form: made from the pipelines and their parameters.

mod field;
mod form;

pub use form::StartForm;
