//! Masks secrets in the output of commands before it is journaled.
//!
//! [`Patterns`] has the spellings of the secrets of a run; a [`Masker`] replaces them in a stream of bytes. Pure,
//! except for [`files`], which reads secrets.

pub(crate) mod files;
mod masker;
mod patterns;

pub use masker::{Masker, mask_json, mask_text};
pub use patterns::Patterns;
