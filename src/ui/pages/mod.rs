//! The pages, one a file.

mod compare;
mod home;
mod not_found;
mod run;

pub use compare::ComparePage;
pub use home::HomePage;
pub use not_found::NotFound;
pub use run::RunPage;
