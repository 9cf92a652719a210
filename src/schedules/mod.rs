//! When schedules are due. Pure: knows expressions, time zones and moments, and neither clock nor database.
//!
//! [`fields`] checks an expression field by field; [`rule`] says which times it means; [`due`] says what to start, given how far a schedule is done
//! and what time it is; [`missing`] when one that is gone is forgotten. Who looks, and writes what comes of it, is `runs/schedules.rs`.

pub mod due;
pub mod fields;
pub mod missing;
pub mod rule;

pub use due::{Due, Look, due};
pub use missing::Missing;
pub use rule::{BadRule, Rule};
