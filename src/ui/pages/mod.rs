//! The pages, one per file.

mod access;
mod audit;
mod compare;
mod deliveries;
mod home;
mod not_found;
mod run;
mod schedules;
mod workers;

pub use access::AccessPage;
pub use audit::AuditLogPage;
pub use compare::ComparePage;
pub use deliveries::DeliveriesPage;
pub use home::HomePage;
pub use not_found::NotFound;
pub use run::RunPage;
pub use schedules::SchedulesPage;
pub use workers::WorkersPage;
