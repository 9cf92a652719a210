use proptest::prelude::*;

use super::*;

fn waiting(now: u64) -> Election {
    let mut election = Election::default();
    assert_eq!(election.handle(Happening::Begin { shared: true }, now), [Act::Request, Act::Ask]);
    election
}

#[test]
fn a_free_lock_makes_a_leader() {
    let mut tab = waiting(0);
    assert_eq!(tab.role(), Role::Follower);
    assert_eq!(tab.handle(Happening::Granted, 3), [Act::Lead]);
    assert_eq!((tab.role(), tab.deadline()), (Role::Leader, None));
}

#[test]
fn without_locks_or_channel_a_tab_works_alone() {
    let mut tab = Election::default();
    assert_eq!(tab.handle(Happening::Begin { shared: false }, 0), [Act::Lead]);
    assert_eq!((tab.role(), tab.connects()), (Role::Solo, true));
    let mut tab = waiting(0);
    assert_eq!(tab.handle(Happening::Refused, 1), [Act::Lead]);
    assert_eq!((tab.role(), tab.deadline()), (Role::Solo, None));
}

#[test]
fn a_leader_that_answers_is_left_alone() {
    let mut tab = waiting(0);
    let mut now = 0;
    for _ in 0..100 {
        assert_eq!(tab.handle(Happening::Echo, now + 1), []);
        assert_eq!(tab.handle(Happening::Leader, now + 2), []);
        now = tab.deadline().unwrap();
        assert_eq!(tab.handle(Happening::Tick, now), [Act::Ask]);
    }
}

#[test]
fn a_leader_that_misses_a_beat_is_replaced() {
    let mut tab = waiting(0);
    tab.handle(Happening::Leader, 10);
    assert_eq!(tab.handle(Happening::Tick, 10 + BEAT), [Act::Ask]);
    assert_eq!(tab.handle(Happening::Echo, 1012), []);
    assert_eq!(tab.deadline(), Some(1012 + ANSWER));
    assert_eq!(tab.handle(Happening::Tick, 1012 + ANSWER), [Act::Steal]);
    assert_eq!(tab.handle(Happening::Granted, 1720), [Act::Lead]);
}

#[test]
fn a_tab_that_was_not_awake_asks_again_before_it_takes_anything() {
    let mut tab = waiting(0);
    assert_eq!(tab.handle(Happening::Echo, 5), []);
    assert_eq!(tab.handle(Happening::Tick, 5 + ANSWER + LATE + 1), [Act::Ask]);
    assert_eq!(tab.handle(Happening::Leader, 5 + ANSWER + LATE + 2), [], "the answer had waited");
}

#[test]
fn a_tab_that_does_not_hear_itself_takes_nothing() {
    let mut tab = waiting(0);
    for now in (0..200_000).step_by(100) {
        assert!(!tab.handle(Happening::Tick, now).contains(&Act::Steal));
    }
}

#[test]
fn a_hidden_tab_takes_nothing_and_one_that_is_looked_at_asks_first() {
    let mut tab = waiting(0);
    tab.handle(Happening::Hidden, 1);
    assert_eq!(tab.deadline(), None);
    for now in [5000, 50_000, 500_000] {
        assert_eq!(tab.handle(Happening::Tick, now), []);
    }
    assert_eq!(tab.handle(Happening::Visible, 600_000), [Act::Ask]);
    assert_eq!(tab.handle(Happening::Leader, 600_001), []);
}

#[test]
fn who_was_robbed_stops_at_once_and_does_not_rob_back() {
    let mut tab = waiting(0);
    tab.handle(Happening::Granted, 1);
    assert_eq!(tab.handle(Happening::Taken, 500), [Act::Yield, Act::Request]);
    assert_eq!(tab.role(), Role::Follower);
    // Even from a leader that never answers, not before its time.
    let mut now;
    loop {
        now = tab.deadline().unwrap();
        assert!(now < 60_000, "but then it does");
        match tab.handle(Happening::Tick, now)[..] {
            [Act::Ask] => drop(tab.handle(Happening::Echo, now)),
            [Act::Steal] => break,
            _ => {}
        }
    }
    assert!(now >= 500 + PATIENCE.start(), "{now}");
}

#[test]
fn a_tab_that_is_left_lets_go_of_everything() {
    let mut tab = waiting(0);
    tab.handle(Happening::Granted, 1);
    assert_eq!(tab.handle(Happening::Left, 2), [Act::Yield, Act::Release]);
    assert_eq!(tab.handle(Happening::Granted, 3), [Act::Release]);
    assert_eq!(tab.handle(Happening::Taken, 3), []);
    assert_eq!(tab.handle(Happening::Begin { shared: true }, 4), [Act::Request, Act::Ask]);
    let mut tab = waiting(0);
    assert_eq!(tab.handle(Happening::Left, 2), [Act::Release]);
}

/// A browser: its tabs, the lock with its queue, the channel. Frozen tabs handle nothing; what they were sent waits.
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
    inbox: Vec<Happening>,
    open: bool,
    frozen: bool,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
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
            self.tabs[next].inbox.push(Happening::Granted);
        }
    }

    fn let_go(&mut self, tab: usize) {
        self.queue.retain(|&waits| waits != tab);
        if self.holder == Some(tab) {
            self.holder = None;
        }
    }

    fn act(&mut self, tab: usize, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Request => self.queue.push(tab),
                Act::Steal => {
                    self.steals.push(self.now);
                    self.queue.retain(|&waits| waits != tab);
                    if let Some(robbed) = self.holder.replace(tab) {
                        self.tabs[robbed].inbox.push(Happening::Taken);
                    }
                    self.tabs[tab].inbox.push(Happening::Granted);
                }
                Act::Release => self.let_go(tab),
                Act::Lead => self.post(tab, Happening::Leader),
                Act::Yield => {}
                Act::Ask => {
                    self.tabs[tab].inbox.push(Happening::Echo);
                    for other in 0..TABS {
                        if other != tab && self.tabs[other].open && self.tabs[other].election.connects() {
                            // A frozen one answers when it wakes, which is no answer.
                            if !self.tabs[other].frozen {
                                self.post(other, Happening::Leader);
                            }
                        }
                    }
                }
            }
        }
        self.grant_next();
    }

    fn post(&mut self, from: usize, happening: Happening) {
        for (other, tab) in self.tabs.iter_mut().enumerate() {
            if other != from && tab.open {
                tab.inbox.push(happening);
            }
        }
    }

    fn tell(&mut self, tab: usize, happening: Happening) {
        let acts = self.tabs[tab].election.handle(happening, self.now);
        self.act(tab, acts);
    }

    /// Delivers all that tabs that live can take.
    fn deliver(&mut self) {
        loop {
            let next = (0..TABS).find(|&tab| {
                let Tab { open, frozen, inbox, .. } = &self.tabs[tab];
                *open && !frozen && !inbox.is_empty()
            });
            let Some(tab) = next else { break };
            let happening = self.tabs[tab].inbox.remove(0);
            self.tell(tab, happening);
        }
        let leaders = self.leaders();
        assert!(leaders.len() <= 1, "two lead: {leaders:?}");
        assert!(leaders.iter().all(|&tab| self.holder == Some(tab)), "who leads has the lock");
    }

    fn leaders(&self) -> Vec<usize> {
        (0..TABS)
            .filter(|&tab| {
                let Tab { open, frozen, election, .. } = &self.tabs[tab];
                *open && !frozen && election.role() == Role::Leader
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
                    self.tell(tab, Happening::Tick);
                }
            }
            self.deliver();
        }
        self.now = until;
    }

    fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Open(tab) if !self.tabs[tab].open => {
                self.tabs[tab] = Tab { open: true, ..Tab::default() };
                self.tell(tab, Happening::Begin { shared: true });
            }
            Deed::Close(tab) if self.tabs[tab].open => {
                self.tabs[tab].open = false;
                self.let_go(tab);
                self.grant_next();
            }
            Deed::Freeze(tab) => self.tabs[tab].frozen = true,
            Deed::Thaw(tab) => self.tabs[tab].frozen = false,
            Deed::Hide(tab) if self.tabs[tab].open => self.tell(tab, Happening::Hidden),
            Deed::Show(tab) if self.tabs[tab].open => self.tell(tab, Happening::Visible),
            Deed::Wait(time) => self.wait(self.now + time),
            Deed::Open(_) | Deed::Close(_) | Deed::Hide(_) | Deed::Show(_) => {}
        }
        self.deliver();
    }
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let tab = 0..TABS;
    prop::collection::vec(
        prop_oneof![
            3 => tab.clone().prop_map(Deed::Open),
            1 => tab.clone().prop_map(Deed::Close),
            2 => tab.clone().prop_map(Deed::Freeze),
            2 => tab.clone().prop_map(Deed::Thaw),
            1 => tab.clone().prop_map(Deed::Hide),
            1 => tab.prop_map(Deed::Show),
            3 => (0u64..5000).prop_map(Deed::Wait),
        ],
        0..60,
    )
}

proptest! {
    /// Whatever tabs do, no two that live lead at once, and a tab that somebody looks at has a live leader in the end.
    #[test]
    fn one_leader_and_always_one_again(deeds in deeds()) {
        let mut browser = Browser::new();
        for deed in deeds {
            browser.carry_out(deed);
        }
        let looked_at = browser.tabs.iter().any(|tab| tab.open && !tab.frozen && tab.election.visible);
        // However often it was taken before, the wait for the next time has an end.
        browser.carry_out(Deed::Wait(PATIENCE.end() + 10_000));
        prop_assert_eq!(browser.leaders().len(), usize::from(looked_at || !browser.leaders().is_empty()));
    }

    /// A tab that freezes again and again whenever it leads makes the others take the lock ever more rarely.
    #[test]
    fn taking_is_bounded(pauses in prop::collection::vec(0u64..30_000, 0..400)) {
        let mut browser = Browser::new();
        (0..TABS).for_each(|tab| browser.carry_out(Deed::Open(tab)));
        for pause in pauses {
            if let [leader] = browser.leaders()[..] {
                (0..TABS).for_each(|tab| browser.carry_out(Deed::Thaw(tab)));
                browser.carry_out(Deed::Freeze(leader));
            }
            browser.carry_out(Deed::Wait(pause));
        }
        // Each tab: at once, then after 10 s, 20 s, 40 s, … up to 600 s between two.
        let each = |time: u64| 2 + (time / 10_000 + 1).ilog2() as u64 + time / PATIENCE.end();
        prop_assert!(browser.steals.len() as u64 <= TABS as u64 * each(browser.now), "{:?}", browser.steals);
    }
}
