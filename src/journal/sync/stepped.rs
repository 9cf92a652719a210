//! Replacements for the model checker. `watch` is tokio's own with a step before each use: each use is one atomic step,
//! for which tokio has tests of its own.

/// A point at which the checker may switch tasks.
fn step() {
    use shuttle::sync::atomic::{AtomicBool, Ordering};
    AtomicBool::new(false).load(Ordering::SeqCst);
}

/// The part of `tokio::sync::watch` that the journal uses.
pub mod watch {
    pub use tokio::sync::watch::Ref;
    use tokio::sync::watch::error::RecvError;

    use super::step;

    #[derive(Debug, Default)]
    pub struct Sender<T>(tokio::sync::watch::Sender<T>);

    impl<T> Sender<T> {
        pub fn new(value: T) -> Self {
            Self(tokio::sync::watch::Sender::new(value))
        }

        pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
            step();
            self.0.send_if_modified(modify)
        }

        pub fn borrow(&self) -> Ref<'_, T> {
            step();
            self.0.borrow()
        }

        pub fn subscribe(&self) -> Receiver<T> {
            step();
            Receiver(self.0.subscribe())
        }
    }

    #[derive(Debug)]
    pub struct Receiver<T>(tokio::sync::watch::Receiver<T>);

    impl<T> Receiver<T> {
        pub fn borrow(&self) -> Ref<'_, T> {
            step();
            self.0.borrow()
        }

        pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
            step();
            self.0.borrow_and_update()
        }

        pub async fn changed(&mut self) -> Result<(), RecvError> {
            step();
            self.0.changed().await
        }
    }
}

/// The part of `tokio::time` that the journal uses. Any wait may end at any moment.
pub mod time {
    use std::pin::pin;
    use std::time::Duration;

    use futures::poll;
    use shuttle::future::yield_now;
    use shuttle::rand::{Rng, thread_rng};
    pub use tokio::time::Instant;

    /// The time was over.
    #[derive(Debug)]
    pub struct Elapsed;

    pub async fn sleep(_: Duration) {
        yield_now().await;
    }

    pub async fn timeout_at<F: Future>(_: Instant, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        loop {
            match poll!(future.as_mut()) {
                std::task::Poll::Ready(output) => return Ok(output),
                std::task::Poll::Pending if thread_rng().gen_bool(0.5) => return Err(Elapsed),
                std::task::Poll::Pending => yield_now().await,
            }
        }
    }
}
