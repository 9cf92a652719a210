//! Which tab leads. A pure machine around the browser's lock (Web Locks), which one tab at a time can hold.
//!
//! The lock goes to the next tab by itself when its holder is closed or crashes. It does not when the holder is frozen: then
//! the lock is held and nothing flows. So a tab that somebody looks at asks the leader now and then whether it is there, and
//! takes the lock from one that does not answer. Rules from the field (FACTS.md, section 3): only a visible tab takes it, only
//! when the tab has heard itself on the channel, ever more rarely; and who lost it stops at once.

/// How a tab takes part: the chip's `data-role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Holds the connection for all tabs.
    Leader,
    /// Hears from the leader.
    Follower,
    /// Works alone: the browser has no locks or no channel, or nothing is shown that needs one.
    Solo,
}

impl Role {
    /// The word in `data-role`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Solo => "solo",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The tab begins to take part, or does so again after it was left.
    Begin {
        /// Whether the browser has locks and a channel.
        shared: bool,
    },
    /// The lock is this tab's.
    Granted,
    /// Another tab took the lock.
    Taken,
    /// The browser does not give locks.
    Refused,
    /// The leader said something.
    Leader,
    /// This tab heard its own question on the channel.
    Echo,
    /// Somebody looks at the tab (again).
    Visible,
    /// Nobody sees the tab.
    Hidden,
    /// The tab is left.
    Left,
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Ask for the lock, and wait for it as long as it takes.
    Request,
    /// Take the lock from whoever holds it.
    Steal,
    /// Give the lock back, or call off the request for it.
    Release,
    /// Lead from now on: say so, and hold the connection.
    Lead,
    /// Lead no longer: close the connection.
    Yield,
    /// Ask the leader whether it is there.
    Ask,
}

/// The leader is asked after so many milliseconds of silence: one beat.
pub const BEAT: u64 = 1000;
/// A leader that has not answered so many milliseconds after the question was heard is frozen.
pub const ANSWER: u64 = 700;
/// A look that comes so much later than it should comes from a tab that was not awake.
const LATE: u64 = 1000;
/// A question that was not even heard by this tab itself says nothing about the leader; it is put again after this.
const DEAF: u64 = 5000;
/// After taking the lock, the wait until it may be taken again; doubled each time up to a limit.
const PATIENCE: std::ops::RangeInclusive<u64> = 10_000..=600_000;
/// Who has led for so long undisturbed has taken the lock rightly, and may be as quick next time.
const SETTLED: u64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not taking part.
    Away,
    /// The lock is asked for.
    Waiting,
    Leading {
        since: u64,
    },
    Alone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    asked: u64,
    heard: Option<u64>,
}

/// See the module's comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    phase: Phase,
    visible: bool,
    /// When the leader was heard last, or could not be expected to be.
    leader: u64,
    question: Option<Question>,
    /// How often the lock was taken, by this tab or from it, since things were settled.
    struggles: u32,
    /// Before this the lock is not taken.
    not_before: u64,
}

impl Default for Election {
    fn default() -> Self {
        Self { phase: Phase::Away, visible: true, leader: 0, question: None, struggles: 0, not_before: 0 }
    }
}

impl Election {
    /// What the chip says.
    pub const fn role(&self) -> Role {
        match self.phase {
            Phase::Away | Phase::Alone => Role::Solo,
            Phase::Waiting => Role::Follower,
            Phase::Leading { .. } => Role::Leader,
        }
    }

    /// Whether this tab holds a connection, for all or for itself.
    pub const fn connects(&self) -> bool {
        matches!(self.phase, Phase::Alone | Phase::Leading { .. })
    }

    /// When it wants to be ticked, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        match (self.phase, self.visible, self.question) {
            (Phase::Waiting, true, None) => Some(self.leader + BEAT),
            (Phase::Waiting, true, Some(Question { heard: Some(heard), .. })) => Some(heard + ANSWER),
            (Phase::Waiting, true, Some(Question { heard: None, asked })) => Some(asked + DEAF),
            (Phase::Waiting, false, _) | (Phase::Away | Phase::Leading { .. } | Phase::Alone, _, _) => None,
        }
    }

    /// Takes what happened at `now` (milliseconds of a clock that only goes forward).
    pub fn handle(&mut self, happening: Happening, now: u64) -> Vec<Act> {
        let mut acts = Vec::new();
        self.take(happening, now, &mut acts);
        self.settle(now, &mut acts);
        acts
    }

    fn take(&mut self, happening: Happening, now: u64, acts: &mut Vec<Act>) {
        match (happening, self.phase) {
            (Happening::Visible, _) => self.visible = true,
            (Happening::Hidden, _) => {
                self.visible = false;
                self.question = None;
            }
            (Happening::Begin { shared: true }, Phase::Away) => {
                self.phase = Phase::Waiting;
                acts.push(Act::Request);
                // At once: a lock that is free is ours before the answer is due.
                self.ask(now, acts);
            }
            (Happening::Begin { shared: false }, Phase::Away) | (Happening::Refused, Phase::Waiting) => {
                self.phase = Phase::Alone;
                self.question = None;
                acts.push(Act::Lead);
            }
            (Happening::Granted, Phase::Waiting) => {
                self.phase = Phase::Leading { since: now };
                self.question = None;
                acts.push(Act::Lead);
            }
            // It came too late.
            (Happening::Granted, Phase::Away) => acts.push(Act::Release),
            (Happening::Taken, Phase::Leading { since }) => {
                if now >= since + SETTLED {
                    self.struggles = 0;
                }
                self.struggle(now);
                self.phase = Phase::Waiting;
                self.leader = now;
                acts.extend([Act::Yield, Act::Request]);
            }
            (Happening::Leader, Phase::Waiting) => {
                self.leader = now;
                self.question = None;
            }
            (Happening::Echo, Phase::Waiting) => {
                if let Some(question) = &mut self.question {
                    question.heard.get_or_insert(now);
                }
            }
            (Happening::Left, Phase::Waiting | Phase::Leading { .. } | Phase::Alone) => {
                if self.connects() {
                    acts.push(Act::Yield);
                }
                acts.push(Act::Release);
                self.phase = Phase::Away;
                self.question = None;
            }
            // Nothing to do with where it is: a late word, or a tick.
            (
                Happening::Begin { .. }
                | Happening::Granted
                | Happening::Taken
                | Happening::Refused
                | Happening::Leader
                | Happening::Echo
                | Happening::Left
                | Happening::Tick,
                _,
            ) => {}
        }
    }

    fn settle(&mut self, now: u64, acts: &mut Vec<Act>) {
        if self.phase != Phase::Waiting || !self.visible {
            return;
        }
        match self.question {
            None if now >= self.leader + BEAT => self.ask(now, acts),
            // So late a look says that this tab slept or was busy: the answer may still wait to be handled.
            Some(Question { heard: Some(heard), .. }) if now > heard + ANSWER + LATE => self.ask(now, acts),
            Some(Question { heard: Some(heard), .. }) if now >= heard + ANSWER => {
                self.question = None;
                self.leader = now;
                if now >= self.not_before {
                    self.struggle(now);
                    acts.push(Act::Steal);
                }
            }
            Some(Question { heard: None, asked }) if now >= asked + DEAF => self.ask(now, acts),
            None | Some(_) => {}
        }
    }

    fn ask(&mut self, now: u64, acts: &mut Vec<Act>) {
        self.question = Some(Question { asked: now, heard: None });
        acts.push(Act::Ask);
    }

    fn struggle(&mut self, now: u64) {
        let wait = PATIENCE.start().saturating_mul(1 << self.struggles.min(16)).min(*PATIENCE.end());
        self.struggles = self.struggles.saturating_add(1);
        self.not_before = now + wait;
    }
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
