//! Secrets in what commands print: they are masked before anything is journaled.
//!
//! [`Patterns`] knows every spelling of the secrets of a run; a [`Masker`] replaces them in a stream of bytes. Pure.

pub(crate) mod files;
mod masker;
mod patterns;

pub use masker::Masker;
pub use patterns::Patterns;
