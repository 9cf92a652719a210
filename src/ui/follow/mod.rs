//! Keeps a run's page up to date: [`LiveRun`] is what the views read, and [`follow`] starts what feeds it in the
//! browser.

#[cfg(feature = "hydrate")]
mod follower;
mod live_run;

pub use live_run::{LiveRun, Row};

/// Follows the run until the owner is disposed of. `on_replaced` is called when the server has another history than
/// this page, so that the page must be loaded anew. Does nothing on the server.
pub fn follow(live: LiveRun, on_replaced: impl Fn() + 'static) {
    #[cfg(feature = "hydrate")]
    follower::RunFollower::begin(live, on_replaced);
    #[cfg(not(feature = "hydrate"))]
    let _ = (live, on_replaced);
}
