//! What is remembered of tokens and sessions, so that not every request asks the database, and the signals that end their streams.
//!
//! What was read is believed for [`FRESH`]: a token that another server revokes works there no longer after that time. Only what holds
//! is remembered, so that guesses take no memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::session;
use crate::model::Timestamp;
use crate::store::{Digest, StoreError, StoredSession, StoredToken};

/// How long what was read is believed.
const FRESH: Duration = Duration::from_secs(5);

/// How many are remembered; more are asked for each time.
const MOST: usize = 4096;

/// The time of the last use is written at most this often, in milliseconds.
const NEWS_MS: i64 = 60_000;

/// Lines about wrong tokens are written at most this often, in milliseconds: a guesser must not fill the disk.
const WRONG_MS: i64 = 1000;

/// What somebody has shown, as the database has it.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A named token.
    Token(StoredToken),
    /// A session.
    Session(StoredSession),
}

impl Credential {
    fn id(&self) -> &str {
        match self {
            Self::Token(token) => &token.id,
            Self::Session(session) => &session.id,
        }
    }

    fn holds(&self, now: Timestamp) -> bool {
        match self {
            Self::Token(token) => session::works(token, now),
            Self::Session(session) => session::holds(session, now),
        }
    }

    /// It was used at this moment.
    fn used(&mut self, now: Timestamp) {
        match self {
            Self::Token(token) => token.used_at = token.used_at.max(Some(now)),
            Self::Session(session) => session.seen_at = session.seen_at.max(now),
        }
    }
}

#[derive(Debug)]
struct Entry {
    credential: Credential,
    read_at: Instant,
    /// When its last use was written.
    written: Option<Timestamp>,
    ends: CancellationToken,
}

/// See the module.
#[derive(Debug)]
pub struct Known {
    entries: Mutex<HashMap<Digest, Entry>>,
    stop: CancellationToken,
    noted: Mutex<Option<Timestamp>>,
    noted_refused: Mutex<Option<Timestamp>>,
}

impl Known {
    /// Remembers nothing yet. Everything ends with `stop`.
    pub fn new(stop: &CancellationToken) -> Self {
        Self { entries: Mutex::default(), stop: stop.clone(), noted: Mutex::default(), noted_refused: Mutex::default() }
    }

    /// What ends everything.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has this digest and holds now, and the signal that it does no longer. `read` asks the database, and with
    /// `is_use` it counts as used. While that is away, what is
    /// remembered goes on to hold.
    ///
    /// # Errors
    /// It could not be read, and is not remembered.
    pub async fn find(
        &self,
        digest: &Digest,
        (now, is_use): (Timestamp, bool),
        read: impl AsyncFnOnce() -> Result<Option<Credential>, StoreError>,
    ) -> Result<Option<(Credential, CancellationToken)>, StoreError> {
        let remembered = self.lock().get(digest).is_some_and(|entry| entry.read_at.elapsed() < FRESH);
        if !remembered {
            match read().await {
                Ok(credential) => self.remember(digest, credential),
                Err(error) if !self.lock().contains_key(digest) => return Err(error),
                Err(_) => {}
            }
        }
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(digest) else { return Ok(None) };
        if !entry.credential.holds(now) {
            if let Some(entry) = entries.remove(digest) {
                entry.ends.cancel();
            }
            return Ok(None);
        }
        if is_use {
            entry.credential.used(now);
        }
        Ok(Some((entry.credential.clone(), entry.ends.clone())))
    }

    fn remember(&self, digest: &Digest, read: Option<Credential>) {
        let mut entries = self.lock();
        let Some(mut credential) = read else {
            if let Some(entry) = entries.remove(digest) {
                entry.ends.cancel();
            }
            return;
        };
        let read_at = Instant::now();
        if let Some(entry) = entries.get_mut(digest) {
            // What is remembered of its last use may be newer.
            if let (Credential::Session(new), Credential::Session(old)) = (&mut credential, &entry.credential) {
                new.seen_at = new.seen_at.max(old.seen_at);
            }
            (entry.credential, entry.read_at) = (credential, read_at);
            return;
        }
        if entries.len() >= MOST {
            // Their streams end, and come back: what is not remembered could not be ended later.
            entries.retain(|_, entry| {
                let stays = entry.read_at.elapsed() < FRESH;
                if !stays {
                    entry.ends.cancel();
                }
                stays
            });
        }
        let ends = self.stop.child_token();
        entries.insert(*digest, Entry { credential, read_at, written: None, ends });
    }

    /// Whether the last use is to be written: not more often than every minute.
    pub fn is_news(&self, digest: &Digest, now: Timestamp) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(digest) else { return false };
        let is_news = entry.written.is_none_or(|written| now.0.saturating_sub(written.0) >= NEWS_MS);
        if is_news {
            entry.written = Some(now);
        }
        is_news
    }

    /// The session or token with this id is over.
    pub fn forget(&self, id: &str) {
        self.lock().retain(|_, entry| {
            let stays = entry.credential.id() != id;
            if !stays {
                entry.ends.cancel();
            }
            stays
        });
    }

    /// The sessions that were made with this token are over.
    pub fn forget_of(&self, parent: &str) {
        self.lock().retain(|_, entry| {
            let is_of = matches!(&entry.credential, Credential::Session(session) if session.parent == parent);
            if is_of {
                entry.ends.cancel();
            }
            !is_of
        });
    }

    /// What is remembered, and whether each is a session.
    pub fn open(&self) -> Vec<(Digest, bool)> {
        let is_session = |entry: &Entry| matches!(entry.credential, Credential::Session(_));
        self.lock().iter().map(|(digest, entry)| (*digest, is_session(entry))).collect()
    }

    /// Whether a line about something wrong may be written now.
    pub fn may_note(&self, now: Timestamp) -> bool {
        may_note(&self.noted, now)
    }

    /// Whether a line about a refused request may be written now.
    pub fn may_note_refused(&self, now: Timestamp) -> bool {
        may_note(&self.noted_refused, now)
    }
}

/// At most once in [`WRONG_MS`].
fn may_note(noted: &Mutex<Option<Timestamp>>, now: Timestamp) -> bool {
    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
    let may = noted.is_none_or(|noted| now.0.saturating_sub(noted.0) >= WRONG_MS || now < noted);
    if may {
        *noted = Some(now);
    }
    may
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn session(seen_at: i64) -> Credential {
        Credential::Session(StoredSession {
            id: "s".into(),
            name: "anna".into(),
            role: Role::Viewer,
            digest: [1; 32],
            key_digest: None,
            parent: "p".into(),
            address: None,
            agent: None,
            created_at: Timestamp(0),
            seen_at: Timestamp(seen_at),
            expires_at: Timestamp(session::LONGEST_MS),
        })
    }

    async fn find(known: &Known, now: i64, is_use: bool, read: Option<Credential>) -> Option<CancellationToken> {
        let found = known.find(&[1; 32], (Timestamp(now), is_use), async || Ok(read)).await;
        found.unwrap().map(|(_, ends)| ends)
    }

    #[tokio::test]
    async fn only_use_keeps_a_session_from_being_idle() {
        for (is_use, holds) in [(true, true), (false, false)] {
            let known = Known::new(&CancellationToken::new());
            let ends = find(&known, 1, true, Some(session(0))).await.unwrap();
            assert!(find(&known, session::IDLE_MS - 1, is_use, Some(session(0))).await.is_some());
            assert_eq!(find(&known, session::IDLE_MS + 5, true, Some(session(0))).await.is_some(), holds);
            assert_eq!(ends.is_cancelled(), !holds);
        }
    }

    #[tokio::test]
    async fn what_is_over_ends_its_streams_and_only_those() {
        let known = Known::new(&CancellationToken::new());
        let ends = find(&known, 1, true, Some(session(0))).await.unwrap();
        known.forget("other");
        known.forget_of("other");
        assert!(!ends.is_cancelled());
        known.forget_of("p");
        assert!(ends.is_cancelled());
        assert!(find(&known, 2, true, None).await.is_none());
    }

    #[tokio::test]
    async fn database_that_is_away_ends_no_login() {
        let known = Known::new(&CancellationToken::new());
        find(&known, 1, true, Some(session(0))).await.unwrap();
        let away = || Err(StoreError::Gone);
        let digest = [1; 32];
        assert!(known.find(&digest, (Timestamp(2), true), async || away()).await.unwrap().is_some());
        assert!(known.find(&[2; 32], (Timestamp(2), true), async || away()).await.is_err());
    }

    #[test]
    fn last_use_is_written_once_a_minute_and_wrong_ones_once_a_second() {
        let known = Known::new(&CancellationToken::new());
        known.remember(&[1; 32], Some(session(0)));
        let news = [0, 1, NEWS_MS - 1, NEWS_MS].map(|now| known.is_news(&[1; 32], Timestamp(now)));
        assert_eq!(news, [true, false, false, true]);
        let noted = [0, 1, WRONG_MS - 1, WRONG_MS].map(|now| known.may_note(Timestamp(now)));
        assert_eq!(noted, [true, false, false, true]);
    }
}
