//! The machine by its stories, and by every short story there is.

use proptest::prelude::*;

use super::Action::{CloseStream, OpenStream, Poll};
use super::*;

const INTERVALS: FeedIntervals = FeedIntervals { poll_ms: 3000, heartbeat_ms: 15_000 };

/// A page as the machine believes it to be: it does what the machine says, and holds it to its rules.
#[derive(Clone)]
struct Page {
    machine: PageConnection,
    now: u64,
    stream: bool,
    ready: bool,
    poll: bool,
    begun: bool,
    away: bool,
    gone: bool,
    visible: bool,
}

impl Page {
    fn new(active: bool) -> Self {
        Self {
            machine: PageConnection::new(INTERVALS, active),
            now: 1_000_000,
            stream: false,
            ready: false,
            poll: false,
            begun: false,
            away: false,
            gone: false,
            visible: true,
        }
    }

    fn begun(active: bool) -> Self {
        let mut page = Self::new(active);
        page.on(Event::Begin);
        page
    }

    fn live() -> Self {
        let mut page = Self::begun(true);
        page.on(Event::Ready { active: true, behind: false });
        assert_eq!(page.state(), ConnectionState::Live);
        page
    }

    fn state(&self) -> ConnectionState {
        self.machine.state()
    }

    /// An event comes after this time; what follows from it is checked against the rules.
    fn after(&mut self, wait: u64, event: Event) -> Vec<Action> {
        self.now += wait;
        match event {
            Event::Begin => self.begun = true,
            Event::Ready { .. } if self.stream => self.ready = true,
            Event::Polled { .. } | Event::PollFailed { .. } => self.poll = false,
            Event::Left => self.away = true,
            Event::Gone => self.gone = true,
            Event::Returned => (self.away, self.visible) = (false, true),
            Event::Hidden => self.visible = false,
            Event::Visible => self.visible = true,
            _ => {}
        }
        let actions = self.machine.handle(event, self.now, 0.5);
        for action in &actions {
            match action {
                OpenStream => {
                    assert!(!self.stream, "a second stream");
                    (self.stream, self.ready) = (true, false);
                }
                CloseStream => {
                    assert!(self.stream, "closes what is not open");
                    (self.stream, self.ready) = (false, false);
                }
                Poll => {
                    assert!(!self.poll, "a second poll");
                    self.poll = true;
                }
            }
        }
        let offline = self.state() == ConnectionState::Offline;
        assert_eq!(self.state() == ConnectionState::Live, self.ready && !offline, "the chip tells the truth");
        let deadline = self.machine.deadline();
        if self.away || self.gone || !self.begun {
            assert!(!self.stream && deadline.is_none(), "a page that is left does nothing");
            assert!(!actions.contains(&OpenStream) && !actions.contains(&Poll));
        } else if self.visible || !matches!(self.state(), ConnectionState::Ended | ConnectionState::Offline) {
            assert!(self.poll || deadline.is_some(), "it never falls asleep for good");
        }
        actions
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        self.after(0, event)
    }

    /// Lets time pass to the next deadline.
    fn tick(&mut self) -> Vec<Action> {
        let deadline = self.machine.deadline().expect("a deadline");
        self.after(deadline.saturating_sub(self.now), Event::Tick)
    }
}

const ANSWER: Event = Event::Polled { active: true, behind: false };
const FINISHED: Event = Event::Polled { active: false, behind: false };

#[test]
fn an_active_run_is_streamed() {
    let mut page = Page::new(true);
    assert_eq!(page.state(), ConnectionState::Connecting);
    assert_eq!(page.on(Event::Begin), [OpenStream]);
    assert_eq!(page.state(), ConnectionState::Connecting);
    assert_eq!(page.on(Event::Ready { active: true, behind: true }), []);
    assert_eq!(page.state(), ConnectionState::Live);
    assert_eq!(page.after(1000, Event::Heard), []);
    assert_eq!(page.on(Event::Active(false)), [], "the stream's end is waited for");
    assert_eq!(page.on(Event::End), [CloseStream]);
    assert_eq!(page.state(), ConnectionState::Ended);
}

#[test]
fn a_finished_run_has_no_stream_and_is_looked_at_now_and_then() {
    let mut page = Page::new(false);
    assert_eq!(page.state(), ConnectionState::Ended);
    assert_eq!(page.on(Event::Begin), []);
    let begin = page.now;
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.now - begin, INTERVALS.poll_ms);
    assert_eq!(page.on(FINISHED), []);
    assert_eq!(page.state(), ConnectionState::Ended);
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.on(Event::PollFailed { floor: 0 }), []);
    assert_eq!(page.state(), ConnectionState::Ended, "all frames are here, whether the server is or not");
    assert_eq!(page.tick(), [Poll]);
    // It was run again from elsewhere.
    assert_eq!(page.on(ANSWER), [OpenStream]);
    page.on(Event::Ready { active: true, behind: false });
    assert_eq!(page.state(), ConnectionState::Live);
}

#[test]
fn a_finished_run_that_has_more_frames_is_streamed_to_its_end() {
    let mut page = Page::begun(false);
    page.tick();
    assert_eq!(page.on(Event::Polled { active: false, behind: true }), [OpenStream, Poll]);
    assert_eq!(page.state(), ConnectionState::Polling);
    page.on(Event::Ready { active: false, behind: true });
    assert_eq!(page.state(), ConnectionState::Live);
    page.on(Event::End);
    assert_eq!(page.state(), ConnectionState::Ended);
}

#[test]
fn nobody_looks_at_a_finished_run_that_is_hidden() {
    let mut page = Page::begun(false);
    page.on(Event::Hidden);
    assert_eq!(page.machine.deadline(), None);
    assert_eq!(page.after(100_000, Event::Visible), [Poll]);
}

#[test]
fn a_rerun_from_this_page_opens_the_stream_at_once() {
    let mut page = Page::begun(false);
    assert_eq!(page.on(Event::Active(true)), [OpenStream]);
    assert_eq!(page.state(), ConnectionState::Connecting);
}

#[test]
fn a_rerun_that_crosses_the_end_is_noticed_soon() {
    let mut page = Page::live();
    page.on(Event::Active(true));
    page.on(Event::End);
    let end = page.now;
    assert_eq!(page.tick(), [Poll]);
    assert!(page.now - end <= 1000);
    assert_eq!(page.on(ANSWER), [OpenStream]);
}

#[test]
fn a_lost_stream_is_retried_and_polled_for_until_it_is_back() {
    let mut page = Page::live();
    assert_eq!(page.after(10_000, Event::Lost), [CloseStream]);
    assert_eq!(page.state(), ConnectionState::Retrying);
    assert_eq!(page.tick(), [OpenStream]);
    assert_eq!(page.state(), ConnectionState::Retrying);
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.on(ANSWER), []);
    assert_eq!(page.state(), ConnectionState::Polling);
    assert_eq!(page.on(Event::Lost), [CloseStream]);
    assert_eq!(page.state(), ConnectionState::Polling, "a further failure of the stream takes nothing from the polls");
    let mut polls = 0;
    for _ in 0..12 {
        for action in page.tick() {
            match action {
                Poll => {
                    polls += 1;
                    page.on(ANSWER);
                }
                OpenStream => {
                    page.on(Event::Lost);
                }
                CloseStream => {}
            }
            assert_eq!(page.state(), ConnectionState::Polling);
        }
    }
    assert!(polls >= 3);
    while !page.stream {
        if page.tick().contains(&Poll) {
            page.on(ANSWER);
        }
    }
    page.on(Event::Ready { active: true, behind: true });
    assert_eq!(page.state(), ConnectionState::Live);
    assert!(page.poll || page.machine.poll_due.is_none(), "no polls beside a stream");
}

#[test]
fn the_waits_grow_while_it_fails_and_begin_anew_after_a_good_stream() {
    let mut page = Page::begun(true);
    let mut waits = Vec::new();
    for _ in 0..7 {
        page.on(Event::Lost);
        let Stream::Waiting { until } = page.machine.stream else { panic!("waits") };
        waits.push(until - page.now);
        while !page.stream {
            if page.tick().contains(&Poll) {
                page.on(Event::PollFailed { floor: 0 });
            }
        }
    }
    assert_eq!(waits, [250, 500, 1000, 2000, 4000, 4000, 4000]);
    page.on(Event::Ready { active: true, behind: false });
    page.after(100, Event::Lost);
    assert_eq!(page.machine.failures, 8, "a stream that dies at once is one more failure");
    while !page.stream {
        page.tick();
    }
    page.on(Event::Ready { active: true, behind: false });
    page.after(STEADY, Event::Lost);
    assert_eq!(page.machine.failures, 1);
}

#[test]
fn a_stream_that_another_tab_has_is_not_waited_for() {
    let mut page = Page::live();
    page.on(Event::Lost);
    assert!(page.machine.wants_stream());
    assert_eq!(page.on(Event::Available), [OpenStream]);
    let before = page.machine.clone();
    assert_eq!(page.on(Event::Available), [], "once");
    assert_eq!(page.machine, before);
    let mut ended = Page::begun(false);
    assert!(!ended.machine.wants_stream());
    assert_eq!(ended.on(Event::Available), [], "an ended run wants none");
}

#[test]
fn a_run_that_finishes_while_it_is_polled_ends() {
    let mut page = Page::live();
    page.on(Event::Lost);
    page.on(Event::Tick);
    while !page.poll {
        page.tick();
    }
    let closed = page.on(FINISHED);
    assert_eq!(closed, [], "a stream that is being opened gets its 204");
    if page.stream {
        page.on(Event::Lost);
    }
    assert_eq!(page.state(), ConnectionState::Ended);
    assert!(!page.stream);
}

#[test]
fn a_server_that_is_away_is_asked_until_it_answers() {
    let mut page = Page::live();
    page.after(60_000, Event::Heard);
    page.on(Event::Lost);
    let start = page.now;
    while page.now < start + 120_000 {
        assert_eq!(page.state(), ConnectionState::Retrying);
        let before = page.now;
        for action in page.tick() {
            match action {
                Poll => drop(page.on(Event::PollFailed { floor: 0 })),
                OpenStream => drop(page.on(Event::Lost)),
                CloseStream => {}
            }
        }
        assert!(page.now - before <= 8000);
    }
    while !page.poll {
        page.tick();
        if page.stream {
            page.on(Event::Lost);
        }
    }
    page.on(FINISHED);
    assert_eq!(page.state(), ConnectionState::Ended);
}

#[test]
fn what_the_server_asks_for_is_kept_to() {
    let mut page = Page::begun(false);
    page.tick();
    page.on(Event::PollFailed { floor: 60_000 });
    assert_eq!(page.machine.deadline(), Some(page.now + 60_000));
}

#[test]
fn silence_is_a_lost_stream() {
    let mut page = Page::live();
    let heard = page.now;
    assert_eq!(page.machine.deadline(), Some(heard + 37_500));
    assert_eq!(page.after(20_000, Event::Heard), []);
    assert_eq!(page.machine.deadline(), Some(page.now + 37_500));
    assert_eq!(page.tick(), [CloseStream]);
    assert_eq!(page.state(), ConnectionState::Retrying);
}

#[test]
fn a_late_timer_is_no_silence() {
    let mut page = Page::live();
    // An hour of sleep: the timer comes first, what the network brought comes after it.
    assert_eq!(page.after(3_600_000, Event::Tick), []);
    assert_eq!(page.state(), ConnectionState::Live);
    assert_eq!(page.after(10, Event::Heard), []);
    assert_eq!(page.state(), ConnectionState::Live);
    // And when nothing comes, it was silence.
    page.after(3_600_000, Event::Tick);
    assert_eq!(page.tick(), [CloseStream]);
}

#[test]
fn who_comes_back_to_a_silent_page_waits_no_longer() {
    let mut page = Page::live();
    page.on(Event::Hidden);
    assert_eq!(page.after(3_600_000, Event::Visible), [CloseStream, OpenStream, Poll]);
    let mut page = Page::live();
    page.on(Event::Hidden);
    assert_eq!(page.after(10_000, Event::Visible), [], "a stream that is not silent is left alone");
}

#[test]
fn a_stream_that_is_held_back_is_polled_for_and_given_up() {
    let mut page = Page::begun(true);
    assert_eq!(page.tick(), [Poll]);
    page.on(ANSWER);
    assert_eq!(page.state(), ConnectionState::Polling);
    let mut given_up = false;
    for _ in 0..10 {
        let actions = page.tick();
        given_up |= actions.contains(&CloseStream);
        if actions.contains(&Poll) {
            page.on(ANSWER);
        }
    }
    assert!(given_up);
    assert_eq!(page.state(), ConnectionState::Polling);
}

#[test]
fn a_gap_is_polled_for_beside_the_stream_until_it_is_filled() {
    let mut page = Page::live();
    let heard = page.now;
    assert_eq!(page.on(Event::Missing), [Poll]);
    assert_eq!(page.on(Event::Missing), [], "one poll at a time");
    assert_eq!(page.on(Event::PollFailed { floor: 0 }), []);
    assert_eq!(page.state(), ConnectionState::Live);
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.on(Event::Polled { active: true, behind: true }), [Poll]);
    assert_eq!(page.on(ANSWER), []);
    assert_eq!(page.machine.deadline(), Some(heard + 37_500), "the watchdog alone");
}

#[test]
fn offline_is_believed_once_it_is_proven() {
    // A server on this machine is there without any network.
    let mut page = Page::live();
    assert_eq!(page.on(Event::Offline), [Poll]);
    page.on(ANSWER);
    assert_eq!(page.state(), ConnectionState::Live);
    // Elsewhere it is not.
    let mut page = Page::live();
    page.on(Event::Offline);
    assert_eq!(page.on(Event::PollFailed { floor: 0 }), [CloseStream]);
    assert_eq!(page.state(), ConnectionState::Offline);
    let back = page.after(5000, Event::Online);
    assert!(back.contains(&OpenStream) && back.contains(&Poll), "{back:?}");
    assert_eq!(page.state(), ConnectionState::Retrying);
    page.on(Event::Ready { active: true, behind: false });
    assert_eq!(page.state(), ConnectionState::Live);
}

#[test]
fn offline_ends_by_an_answer_even_if_the_browser_keeps_silent() {
    let mut page = Page::live();
    page.on(Event::Offline);
    page.on(Event::PollFailed { floor: 0 });
    while !page.poll {
        page.tick();
    }
    page.on(ANSWER);
    assert_eq!(page.state(), ConnectionState::Polling);
}

#[test]
fn a_page_that_is_left_closes_everything_and_one_that_is_kept_comes_back() {
    let mut page = Page::live();
    assert_eq!(page.on(Event::Left), [CloseStream]);
    assert_eq!(page.after(60_000, Event::Tick), []);
    assert_eq!(page.on(Event::Active(true)), []);
    let back = page.on(Event::Returned);
    assert!(back.contains(&OpenStream));
    page.on(Event::Ready { active: true, behind: true });
    assert_eq!(page.state(), ConnectionState::Live);

    let mut page = Page::begun(false);
    page.on(Event::Left);
    assert_eq!(page.after(60_000, Event::Returned), [Poll], "it may have been run again");
}

#[test]
fn a_run_that_is_gone_is_left_alone() {
    let mut page = Page::live();
    assert_eq!(page.on(Event::Gone), [CloseStream]);
    assert_eq!(page.state(), ConnectionState::Ended);
    assert_eq!(page.after(60_000, Event::Visible), []);
}

#[test]
fn late_events_of_a_closed_stream_are_nothing() {
    let mut page = Page::begun(false);
    for event in [Event::Ready { active: true, behind: true }, Event::Heard, Event::End, Event::Lost] {
        let before = page.machine.clone();
        assert_eq!(page.on(event), []);
        assert_eq!(page.machine, before);
    }
}

const EVENTS: [Event; 22] = [
    Event::Begin,
    Event::Ready { active: true, behind: false },
    Event::Ready { active: false, behind: true },
    Event::Heard,
    Event::End,
    Event::Lost,
    Event::Available,
    Event::Polled { active: true, behind: false },
    Event::Polled { active: false, behind: false },
    Event::Polled { active: false, behind: true },
    Event::PollFailed { floor: 0 },
    Event::Missing,
    Event::Active(true),
    Event::Active(false),
    Event::Gone,
    Event::Offline,
    Event::Online,
    Event::Hidden,
    Event::Visible,
    Event::Left,
    Event::Returned,
    Event::Tick,
];

/// Whether this can happen to this page: an answer needs a question.
fn possible(page: &Page, event: Event) -> bool {
    match event {
        Event::Polled { .. } | Event::PollFailed { .. } => page.poll,
        _ => true,
    }
}

#[test]
fn every_story_of_four_events_keeps_the_rules() {
    fn tell(page: &Page, left: usize) {
        for event in EVENTS.into_iter().filter(|&event| possible(page, event)) {
            for wait in [0, 40_000] {
                let mut next = page.clone();
                next.after(wait, event);
                if left > 1 {
                    tell(&next, left - 1);
                }
            }
        }
    }
    tell(&Page::new(true), 3);
    tell(&Page::begun(true), 4);
    tell(&Page::begun(false), 4);
    tell(&Page::live(), 4);
}

proptest! {
    #[test]
    fn long_stories_keep_the_rules(
        active in any::<bool>(),
        story in prop::collection::vec((0..EVENTS.len(), prop_oneof![Just(0u64), 0..5000u64, 0..100_000u64]), 0..300),
    ) {
        let mut page = Page::begun(active);
        for (event, wait) in story {
            if possible(&page, EVENTS[event]) {
                page.after(wait, EVENTS[event]);
            }
        }
    }

    /// Whatever happened: once the server answers again, a page somebody looks at gets where the run is.
    #[test]
    fn every_story_ends_well_when_the_server_answers(
        story in prop::collection::vec((0..EVENTS.len(), 0..20_000u64), 0..100),
        active in any::<bool>(),
    ) {
        let mut page = Page::begun(true);
        for (event, wait) in story {
            if possible(&page, EVENTS[event]) && EVENTS[event] != Event::Gone {
                page.after(wait, EVENTS[event]);
            }
        }
        page.on(Event::Returned);
        let patience = page.now + 60_000;
        let wanted = if active { ConnectionState::Live } else { ConnectionState::Ended };
        let mut idle = 0;
        while page.now < patience && idle < 3 {
            if page.poll {
                page.on(Event::Polled { active, behind: false });
            } else if page.stream && !page.ready {
                if active { page.on(Event::Ready { active, behind: false }) } else { page.on(Event::Lost) };
            } else if page.ready && !active {
                page.on(Event::End);
            } else if page.ready {
                page.after(1000, Event::Heard);
                idle += 1;
            } else {
                page.tick();
                idle += usize::from(page.state() == wanted);
            }
        }
        prop_assert_eq!(page.state(), wanted);
    }
}
