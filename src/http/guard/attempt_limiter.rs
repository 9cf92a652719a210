//! Slows down guessing of tokens and signatures (docs/CONTRACT.md, "Access"). Pure: the caller passes the time.
//!
//! Each invalid credential delays its response. A client can disconnect and reconnect, so the delay is recorded here
//! and runs to its end even if the client is gone. A client with [`MAX_PENDING_DELAYS`] of them is throttled: its
//! credentials are not checked until one delay ends, valid or not. Otherwise the missing rejection would reveal a valid
//! guess at full speed. A client that sent a valid credential before is not locked out, since others behind the same
//! proxy could lock out the operator. (So behind one proxy only the length of the token protects, which is why the
//! server warns about short tokens.)

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::client::Client;

/// The delay of the first invalid credential. Each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest delay, so that a person who mistypes does not give up.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// After this long without an invalid credential, the delay starts over.
const FORGET_AFTER: Duration = Duration::from_secs(60);
const MAX_PENDING_DELAYS: usize = 4;
/// Beyond this, the client that was idle the longest is forgotten.
const MAX_CLIENTS: usize = 4096;

/// What to do about a credential.
#[derive(Debug, PartialEq, Eq)]
pub enum AttemptVerdict {
    Accept,
    /// It is invalid: reject it after this delay.
    Reject(Duration),
    /// Too many were invalid, so it was not checked. The client may retry after this time.
    Throttle(Duration),
}

/// The clients that sent credentials lately.
#[derive(Debug, Default)]
pub struct AttemptLimiter {
    clients: Mutex<HashMap<Client, ClientHistory>>,
}

#[derive(Debug)]
struct ClientHistory {
    /// Invalid credentials in a row, less than [`FORGET_AFTER`] apart.
    failures: u32,
    last_failure_at: Instant,
    /// When the pending delays end.
    delay_ends: Vec<Instant>,
    /// Whether it sent a valid credential before.
    has_succeeded: bool,
    last_seen_at: Instant,
}

impl ClientHistory {
    fn new(now: Instant) -> Self {
        Self { failures: 0, last_failure_at: now, delay_ends: Vec::new(), has_succeeded: false, last_seen_at: now }
    }
}

/// Forgets the client that was idle the longest, if there is no room for `client`.
fn make_room(clients: &mut HashMap<Client, ClientHistory>, client: Client) {
    if clients.len() >= MAX_CLIENTS && !clients.contains_key(&client) {
        let idle = clients.iter().min_by_key(|(_, history)| history.last_seen_at).map(|(client, _)| *client);
        idle.map(|idle| clients.remove(&idle));
    }
}

impl AttemptLimiter {
    /// Whether credentials of this client are not checked now. Never true for a client that succeeded before.
    pub fn is_throttled(&self, client: Client, now: Instant) -> bool {
        let clients = self.clients.lock();
        let pending = |history: &ClientHistory| history.delay_ends.iter().filter(|end| **end > now).count();
        clients.get(&client).is_some_and(|history| !history.has_succeeded && pending(history) >= MAX_PENDING_DELAYS)
    }

    /// How long until a throttled client may retry.
    pub fn retry_after(&self, client: Client, now: Instant) -> Duration {
        let clients = self.clients.lock();
        let ends = clients.get(&client).into_iter().flat_map(|history| &history.delay_ends).filter(|end| **end > now);
        ends.min().map_or(Duration::ZERO, |end| *end - now)
    }

    /// Whether this client sent a valid credential before.
    pub fn has_succeeded(&self, client: Client) -> bool {
        let clients = self.clients.lock();
        clients.get(&client).is_some_and(|history| history.has_succeeded)
    }

    /// Records that this client sent a valid credential that cannot be guessed.
    pub fn record_success(&self, client: Client, now: Instant) {
        let mut clients = self.clients.lock();
        make_room(&mut clients, client);
        let history = clients.entry(client).or_insert_with(|| ClientHistory::new(now));
        (history.has_succeeded, history.last_seen_at) = (true, now);
    }

    /// What to do about a credential that this client sends now. `is_strong`: whether valid credentials are too long to
    /// guess. Then a valid one is never throttled, because timing reveals nothing that helps a guess.
    pub fn check(&self, client: Client, is_valid: bool, is_strong: bool, now: Instant) -> AttemptVerdict {
        let mut clients = self.clients.lock();
        make_room(&mut clients, client);
        let history = clients.entry(client).or_insert_with(|| ClientHistory::new(now));
        history.last_seen_at = now;
        history.delay_ends.retain(|end| *end > now);
        if is_valid && is_strong {
            history.has_succeeded = true;
            return AttemptVerdict::Accept;
        }
        if let Some(end) = history.delay_ends.iter().min()
            && history.delay_ends.len() >= MAX_PENDING_DELAYS
            && !(is_valid && history.has_succeeded)
        {
            return AttemptVerdict::Throttle(*end - now);
        }
        if is_valid {
            history.has_succeeded = true;
            return AttemptVerdict::Accept;
        }
        if now - history.last_failure_at >= FORGET_AFTER {
            history.failures = 0;
        }
        let delay = MAX_DELAY.min(FIRST_DELAY * 2_u32.pow(history.failures.min(5)));
        history.failures += 1;
        history.last_failure_at = now;
        history.delay_ends.push(now + delay);
        AttemptVerdict::Reject(delay)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn client(number: u32) -> Client {
        Client::at(Some(IpAddr::V4(Ipv4Addr::from(number))))
    }

    /// Sends an invalid token and waits for its response.
    fn fail(limiter: &AttemptLimiter, client: Client, now: &mut Instant) -> u128 {
        let AttemptVerdict::Reject(delay) = limiter.check(client, false, false, *now) else { panic!("{limiter:?}") };
        *now += delay;
        delay.as_millis()
    }

    #[test]
    fn delay_doubles_up_to_a_limit_and_resets_after_a_minute() {
        let (limiter, mut now) = (AttemptLimiter::default(), Instant::now());
        for expected in [250, 500, 1000, 2000, 4000, 5000, 5000, 5000] {
            assert_eq!(fail(&limiter, client(1), &mut now), expected);
        }
        // The last failure was five seconds ago.
        now += FORGET_AFTER - Duration::from_millis(5001);
        assert_eq!(fail(&limiter, client(1), &mut now), 5000);
        now += FORGET_AFTER;
        assert_eq!(fail(&limiter, client(1), &mut now), 250);
        // Other clients are not affected.
        assert_eq!(fail(&limiter, client(2), &mut now), 250);
    }

    #[test]
    fn valid_token_is_accepted_after_invalid_ones() {
        let (limiter, mut now) = (AttemptLimiter::default(), Instant::now());
        for _ in 0..7 {
            fail(&limiter, client(1), &mut now);
        }
        assert_eq!(limiter.check(client(1), true, false, now), AttemptVerdict::Accept);
        // A success does not reset the delay.
        assert_eq!(fail(&limiter, client(1), &mut now), 5000);
    }

    #[test]
    fn throttled_client_learns_nothing_about_its_guess() {
        let (limiter, now) = (AttemptLimiter::default(), Instant::now());
        for _ in 0..MAX_PENDING_DELAYS {
            assert!(matches!(limiter.check(client(1), false, false, now), AttemptVerdict::Reject(_)));
        }
        for is_valid in [false, true, false] {
            assert_eq!(
                limiter.check(client(1), is_valid, false, now),
                AttemptVerdict::Throttle(FIRST_DELAY),
                "{is_valid}"
            );
        }
        // Other clients are not affected.
        assert_eq!(limiter.check(client(2), true, false, now), AttemptVerdict::Accept);
        // The first delay ends.
        assert_eq!(limiter.check(client(1), true, false, now + FIRST_DELAY), AttemptVerdict::Accept);
    }

    #[test]
    fn client_that_succeeded_is_not_locked_out() {
        let (limiter, now) = (AttemptLimiter::default(), Instant::now());
        assert_eq!(limiter.check(client(1), true, false, now), AttemptVerdict::Accept);
        for _ in 0..MAX_PENDING_DELAYS {
            limiter.check(client(1), false, false, now);
        }
        assert!(matches!(limiter.check(client(1), false, false, now), AttemptVerdict::Throttle(_)));
        assert_eq!(limiter.check(client(1), true, false, now), AttemptVerdict::Accept);
    }

    #[test]
    fn at_most_one_guess_per_second_is_checked() {
        let (limiter, start) = (AttemptLimiter::default(), Instant::now());
        let checked = (0..60_000).filter(|ms| {
            matches!(
                limiter.check(client(1), false, false, start + Duration::from_millis(*ms)),
                AttemptVerdict::Reject(_)
            )
        });
        let checked = checked.count();
        assert!((12..=60).contains(&checked), "{checked}");
    }

    #[test]
    fn strong_valid_token_is_never_throttled() {
        let (limiter, now) = (AttemptLimiter::default(), Instant::now());
        for _ in 0..MAX_PENDING_DELAYS {
            assert!(matches!(limiter.check(client(1), false, true, now), AttemptVerdict::Reject(_)));
        }
        assert!(matches!(limiter.check(client(1), false, true, now), AttemptVerdict::Throttle(_)));
        assert_eq!(limiter.check(client(1), true, true, now), AttemptVerdict::Accept);
    }

    #[test]
    fn client_that_was_idle_longest_is_forgotten() {
        let (limiter, start) = (AttemptLimiter::default(), Instant::now());
        let clients = u32::try_from(MAX_CLIENTS).unwrap();
        for number in 0..=clients {
            limiter.check(client(number), false, false, start + Duration::from_millis(number.into()));
        }
        let known = limiter.clients.lock();
        assert_eq!(known.len(), MAX_CLIENTS);
        assert!(
            !known.contains_key(&client(0)) && known.contains_key(&client(1)) && known.contains_key(&client(clients))
        );
    }
}
