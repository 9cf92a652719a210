//! A leader, followers, their channel and a server together, wired as the hub wires them. Whatever is cut, lost or
//! late, every tab gets every frame in the end.

use proptest::prelude::*;

use super::*;
use crate::feed::{Action, ConnectionEvent, FeedBatch, FeedEvent, FeedIntervals, PageConnection, PollError};
use crate::feed::{SubscriptionPhase, Topic};
use crate::model::sse::{SseEvent, StreamPosition};
use crate::model::{Pin, RunId, Status};

const TABS: usize = 3;
/// The tab that leads. Elections have tests of their own.
const LEADER: usize = 0;
const INTERVALS: FeedIntervals = FeedIntervals { poll_ms: 3000, heartbeat_ms: 15_000 };

fn run_id() -> RunId {
    "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    /// The run writes so many frames.
    Write(u64),
    Finish,
    /// The server and its streams go away, or come back.
    SetUp(bool),
    CutStream,
    /// The server sends what it has.
    Send,
    /// A tab handles its next message, or misses it.
    Receive(usize),
    Miss(usize),
    AnswerPoll(usize),
    Wait(u64),
}

struct Tab {
    connection: PageConnection,
    phase: SubscriptionPhase,
    tracker: LeaderTracker,
    posted: u64,
    cursor: u64,
    inbox: Vec<Envelope>,
    is_polling: bool,
}

/// The response that the leader's stream reads.
struct Response {
    number: u64,
    cursor: u64,
    is_ready: bool,
    sent_at: u64,
}

struct World {
    now: u64,
    head: u64,
    is_final: bool,
    is_up: bool,
    tabs: Vec<Tab>,
    stream: LeaderStream<()>,
    subscriptions: TabSubscriptions,
    response: Option<Response>,
    /// The leader's own page has asked for a subscription that the stream may carry already.
    owes_opened: bool,
    /// Hidden leaders open streams earlier.
    is_visible: bool,
}

impl World {
    fn new(is_visible: bool) -> Self {
        let tab = || Tab {
            connection: PageConnection::new(INTERVALS, true),
            phase: SubscriptionPhase::Closed,
            tracker: LeaderTracker::default(),
            posted: 0,
            cursor: 0,
            inbox: Vec::new(),
            is_polling: false,
        };
        let mut world = Self {
            now: 1_000_000,
            head: 3,
            is_final: false,
            is_up: true,
            tabs: (0..TABS).map(|_| tab()).collect(),
            stream: LeaderStream::default(),
            subscriptions: TabSubscriptions::default(),
            response: None,
            owes_opened: false,
            is_visible,
        };
        (0..TABS).for_each(|tab| world.dispatch(tab, ConnectionEvent::Begin));
        world
    }

    fn requested(&self, tab: usize) -> SubscriptionSet {
        let mut requested = SubscriptionSet::default();
        if self.tabs[tab].phase.is_requested() {
            requested.insert(&Topic::Run(run_id()), self.tabs[tab].cursor);
        }
        requested
    }

    fn dispatch(&mut self, tab: usize, event: ConnectionEvent<'_>) {
        let Tab { connection, cursor, .. } = &mut self.tabs[tab];
        for action in connection.handle(event, *cursor, self.now, 0.5) {
            let phase = self.tabs[tab].phase;
            match action {
                Action::Subscribe => {
                    self.tabs[tab].phase = SubscriptionPhase::Pending;
                    self.on_changed(tab, true);
                }
                Action::Suspend if phase == SubscriptionPhase::Open => {
                    self.tabs[tab].phase = SubscriptionPhase::Pending;
                }
                Action::Unsubscribe if phase != SubscriptionPhase::Closed => {
                    self.tabs[tab].phase = SubscriptionPhase::Closed;
                    self.on_changed(tab, false);
                }
                Action::Suspend | Action::Unsubscribe => {}
                Action::Poll => self.tabs[tab].is_polling = true,
            }
        }
    }

    fn deliver(&mut self, tab: usize, events: FeedBatch) {
        for (_, event) in events {
            let Some(phase) = self.tabs[tab].phase.after(&event) else { continue };
            self.tabs[tab].phase = phase;
            let mut has_gap = false;
            if let FeedEvent::Frames { frames } = &event {
                let cursor = &mut self.tabs[tab].cursor;
                for seq in frames.iter().map(|frame| frame.parse::<u64>().unwrap()) {
                    has_gap |= seq > *cursor + 1;
                    *cursor += u64::from(seq == *cursor + 1);
                }
            }
            self.dispatch(tab, ConnectionEvent::Feed(&event));
            if has_gap {
                self.dispatch(tab, ConnectionEvent::GapFound);
            }
        }
    }

    fn on_changed(&mut self, tab: usize, asks: bool) {
        let want = self.requested(tab);
        if tab == LEADER {
            self.subscriptions.set("0", want);
            self.owes_opened |= asks;
            self.update_stream();
        } else {
            self.post(tab, TabMessage::Want { want, ask: asks });
        }
    }

    fn post(&mut self, from: usize, message: TabMessage) {
        self.tabs[from].posted += 1;
        let envelope = Envelope { from: from.to_string(), count: self.tabs[from].posted, message };
        for (tab, other) in self.tabs.iter_mut().enumerate() {
            if tab != from {
                other.inbox.push(Envelope::from_text(&envelope.to_text()).unwrap());
            }
        }
    }

    fn update_stream(&mut self) {
        self.stream.request(&self.subscriptions.union(), self.now);
        self.run_stream();
    }

    fn run_stream(&mut self) {
        loop {
            match self.stream.next_step(INTERVALS.max_silence_ms(), self.is_visible, self.now) {
                StreamStep::Wait => return,
                StreamStep::AskCursors => {
                    self.post(LEADER, TabMessage::Lead);
                    let own = self.requested(LEADER);
                    self.subscriptions.set("0", own);
                }
                StreamStep::Open => self.open_stream(),
                StreamStep::GiveUp => {
                    self.stream.lose(0, self.now, 0.5);
                    self.on_lost();
                }
            }
        }
    }

    fn open_stream(&mut self) {
        let (number, requested) = self.stream.next_request(self.subscriptions.union());
        let Some(&cursor) = requested.runs.get(&run_id()) else { return self.stream.close() };
        self.stream.replace(&requested, (), self.now);
        self.response = Some(Response { number, cursor, is_ready: false, sent_at: self.now });
    }

    fn on_lost(&mut self) {
        self.post(LEADER, TabMessage::Lost);
        self.deliver(LEADER, vec![(Topic::Run(run_id()), FeedEvent::Lost)]);
        self.update_stream();
    }

    fn on_signal(&mut self, number: u64, signal: StreamSignal) {
        for output in self.stream.on_signal(number, signal, INTERVALS.heartbeat_ms, self.now, 0.5) {
            match output {
                StreamOutput::Deliver(events) => {
                    if events.iter().any(|(_, event)| *event == FeedEvent::Ended) {
                        self.subscriptions.remove_run(&run_id());
                    }
                    self.post(LEADER, TabMessage::Feed { events: events.clone() });
                    self.deliver(LEADER, events);
                }
                StreamOutput::Lost { .. } => self.on_lost(),
                StreamOutput::LoginExpired => {}
            }
        }
        self.run_stream();
    }

    /// The server sends what the response lacks, or the response breaks.
    fn send(&mut self) {
        let Some(mut response) = self.response.take() else { return };
        if !self.is_up {
            return self.on_signal(response.number, StreamSignal::Closed);
        }
        let event = |event: &str, id: String, data: serde_json::Value| SseEvent {
            event: event.to_owned(),
            data: data.to_string(),
            last_event_id: id,
        };
        let mut events = Vec::new();
        if !std::mem::replace(&mut response.is_ready, true) {
            let status = if self.is_final { Status::Completed } else { Status::Running };
            let standing = StreamPosition { run: run_id(), head: self.head, status, attempt: 1 };
            events.push(event("ready", String::new(), serde_json::json!({ "runs": [standing], "list": false })));
        }
        for seq in response.cursor + 1..=self.head {
            events.push(event("message", format!("{}:{seq}", run_id()), seq.into()));
        }
        response.cursor = self.head;
        if self.is_final {
            events.push(event("end", String::new(), serde_json::json!({ "run": run_id() })));
        } else if events.is_empty() && self.now >= response.sent_at + INTERVALS.heartbeat_ms {
            let heads = serde_json::json!({ "heads": { run_id().to_string(): self.head } });
            events.push(event("heartbeat", String::new(), heads));
        }
        let number = response.number;
        if !events.is_empty() {
            response.sent_at = self.now;
            self.response = Some(response);
            self.on_signal(number, StreamSignal::Events(events));
        } else {
            self.response = Some(response);
        }
        if self.is_final && self.response.as_ref().is_some_and(|response| response.number == number) {
            self.response = None;
            self.on_signal(number, StreamSignal::Closed);
        }
    }

    fn receive(&mut self, tab: usize) {
        if self.tabs[tab].inbox.is_empty() {
            return;
        }
        let envelope = self.tabs[tab].inbox.remove(0);
        if tab == LEADER {
            self.run_stream();
            if let TabMessage::Want { want, ask } = envelope.message {
                let opened = self.stream.opened(&want);
                if ask && self.stream.is_ready() && !opened.is_empty() {
                    self.post(LEADER, TabMessage::Feed { events: opened });
                }
                self.subscriptions.set(&envelope.from, want);
                self.update_stream();
            }
        } else if envelope.message.is_from_leader() {
            let accept = self.tabs[tab].tracker.accept(&envelope);
            match envelope.message {
                TabMessage::Lead => self.on_changed(tab, self.tabs[tab].phase.is_requested()),
                TabMessage::Feed { events } => self.deliver(tab, events),
                TabMessage::Lost => self.deliver(tab, vec![(Topic::Run(run_id()), FeedEvent::Lost)]),
                _ => {}
            }
            if accept != Accept::InOrder && self.tabs[tab].phase == SubscriptionPhase::Open {
                self.on_changed(tab, true);
            }
        }
    }

    fn answer_poll(&mut self, tab: usize) {
        if !std::mem::take(&mut self.tabs[tab].is_polling) {
            return;
        }
        let event = if self.is_up {
            let cursor = &mut self.tabs[tab].cursor;
            *cursor = (*cursor + 10).min(self.head).max(*cursor);
            FeedEvent::Polled { head: self.head, is_active: !self.is_final, pin: Pin::default() }
        } else {
            FeedEvent::PollFailed(PollError::Unavailable { retry_after_ms: 0 })
        };
        self.dispatch(tab, ConnectionEvent::Feed(&event));
    }

    /// Lets time pass, with a tick at each deadline.
    fn wait(&mut self, until: u64) {
        loop {
            let tabs = self.tabs.iter().filter_map(|tab| tab.connection.deadline());
            let next = tabs.chain(self.stream.deadline(INTERVALS.max_silence_ms())).min();
            let Some(at) = next.filter(|&at| at <= until) else { break };
            self.now = self.now.max(at);
            self.run_stream();
            for tab in 0..TABS {
                if self.tabs[tab].connection.deadline().is_some_and(|at| at <= self.now) {
                    self.dispatch(tab, ConnectionEvent::Tick);
                }
            }
        }
        self.now = until;
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Write(count) if !self.is_final => self.head += count,
            Step::Finish => self.is_final = true,
            Step::SetUp(is_up) => self.is_up = is_up,
            Step::CutStream => {
                if let Some(response) = self.response.take() {
                    self.on_signal(response.number, StreamSignal::Closed);
                }
            }
            Step::Send => self.send(),
            Step::Receive(tab) => self.receive(tab),
            Step::Miss(tab) if tab != LEADER && !self.tabs[tab].inbox.is_empty() => {
                self.tabs[tab].inbox.remove(0);
            }
            Step::AnswerPoll(tab) => self.answer_poll(tab),
            Step::Wait(time_ms) => self.wait(self.now + time_ms),
            Step::Write(_) | Step::Miss(_) => {}
        }
        if std::mem::take(&mut self.owes_opened) && self.stream.is_ready() {
            let opened = self.stream.opened(&self.requested(LEADER));
            self.deliver(LEADER, opened);
        }
    }

    /// Everything works from now on: messages and polls are answered at once.
    fn settle(&mut self) {
        self.perform(Step::SetUp(true));
        for _ in 0..600 {
            self.perform(Step::Send);
            for tab in 0..TABS {
                while !self.tabs[tab].inbox.is_empty() {
                    self.perform(Step::Receive(tab));
                }
                self.perform(Step::AnswerPoll(tab));
            }
            self.perform(Step::Wait(100));
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tab = 0..TABS;
    let step = prop_oneof![
        4 => (1u64..20).prop_map(Step::Write),
        1 => prop::bool::weighted(0.1).prop_map(|ends| if ends { Step::Finish } else { Step::Write(1) }),
        2 => any::<bool>().prop_map(Step::SetUp),
        2 => Just(Step::CutStream),
        6 => Just(Step::Send),
        8 => tab.clone().prop_map(Step::Receive),
        2 => tab.clone().prop_map(Step::Miss),
        4 => tab.prop_map(Step::AnswerPoll),
        6 => prop_oneof![0u64..200, 0u64..20_000].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn tabs_get_every_frame_in_the_end(steps in steps(), is_visible in any::<bool>()) {
        let mut world = World::new(is_visible);
        for step in steps {
            world.perform(step);
        }
        world.settle();
        let expected = if world.is_final { "ended" } else { "live" };
        for tab in &world.tabs {
            prop_assert_eq!((tab.cursor, tab.connection.state().as_str()), (world.head, expected));
        }
        prop_assert_eq!(world.response.is_some(), !world.is_final, "one stream as long as there is something to stream");
    }
}
