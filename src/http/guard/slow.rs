//! Wrong tokens are slowed down (CONTRACT.md, "Who may come in"), so that guessing one takes years.
//!
//! Pure: it is told the time and says what to do. Who must wait can hang up and come again, so a wait is noted here and
//! runs to its end without anyone waiting; and once a client has [`AT_ONCE`] of them, nothing it sends is looked at until
//! one ends, right or wrong: were a right token let through then, the refusals would tell right from wrong at full speed.
//! Someone who showed the right token before is let through all the same, else any neighbour behind the same proxy could
//! lock the operator out. (So behind one proxy the only shield is the token's length, which the start-up warning is about.)

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;

/// The first wrong token waits this long, each one after it twice as long.
const FIRST: Duration = Duration::from_millis(250);
/// No wait is longer: a person who mistypes should not give up.
const LONGEST: Duration = Duration::from_secs(5);
/// After this long without a wrong token the next one is a first one.
const FORGET: Duration = Duration::from_secs(60);
/// Waits of one client at the same time.
const AT_ONCE: usize = 4;
/// Clients remembered; then the one that was quiet the longest is forgotten.
const CLIENTS: usize = 4096;

/// What to do about a token that was shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right: go on.
    Right,
    /// It is wrong: say so after this time.
    Wrong(Duration),
    /// Too many were wrong: whatever it is, it was not looked at. Earliest after this time.
    Busy(Duration),
}

/// Who showed wrong tokens of late.
#[derive(Debug, Default)]
pub struct Slowdown {
    clients: Mutex<HashMap<Client, Past>>,
}

#[derive(Debug)]
struct Past {
    /// Wrong tokens in a row with less than [`FORGET`] between them.
    wrong: u32,
    /// When the last of them came.
    wrong_at: Instant,
    /// When the waits end that run now.
    waits: Vec<Instant>,
    /// It showed the right token before.
    proven: bool,
    /// When it was here last.
    seen: Instant,
}

impl Past {
    fn new(now: Instant) -> Self {
        Self { wrong: 0, wrong_at: now, waits: Vec::new(), proven: false, seen: now }
    }
}

/// Forgets the client that was quiet the longest, if there is no room for this one.
fn make_room(clients: &mut HashMap<Client, Past>, client: Client) {
    if clients.len() >= CLIENTS && !clients.contains_key(&client) {
        let quiet = clients.iter().min_by_key(|(_, past)| past.seen).map(|(client, _)| *client);
        quiet.map(|quiet| clients.remove(&quiet));
    }
}

impl Slowdown {
    /// Whether so many wrong tokens of this client wait that the next one is not looked at. Never of one that was right before.
    pub fn is_busy(&self, client: Client, now: Instant) -> bool {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |past: &Past| past.waits.iter().filter(|end| **end > now).count();
        clients.get(&client).is_some_and(|past| !past.proven && waits(past) >= AT_ONCE)
    }

    /// How long it is until the next token of this client is looked at.
    pub fn wait(&self, client: Client, now: Instant) -> Duration {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = clients.get(&client).into_iter().flat_map(|past| &past.waits).filter(|end| **end > now);
        ends.min().map_or(Duration::ZERO, |end| *end - now)
    }

    /// Whether this client was right before.
    pub fn is_proven(&self, client: Client) -> bool {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(&client).is_some_and(|past| past.proven)
    }

    /// This client was right, by something that cannot be guessed.
    pub fn prove(&self, client: Client, now: Instant) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut clients, client);
        let past = clients.entry(client).or_insert_with(|| Past::new(now));
        (past.proven, past.seen) = (true, now);
    }

    /// What to do about a token that this client shows now.
    /// Where every token is too long to be guessed (`is_strong`), a right one never waits: nothing is found out by who waits.
    pub fn judge(&self, client: Client, right: bool, is_strong: bool, now: Instant) -> Verdict {
        // Nothing in here panics half-way, so a poisoned lock guards sound data.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut clients, client);
        let past = clients.entry(client).or_insert_with(|| Past::new(now));
        past.seen = now;
        past.waits.retain(|end| *end > now);
        if right && is_strong {
            past.proven = true;
            return Verdict::Right;
        }
        if let Some(end) = past.waits.iter().min()
            && past.waits.len() >= AT_ONCE
            && !(right && past.proven)
        {
            return Verdict::Busy(*end - now);
        }
        if right {
            past.proven = true;
            return Verdict::Right;
        }
        if now - past.wrong_at >= FORGET {
            past.wrong = 0;
        }
        let wait = LONGEST.min(FIRST * 2_u32.pow(past.wrong.min(5)));
        past.wrong += 1;
        past.wrong_at = now;
        past.waits.push(now + wait);
        Verdict::Wrong(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn client(number: u32) -> Client {
        Client::at(Some(IpAddr::V4(Ipv4Addr::from(number))))
    }

    /// Shows a wrong token, and waits to the end.
    fn wrong(slow: &Slowdown, client: Client, now: &mut Instant) -> u128 {
        let Verdict::Wrong(wait) = slow.judge(client, false, false, *now) else { panic!("{slow:?}") };
        *now += wait;
        wait.as_millis()
    }

    #[test]
    fn each_wrong_token_waits_twice_as_long_up_to_a_limit_and_a_quiet_minute_forgets() {
        let (slow, mut now) = (Slowdown::default(), Instant::now());
        for expected in [250, 500, 1000, 2000, 4000, 5000, 5000, 5000] {
            assert_eq!(wrong(&slow, client(1), &mut now), expected);
        }
        // The last one came five seconds ago.
        now += FORGET - Duration::from_millis(5001);
        assert_eq!(wrong(&slow, client(1), &mut now), 5000);
        now += FORGET;
        assert_eq!(wrong(&slow, client(1), &mut now), 250);
        // Others are not slowed down by it.
        assert_eq!(wrong(&slow, client(2), &mut now), 250);
    }

    #[test]
    fn a_right_token_does_not_wait_even_after_wrong_ones() {
        let (slow, mut now) = (Slowdown::default(), Instant::now());
        for _ in 0..7 {
            wrong(&slow, client(1), &mut now);
        }
        assert_eq!(slow.judge(client(1), true, false, now), Verdict::Right);
        // And wins nothing for whoever guesses on.
        assert_eq!(wrong(&slow, client(1), &mut now), 5000);
    }

    #[test]
    fn guesses_at_once_are_not_looked_at_so_refusals_tell_nothing() {
        let (slow, now) = (Slowdown::default(), Instant::now());
        for _ in 0..AT_ONCE {
            assert!(matches!(slow.judge(client(1), false, false, now), Verdict::Wrong(_)));
        }
        for right in [false, true, false] {
            assert_eq!(slow.judge(client(1), right, false, now), Verdict::Busy(FIRST), "{right}");
        }
        // Someone else is someone else.
        assert_eq!(slow.judge(client(2), true, false, now), Verdict::Right);
        // The first wait ends.
        assert_eq!(slow.judge(client(1), true, false, now + FIRST), Verdict::Right);
    }

    #[test]
    fn who_was_right_before_is_not_locked_out_by_a_neighbour() {
        let (slow, now) = (Slowdown::default(), Instant::now());
        assert_eq!(slow.judge(client(1), true, false, now), Verdict::Right);
        for _ in 0..AT_ONCE {
            slow.judge(client(1), false, false, now);
        }
        assert!(matches!(slow.judge(client(1), false, false, now), Verdict::Busy(_)));
        assert_eq!(slow.judge(client(1), true, false, now), Verdict::Right);
    }

    #[test]
    fn at_most_one_guess_in_about_a_second_gets_an_answer_however_it_is_tried() {
        let (slow, start) = (Slowdown::default(), Instant::now());
        let answered = (0..60_000).filter(|ms| {
            matches!(slow.judge(client(1), false, false, start + Duration::from_millis(*ms)), Verdict::Wrong(_))
        });
        let answered = answered.count();
        assert!((12..=60).contains(&answered), "{answered}");
    }

    #[test]
    fn long_token_that_is_right_never_waits() {
        let (slow, now) = (Slowdown::default(), Instant::now());
        for _ in 0..AT_ONCE {
            assert!(matches!(slow.judge(client(1), false, true, now), Verdict::Wrong(_)));
        }
        assert!(matches!(slow.judge(client(1), false, true, now), Verdict::Busy(_)));
        assert_eq!(slow.judge(client(1), true, true, now), Verdict::Right);
    }

    #[test]
    fn memory_is_bounded_and_the_quietest_is_forgotten() {
        let (slow, start) = (Slowdown::default(), Instant::now());
        let clients = u32::try_from(CLIENTS).unwrap();
        for number in 0..=clients {
            slow.judge(client(number), false, false, start + Duration::from_millis(number.into()));
        }
        let known = slow.clients.lock().unwrap();
        assert_eq!(known.len(), CLIENTS);
        assert!(
            !known.contains_key(&client(0)) && known.contains_key(&client(1)) && known.contains_key(&client(clients))
        );
    }
}
