use proptest::prelude::*;

use super::*;

fn waiting(now: u64) -> Election {
    let mut election = Election::default();
    assert_eq!(
        election.handle(ElectionEvent::Begin { is_shared: true }, now),
        [ElectionAction::Request, ElectionAction::Ask]
    );
    election
}

#[test]
fn election_grants_a_free_lock() {
    let mut tab = waiting(0);
    assert_eq!(tab.role(), TabRole::Follower);
    assert_eq!(tab.handle(ElectionEvent::Granted, 3), [ElectionAction::Lead]);
    assert_eq!((tab.role(), tab.deadline()), (TabRole::Leader, None));
}

#[test]
fn election_is_skipped_without_locks_or_channel() {
    let mut tab = Election::default();
    assert_eq!(tab.handle(ElectionEvent::Begin { is_shared: false }, 0), [ElectionAction::Lead]);
    assert_eq!((tab.role(), tab.has_stream()), (TabRole::Solo, true));
    let mut tab = waiting(0);
    assert_eq!(tab.handle(ElectionEvent::Unavailable, 1), [ElectionAction::Lead]);
    assert_eq!((tab.role(), tab.deadline()), (TabRole::Solo, None));
}

#[test]
fn election_keeps_a_leader_that_answers() {
    let mut tab = waiting(0);
    let mut now = 0;
    for _ in 0..100 {
        assert_eq!(tab.handle(ElectionEvent::Echo, now + 1), []);
        assert_eq!(tab.handle(ElectionEvent::LeaderHeard, now + 2), []);
        now = tab.deadline().unwrap();
        assert_eq!(tab.handle(ElectionEvent::Tick, now), [ElectionAction::Ask]);
    }
}

#[test]
fn election_replaces_a_leader_that_misses_a_ping() {
    let mut tab = waiting(0);
    tab.handle(ElectionEvent::LeaderHeard, 10);
    assert_eq!(tab.handle(ElectionEvent::Tick, 10 + BEAT_MS), [ElectionAction::Ask]);
    assert_eq!(tab.handle(ElectionEvent::Echo, 1012), []);
    assert_eq!(tab.deadline(), Some(1012 + ANSWER_TIMEOUT_MS));
    assert_eq!(tab.handle(ElectionEvent::Tick, 1012 + ANSWER_TIMEOUT_MS), [ElectionAction::Steal]);
    assert_eq!(tab.handle(ElectionEvent::Granted, 1720), [ElectionAction::Lead]);
}

#[test]
fn election_pings_again_after_a_late_check() {
    let mut tab = waiting(0);
    assert_eq!(tab.handle(ElectionEvent::Echo, 5), []);
    assert_eq!(tab.handle(ElectionEvent::Tick, 5 + ANSWER_TIMEOUT_MS + LATE_CHECK_MS + 1), [ElectionAction::Ask]);
    assert_eq!(
        tab.handle(ElectionEvent::LeaderHeard, 5 + ANSWER_TIMEOUT_MS + LATE_CHECK_MS + 2),
        [],
        "the answer was queued"
    );
}

#[test]
fn election_never_steals_without_an_echo() {
    let mut tab = waiting(0);
    for now in (0..200_000).step_by(100) {
        assert!(!tab.handle(ElectionEvent::Tick, now).contains(&ElectionAction::Steal));
    }
}

#[test]
fn election_lets_only_visible_tabs_steal() {
    let mut tab = waiting(0);
    tab.handle(ElectionEvent::Hidden, 1);
    assert_eq!(tab.deadline(), None);
    for now in [5000, 50_000, 500_000] {
        assert_eq!(tab.handle(ElectionEvent::Tick, now), []);
    }
    assert_eq!(tab.handle(ElectionEvent::Visible, 600_000), [ElectionAction::Ask]);
    assert_eq!(tab.handle(ElectionEvent::LeaderHeard, 600_001), []);
}

#[test]
fn election_loser_stops_at_once_and_pauses() {
    let mut tab = waiting(0);
    tab.handle(ElectionEvent::Granted, 1);
    assert_eq!(tab.handle(ElectionEvent::Stolen, 500), [ElectionAction::Yield, ElectionAction::Request]);
    assert_eq!(tab.role(), TabRole::Follower);
    // It steals from a leader that never answers, but not before the pause ends.
    let mut now;
    loop {
        now = tab.deadline().unwrap();
        assert!(now < 60_000, "it steals in the end");
        match tab.handle(ElectionEvent::Tick, now)[..] {
            [ElectionAction::Ask] => drop(tab.handle(ElectionEvent::Echo, now)),
            [ElectionAction::Steal] => break,
            _ => {}
        }
    }
    assert!(now >= 500 + STEAL_PAUSE_MS.start(), "{now}");
}

#[test]
fn election_releases_everything_of_a_left_page() {
    let mut tab = waiting(0);
    tab.handle(ElectionEvent::Granted, 1);
    assert_eq!(tab.handle(ElectionEvent::Left, 2), [ElectionAction::Yield, ElectionAction::Release]);
    assert_eq!(tab.handle(ElectionEvent::Granted, 3), [ElectionAction::Release]);
    assert_eq!(tab.handle(ElectionEvent::Stolen, 3), []);
    assert_eq!(tab.handle(ElectionEvent::Begin { is_shared: true }, 4), [ElectionAction::Request, ElectionAction::Ask]);
    let mut tab = waiting(0);
    assert_eq!(tab.handle(ElectionEvent::Left, 2), [ElectionAction::Release]);
}

/// A browser: its tabs, the lock with its queue, the channel. Frozen tabs handle nothing; their inbox is kept.
struct Browser {
    now: u64,
    tabs: Vec<Tab>,
    holder: Option<usize>,
    queue: Vec<usize>,
    steals: Vec<u64>,
}

#[derive(Default)]
struct Tab {
    election: Election,
    inbox: Vec<ElectionEvent>,
    open: bool,
    frozen: bool,
}

#[derive(Clone, Copy, Debug)]
enum TabAction {
    Open(usize),
    Close(usize),
    Freeze(usize),
    Thaw(usize),
    Hide(usize),
    Show(usize),
    Wait(u64),
}

const TABS: usize = 4;

impl Browser {
    fn new() -> Self {
        let tabs = (0..TABS).map(|_| Tab::default()).collect();
        Self { now: 0, tabs, holder: None, queue: Vec::new(), steals: Vec::new() }
    }

    fn grant_next(&mut self) {
        if self.holder.is_none() && !self.queue.is_empty() {
            let next = self.queue.remove(0);
            self.holder = Some(next);
            self.tabs[next].inbox.push(ElectionEvent::Granted);
        }
    }

    fn release(&mut self, tab: usize) {
        self.queue.retain(|&waits| waits != tab);
        if self.holder == Some(tab) {
            self.holder = None;
        }
    }

    fn act(&mut self, tab: usize, actions: Vec<ElectionAction>) {
        for act in actions {
            match act {
                ElectionAction::Request => self.queue.push(tab),
                ElectionAction::Steal => {
                    self.steals.push(self.now);
                    self.queue.retain(|&waits| waits != tab);
                    if let Some(loser) = self.holder.replace(tab) {
                        self.tabs[loser].inbox.push(ElectionEvent::Stolen);
                    }
                    self.tabs[tab].inbox.push(ElectionEvent::Granted);
                }
                ElectionAction::Release => self.release(tab),
                ElectionAction::Lead => self.post(tab, ElectionEvent::LeaderHeard),
                ElectionAction::Yield => {}
                ElectionAction::Ask => {
                    self.tabs[tab].inbox.push(ElectionEvent::Echo);
                    for other in 0..TABS {
                        if other != tab && self.tabs[other].open && self.tabs[other].election.has_stream() {
                            // A frozen tab answers only when it wakes.
                            if !self.tabs[other].frozen {
                                self.post(other, ElectionEvent::LeaderHeard);
                            }
                        }
                    }
                }
            }
        }
        self.grant_next();
    }

    fn post(&mut self, from: usize, event: ElectionEvent) {
        for (other, tab) in self.tabs.iter_mut().enumerate() {
            if other != from && tab.open {
                tab.inbox.push(event);
            }
        }
    }

    fn send(&mut self, tab: usize, event: ElectionEvent) {
        let actions = self.tabs[tab].election.handle(event, self.now);
        self.act(tab, actions);
    }

    /// Delivers everything to the live tabs.
    fn deliver(&mut self) {
        loop {
            let next = (0..TABS).find(|&tab| {
                let Tab { open, frozen, inbox, .. } = &self.tabs[tab];
                *open && !frozen && !inbox.is_empty()
            });
            let Some(tab) = next else { break };
            let event = self.tabs[tab].inbox.remove(0);
            self.send(tab, event);
        }
        let leaders = self.leaders();
        assert!(leaders.len() <= 1, "two leaders: {leaders:?}");
        assert!(leaders.iter().all(|&tab| self.holder == Some(tab)), "the leader holds the lock");
    }

    fn leaders(&self) -> Vec<usize> {
        (0..TABS)
            .filter(|&tab| {
                let Tab { open, frozen, election, .. } = &self.tabs[tab];
                *open && !frozen && election.role() == TabRole::Leader
            })
            .collect()
    }

    fn wait(&mut self, until: u64) {
        loop {
            let due = self.tabs.iter().filter(|tab| tab.open && !tab.frozen);
            let next = due.filter_map(|tab| tab.election.deadline()).min().filter(|&at| at <= until);
            let Some(at) = next else { break };
            self.now = self.now.max(at);
            for tab in 0..TABS {
                let Tab { open, frozen, election, .. } = &self.tabs[tab];
                if *open && !frozen && election.deadline().is_some_and(|at| at <= self.now) {
                    self.send(tab, ElectionEvent::Tick);
                }
            }
            self.deliver();
        }
        self.now = until;
    }

    fn perform(&mut self, action: TabAction) {
        match action {
            TabAction::Open(tab) if !self.tabs[tab].open => {
                self.tabs[tab] = Tab { open: true, ..Tab::default() };
                self.send(tab, ElectionEvent::Begin { is_shared: true });
            }
            TabAction::Close(tab) if self.tabs[tab].open => {
                self.tabs[tab].open = false;
                self.release(tab);
                self.grant_next();
            }
            TabAction::Freeze(tab) => self.tabs[tab].frozen = true,
            TabAction::Thaw(tab) => self.tabs[tab].frozen = false,
            TabAction::Hide(tab) if self.tabs[tab].open => self.send(tab, ElectionEvent::Hidden),
            TabAction::Show(tab) if self.tabs[tab].open => self.send(tab, ElectionEvent::Visible),
            TabAction::Wait(time) => self.wait(self.now + time),
            TabAction::Open(_) | TabAction::Close(_) | TabAction::Hide(_) | TabAction::Show(_) => {}
        }
        self.deliver();
    }
}

fn tab_actions() -> impl Strategy<Value = Vec<TabAction>> {
    let tab = 0..TABS;
    prop::collection::vec(
        prop_oneof![
            3 => tab.clone().prop_map(TabAction::Open),
            1 => tab.clone().prop_map(TabAction::Close),
            2 => tab.clone().prop_map(TabAction::Freeze),
            2 => tab.clone().prop_map(TabAction::Thaw),
            1 => tab.clone().prop_map(TabAction::Hide),
            1 => tab.prop_map(TabAction::Show),
            3 => (0u64..5000).prop_map(TabAction::Wait),
        ],
        0..60,
    )
}

proptest! {
    /// Whatever tabs do, no two live tabs lead at once, and a visible tab has a live leader in the end.
    #[test]
    fn election_has_one_live_leader_in_the_end(tab_actions in tab_actions()) {
        let mut browser = Browser::new();
        for action in tab_actions {
            browser.perform(action);
        }
        let has_visible = browser.tabs.iter().any(|tab| tab.open && !tab.frozen && tab.election.is_visible);
        // However often the lock was stolen, the pause has an end.
        browser.perform(TabAction::Wait(STEAL_PAUSE_MS.end() + 10_000));
        prop_assert_eq!(browser.leaders().len(), usize::from(has_visible || !browser.leaders().is_empty()));
    }

    /// The others steal ever more rarely from a tab that freezes whenever it leads.
    #[test]
    fn election_bounds_thefts(pauses in prop::collection::vec(0u64..30_000, 0..400)) {
        let mut browser = Browser::new();
        (0..TABS).for_each(|tab| browser.perform(TabAction::Open(tab)));
        for pause in pauses {
            if let [leader] = browser.leaders()[..] {
                (0..TABS).for_each(|tab| browser.perform(TabAction::Thaw(tab)));
                browser.perform(TabAction::Freeze(leader));
            }
            browser.perform(TabAction::Wait(pause));
        }
        // Each tab: at once, then after 10 s, 20 s, 40 s, … up to 600 s between two.
        let each = |time: u64| 2 + (time / 10_000 + 1).ilog2() as u64 + time / STEAL_PAUSE_MS.end();
        prop_assert!(browser.steals.len() as u64 <= TABS as u64 * each(browser.now), "{:?}", browser.steals);
    }
}
