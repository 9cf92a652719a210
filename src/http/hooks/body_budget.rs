//! Memory for the bodies of hooks. They are read before the sender has proved anything, so their total size is bounded,
//! and memory is taken only for what has arrived.
//!
//! A small body counts nothing. A larger one takes permits as its bytes arrive, not for its declared size, so a
//! connection that sends nothing holds nothing. Clients that have proved a secret before have a pool of their own,
//! which others cannot exhaust.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::http::body::{MAX_HOOK_BODY_BYTES, problem};
use crate::model::{Problem, ProblemCode};

/// A body up to this size takes no permits.
const SMALL_BODY_BYTES: usize = 64 << 10;

/// The size of each pool. Beyond it, one body may always continue.
const POOL_KIB: usize = 32 << 10;

/// How many KiB a body takes at a time.
const GROWTH_KIB: u32 = 256;

/// How long a body may take, including waits for permits. Forges do not wait longer for a response.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The memory for bodies of hooks.
#[derive(Debug, Default)]
pub struct BodyBudget {
    proven: BudgetPool,
    unproven: BudgetPool,
}

/// The memory for one kind of sender.
#[derive(Debug)]
struct BudgetPool {
    /// Free memory, in KiB.
    free: Semaphore,
    /// The one body that may continue when nothing is free. Without it, half-read bodies could wait for each other
    /// forever.
    overflow: Semaphore,
}

impl Default for BudgetPool {
    fn default() -> Self {
        Self { free: Semaphore::new(POOL_KIB), overflow: Semaphore::new(1) }
    }
}

/// The permits of a body, released when dropped.
#[derive(Debug, Default)]
pub struct BudgetPermit<'a> {
    memory: Option<SemaphorePermit<'a>>,
    overflow: Option<SemaphorePermit<'a>>,
}

impl<'a> BudgetPermit<'a> {
    /// Takes permits until a body of `size` bytes fits.
    async fn grow(&mut self, pool: &'a BudgetPool, size: usize) {
        loop {
            let held_bytes = self.memory.as_ref().map_or(0, SemaphorePermit::num_permits) * 1024;
            if size <= SMALL_BODY_BYTES.max(held_bytes) || self.overflow.is_some() {
                return;
            }
            // The semaphores are never closed.
            tokio::select! {
                biased;
                Ok(more) = pool.free.acquire_many(GROWTH_KIB) => match &mut self.memory {
                    Some(permits) => permits.merge(more),
                    None => self.memory = Some(more),
                },
                Ok(overflow) = pool.overflow.acquire() => self.overflow = Some(overflow),
                else => return,
            }
        }
    }
}

/// What is known of a sender before its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTrust {
    /// It has proved a secret before.
    Proven,
    Unproven,
    /// It sent too many invalid signatures: only a small body is read.
    Throttled,
}

impl BodyBudget {
    /// Reads a body of this declared size.
    ///
    /// # Errors
    /// [`ProblemCode::BodyTooLarge`]; [`ProblemCode::RequestTimeout`]; [`ProblemCode::InvalidBody`]: it is incomplete;
    /// [`ProblemCode::TooManyAttempts`]: the sender is throttled, and the body is not small.
    pub async fn read(
        &self,
        sender: ClientTrust,
        declared_size: Option<u64>,
        body: Body,
    ) -> Result<(Bytes, BudgetPermit<'_>), Problem> {
        let timeout = |_| Problem::new(ProblemCode::RequestTimeout, "The body did not arrive in time.");
        tokio::time::timeout(READ_TIMEOUT, self.read_chunks(sender, declared_size, body)).await.map_err(timeout)?
    }

    async fn read_chunks(
        &self,
        sender: ClientTrust,
        declared_size: Option<u64>,
        body: Body,
    ) -> Result<(Bytes, BudgetPermit<'_>), Problem> {
        let declared = declared_size.and_then(|size| usize::try_from(size).ok()).unwrap_or_default();
        check_size(sender, declared)?;
        let pool = if sender == ClientTrust::Proven { &self.proven } else { &self.unproven };
        let (mut bytes, mut permit, mut size) = (Vec::new(), BudgetPermit::default(), 0);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| problem(&error))?;
            size += chunk.len();
            check_size(sender, size)?;
            permit.grow(pool, size).await;
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes.into(), permit))
    }
}

fn check_size(sender: ClientTrust, size: usize) -> Result<(), Problem> {
    if sender == ClientTrust::Throttled && size > SMALL_BODY_BYTES {
        let detail =
            "Wrong signatures from your address wait for their answers. Large bodies are read again after that.";
        return Err(Problem::new(ProblemCode::TooManyAttempts, detail));
    }
    if size > MAX_HOOK_BODY_BYTES {
        return Err(Problem::new(
            ProblemCode::BodyTooLarge,
            format!("A body has at most {MAX_HOOK_BODY_BYTES} bytes here."),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn body_of(chunks: usize, size: usize) -> Body {
        let chunk = Bytes::from(vec![b'x'; size]);
        let all = stream::iter((0..chunks).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
        // Yields before each chunk, so that bodies are read concurrently.
        Body::from_stream(all.then(async |chunk| {
            tokio::task::yield_now().await;
            chunk
        }))
    }

    /// A body that sends one chunk and never ends.
    fn stalled(size: usize) -> Body {
        let first = stream::once(async move { Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; size])) });
        Body::from_stream(first.chain(stream::pending()))
    }

    fn free(pool: &BudgetPool) -> usize {
        pool.free.available_permits()
    }

    #[tokio::test(start_paused = true)]
    async fn body_budget_counts_only_arrived_bytes_of_large_bodies() {
        let budget = BodyBudget::default();
        let (bytes, permit) = budget.read(ClientTrust::Unproven, None, body_of(4, 16 << 10)).await.unwrap();
        assert_eq!((bytes.len(), free(&budget.unproven)), (64 << 10, POOL_KIB));
        drop(permit);
        let (bytes, permit) = budget.read(ClientTrust::Unproven, Some(6 << 20), body_of(6, 1 << 20)).await.unwrap();
        assert_eq!((bytes.len(), free(&budget.unproven)), (6 << 20, POOL_KIB - (6 << 10)));
        assert_eq!(free(&budget.proven), POOL_KIB);
        drop(permit);
        assert_eq!(free(&budget.unproven), POOL_KIB);
    }

    #[tokio::test(start_paused = true)]
    async fn body_with_a_large_declared_size_blocks_no_others() {
        let budget = BodyBudget::default();
        let stalled_bodies = (0..1000).map(|_| budget.read(ClientTrust::Unproven, Some(25 << 20), stalled(100)));
        let stalled_bodies = futures::future::join_all(stalled_bodies);
        let all = async {
            let (bytes, _permit) = budget.read(ClientTrust::Unproven, None, body_of(25, 1 << 20)).await.unwrap();
            assert_eq!(bytes.len(), 25 << 20);
        };
        let started_at = tokio::time::Instant::now();
        tokio::select! {
            () = all => {}
            _ = stalled_bodies => panic!("a stalled body was read"),
        }
        assert!(started_at.elapsed() < Duration::from_secs(1), "{:?}", started_at.elapsed());
        let refused = budget.read(ClientTrust::Unproven, None, stalled(100)).await.unwrap_err();
        assert_eq!(refused.code, ProblemCode::RequestTimeout);
    }

    #[tokio::test(start_paused = true)]
    async fn unproven_senders_cannot_block_proven_ones() {
        let budget = BodyBudget::default();
        let unproven =
            futures::future::join_all((0..3).map(|_| budget.read(ClientTrust::Unproven, None, stalled(24 << 20))));
        let proven = async {
            tokio::task::yield_now().await;
            budget.read(ClientTrust::Proven, None, body_of(20, 1 << 20)).await.unwrap().0.len()
        };
        tokio::select! {
            biased;
            _ = unproven => panic!("a stalled body was read"),
            size = proven => assert_eq!(size, 20 << 20),
        }
    }

    /// All are read, although they are far larger than the pool together.
    #[tokio::test(start_paused = true)]
    async fn half_read_bodies_do_not_deadlock() {
        let budget = BodyBudget::default();
        let one =
            async || budget.read(ClientTrust::Unproven, None, body_of(24, 1 << 20)).await.map(|(bytes, _)| bytes.len());
        let all = futures::future::join_all((0..20).map(|_| one())).await;
        assert!(all.iter().all(|read| read.as_ref().is_ok_and(|size| *size == 24 << 20)), "{all:?}");
        assert_eq!((free(&budget.unproven), budget.unproven.overflow.available_permits()), (POOL_KIB, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_is_too_large_for_its_sender_is_rejected() {
        let budget = BodyBudget::default();
        for (sender, size, body, code) in [
            (ClientTrust::Proven, None, body_of(26, 1 << 20), ProblemCode::BodyTooLarge),
            (ClientTrust::Proven, Some(26 << 20), body_of(1, 10), ProblemCode::BodyTooLarge),
            (ClientTrust::Throttled, Some(1 << 20), stalled(0), ProblemCode::TooManyAttempts),
            (ClientTrust::Throttled, None, body_of(2, 64 << 10), ProblemCode::TooManyAttempts),
        ] {
            assert_eq!(budget.read(sender, size, body).await.unwrap_err().code, code, "{sender:?} {size:?}");
        }
        assert!(budget.read(ClientTrust::Throttled, Some(100), body_of(1, 100)).await.is_ok());
        assert_eq!(free(&budget.unproven), POOL_KIB);
    }
}
