//! Which tab leads: a pure state machine around the browser's lock (Web Locks), which one tab at a time can hold.
//!
//! The browser passes the lock on when its holder is closed or crashes, but not when the holder is frozen: then the
//! lock is held and nothing flows. So a visible follower pings the leader, and steals the lock from one that does not
//! answer. To keep tabs from fighting, only a visible tab steals, only after it heard its own ping on the channel, and
//! with a pause that doubles; a tab that lost the lock stops leading at once.
//!
//! These times are the election's own: it negotiates a lock between tabs, and opens no connection that the stream's
//! backoff could cover.

/// The tab's part in the shared stream: the chip's `data-role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TabRole {
    /// Holds the stream for all tabs.
    Leader,
    /// Gets what the leader relays.
    Follower,
    /// Has a stream of its own, because the browser has no locks or no channel; or takes no part.
    Solo,
}

impl TabRole {
    /// The word in `data-role`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Solo => "solo",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionEvent {
    /// The tab begins to take part, or returns.
    Begin {
        /// Whether the browser has locks and a channel.
        is_shared: bool,
    },
    /// This tab holds the lock.
    Granted,
    /// Another tab stole the lock.
    Stolen,
    /// The browser refuses locks.
    Unavailable,
    /// The leader posted something.
    LeaderHeard,
    /// This tab received its own ping.
    Echo,
    Visible,
    Hidden,
    /// The page is left.
    Left,
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionAction {
    /// Request the lock, and wait for it without a limit.
    Request,
    /// Take the lock from its holder.
    Steal,
    /// Release the lock, or cancel the request for it.
    Release,
    /// Begin to lead: announce it, and open the stream.
    Lead,
    /// Stop leading: close the stream.
    Yield,
    /// Ping the leader.
    Ask,
}

/// The leader is pinged after this much silence.
pub const BEAT_MS: u64 = 1000;
/// A leader that has not answered this long after the ping's echo is frozen.
pub const ANSWER_TIMEOUT_MS: u64 = 700;
/// A check this late comes from a tab that slept or was busy: the answer may still be queued.
const LATE_CHECK_MS: u64 = 1000;
/// A ping without an echo says nothing about the leader. It is repeated after this.
const ECHO_TIMEOUT_MS: u64 = 5000;
/// The pause after a theft before this tab may steal, in milliseconds. It doubles with each theft, up to the end.
const STEAL_PAUSE_MS: std::ops::RangeInclusive<u64> = 10_000..=600_000;
/// A leader that was left alone for this long starts again with the shortest pause.
const SETTLED_AFTER_MS: u64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not taking part.
    Away,
    /// The lock is requested.
    Waiting,
    Leading {
        since: u64,
    },
    Alone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ping {
    sent_at: u64,
    echoed_at: Option<u64>,
}

/// See the module's comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    phase: Phase,
    is_visible: bool,
    /// When the leader was heard last, or could not have been heard.
    leader_heard_at: u64,
    ping: Option<Ping>,
    /// Thefts by this tab or from it, since the last settled leadership.
    contests: u32,
    /// The end of the pause before the next theft.
    steal_not_before: u64,
}

impl Default for Election {
    fn default() -> Self {
        Self { phase: Phase::Away, is_visible: true, leader_heard_at: 0, ping: None, contests: 0, steal_not_before: 0 }
    }
}

impl Election {
    /// What the chip shows.
    pub const fn role(&self) -> TabRole {
        match self.phase {
            Phase::Away | Phase::Alone => TabRole::Solo,
            Phase::Waiting => TabRole::Follower,
            Phase::Leading { .. } => TabRole::Leader,
        }
    }

    /// Whether this tab holds a stream, for all tabs or for itself.
    pub const fn has_stream(&self) -> bool {
        matches!(self.phase, Phase::Alone | Phase::Leading { .. })
    }

    /// When it wants a tick, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        match (self.phase, self.is_visible, self.ping) {
            (Phase::Waiting, true, None) => Some(self.leader_heard_at + BEAT_MS),
            (Phase::Waiting, true, Some(Ping { echoed_at: Some(echoed_at), .. })) => {
                Some(echoed_at + ANSWER_TIMEOUT_MS)
            }
            (Phase::Waiting, true, Some(Ping { echoed_at: None, sent_at })) => Some(sent_at + ECHO_TIMEOUT_MS),
            (Phase::Waiting, false, _) | (Phase::Away | Phase::Leading { .. } | Phase::Alone, _, _) => None,
        }
    }

    /// Handles an event. `now` is in milliseconds of a steady clock.
    pub fn handle(&mut self, event: ElectionEvent, now: u64) -> Vec<ElectionAction> {
        let mut actions = Vec::new();
        self.on_event(event, now, &mut actions);
        self.settle(now, &mut actions);
        actions
    }

    fn on_event(&mut self, event: ElectionEvent, now: u64, actions: &mut Vec<ElectionAction>) {
        match (event, self.phase) {
            (ElectionEvent::Visible, _) => self.is_visible = true,
            (ElectionEvent::Hidden, _) => {
                self.is_visible = false;
                self.ping = None;
            }
            (ElectionEvent::Begin { is_shared: true }, Phase::Away) => {
                self.phase = Phase::Waiting;
                actions.push(ElectionAction::Request);
                // If the lock is free, it is granted before the answer is due.
                self.ping(now, actions);
            }
            (ElectionEvent::Begin { is_shared: false }, Phase::Away) | (ElectionEvent::Unavailable, Phase::Waiting) => {
                self.phase = Phase::Alone;
                self.ping = None;
                actions.push(ElectionAction::Lead);
            }
            (ElectionEvent::Granted, Phase::Waiting) => {
                self.phase = Phase::Leading { since: now };
                self.ping = None;
                actions.push(ElectionAction::Lead);
            }
            // Too late: the page was left meanwhile.
            (ElectionEvent::Granted, Phase::Away) => actions.push(ElectionAction::Release),
            (ElectionEvent::Stolen, Phase::Leading { since }) => {
                if now >= since + SETTLED_AFTER_MS {
                    self.contests = 0;
                }
                self.note_contest(now);
                self.phase = Phase::Waiting;
                self.leader_heard_at = now;
                actions.extend([ElectionAction::Yield, ElectionAction::Request]);
            }
            (ElectionEvent::LeaderHeard, Phase::Waiting) => {
                self.leader_heard_at = now;
                self.ping = None;
            }
            (ElectionEvent::Echo, Phase::Waiting) => {
                if let Some(ping) = &mut self.ping {
                    ping.echoed_at.get_or_insert(now);
                }
            }
            (ElectionEvent::Left, Phase::Waiting | Phase::Leading { .. } | Phase::Alone) => {
                if self.has_stream() {
                    actions.push(ElectionAction::Yield);
                }
                actions.push(ElectionAction::Release);
                self.phase = Phase::Away;
                self.ping = None;
            }
            // Late events, and ticks.
            (
                ElectionEvent::Begin { .. }
                | ElectionEvent::Granted
                | ElectionEvent::Stolen
                | ElectionEvent::Unavailable
                | ElectionEvent::LeaderHeard
                | ElectionEvent::Echo
                | ElectionEvent::Left
                | ElectionEvent::Tick,
                _,
            ) => {}
        }
    }

    fn settle(&mut self, now: u64, actions: &mut Vec<ElectionAction>) {
        if self.phase != Phase::Waiting || !self.is_visible {
            return;
        }
        match self.ping {
            None if now >= self.leader_heard_at + BEAT_MS => self.ping(now, actions),
            Some(Ping { echoed_at: Some(echoed_at), .. }) if now > echoed_at + ANSWER_TIMEOUT_MS + LATE_CHECK_MS => {
                self.ping(now, actions)
            }
            Some(Ping { echoed_at: Some(echoed_at), .. }) if now >= echoed_at + ANSWER_TIMEOUT_MS => {
                self.ping = None;
                self.leader_heard_at = now;
                if now >= self.steal_not_before {
                    self.note_contest(now);
                    actions.push(ElectionAction::Steal);
                }
            }
            Some(Ping { echoed_at: None, sent_at }) if now >= sent_at + ECHO_TIMEOUT_MS => self.ping(now, actions),
            None | Some(_) => {}
        }
    }

    fn ping(&mut self, now: u64, actions: &mut Vec<ElectionAction>) {
        self.ping = Some(Ping { sent_at: now, echoed_at: None });
        actions.push(ElectionAction::Ask);
    }

    fn note_contest(&mut self, now: u64) {
        let wait = STEAL_PAUSE_MS.start().saturating_mul(1 << self.contests.min(16)).min(*STEAL_PAUSE_MS.end());
        self.contests = self.contests.saturating_add(1);
        self.steal_not_before = now + wait;
    }
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
