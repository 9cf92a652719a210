use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

const MAX_SILENCE_MS: u64 = 37_500;
const HEARTBEAT_MS: u64 = 15_000;

/// A connection that notes when it is dropped.
struct Tracked(Rc<Cell<bool>>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

fn tracked() -> (Tracked, Rc<Cell<bool>>) {
    let is_closed = Rc::new(Cell::new(false));
    (Tracked(Rc::clone(&is_closed)), is_closed)
}

fn run(n: u32) -> RunId {
    format!("01939f1c-8f2a-7c3e-9d5b-{n:012x}").parse().unwrap()
}

fn set(runs: &[(u32, u64)], list: bool) -> SubscriptionSet {
    SubscriptionSet { runs: runs.iter().map(|&(n, cursor)| (run(n), cursor)).collect(), list }
}

fn event(event: &str, id: &str, data: String) -> SseEvent {
    SseEvent { event: event.to_owned(), data, last_event_id: id.to_owned() }
}

fn ready_event(runs: &[(u32, u64)], list: bool) -> SseEvent {
    let standing = |&(n, head): &(u32, u64)| StreamPosition { run: run(n), head, status: Status::Running, attempt: 1 };
    let runs: Vec<_> = runs.iter().map(standing).collect();
    event("ready", "", serde_json::json!({ "runs": runs, "list": list }).to_string())
}

fn frame_event(n: u32, seq: u64) -> SseEvent {
    event("message", &format!("{}:{seq}", run(n)), format!("{n}:{seq}"))
}

fn frames(n: u32, seqs: &[u64]) -> StreamOutput {
    let frames = seqs.iter().map(|seq| format!("{n}:{seq}")).collect();
    StreamOutput::Deliver(vec![(Topic::Run(run(n)), FeedEvent::Frames { frames })])
}

fn opened(n: u32, after: u64, head: u64) -> (Topic, FeedEvent) {
    (Topic::Run(run(n)), FeedEvent::Opened { after, head, is_active: true })
}

impl<S> LeaderStream<S> {
    fn open(&mut self, all: SubscriptionSet, stream: S, now: u64) -> u64 {
        let (number, requested) = self.next_request(all);
        self.replace(&requested, stream, now);
        number
    }

    fn signal(&mut self, signal: StreamSignal, now: u64) -> Vec<StreamOutput> {
        self.on_signal(self.number, signal, HEARTBEAT_MS, now, 1.0)
    }

    fn events(&mut self, events: Vec<SseEvent>, now: u64) -> Vec<StreamOutput> {
        self.signal(StreamSignal::Events(events), now)
    }

    fn step(&mut self, now: u64) -> StreamStep {
        self.next_step(MAX_SILENCE_MS, true, now)
    }

    /// When a stream would be opened for run 1, in milliseconds from now.
    fn wait_ms(&mut self, now: u64) -> u64 {
        self.request(&set(&[(1, 0)], false), now);
        self.open_at.expect("a planned stream") - now
    }
}

/// A stream of run 1 after seq 5, ready since 0.
fn ready() -> LeaderStream<()> {
    let mut stream = LeaderStream::default();
    stream.open(set(&[(1, 5)], false), (), 0);
    stream.events(vec![ready_event(&[(1, 9)], false)], 0);
    stream
}

#[test]
fn stream_opens_for_subscriptions_after_gathering_them() {
    let mut stream = LeaderStream::<()>::default();
    stream.request(&set(&[], false), 0);
    assert_eq!(stream.deadline(MAX_SILENCE_MS), None);
    stream.request(&set(&[(1, 0)], false), 0);
    stream.request(&set(&[(1, 0)], true), 10);
    assert_eq!(stream.deadline(MAX_SILENCE_MS), Some(GATHER_MS));
    assert_eq!((stream.step(GATHER_MS - 1), stream.step(GATHER_MS)), (StreamStep::Wait, StreamStep::Open));
    stream.request(&set(&[(1, 0)], false), 100);
    assert_eq!(stream.next_step(MAX_SILENCE_MS, false, 100), StreamStep::Open, "a hidden tab does not gather");
}

#[test]
fn stream_follows_the_subscriptions() {
    let planned = |carried: &[(u32, u64)], all: SubscriptionSet| {
        let mut stream = LeaderStream::default();
        stream.open(set(carried, false), (), 0);
        stream.request(&all, 0);
        (stream.stream.is_some(), stream.open_at)
    };
    assert_eq!(planned(&[(1, 5)], set(&[(1, 99)], false)), (true, None), "cursors do not matter");
    assert_eq!(planned(&[(1, 5)], set(&[(1, 5), (2, 0)], false)), (true, Some(GATHER_MS)));
    assert_eq!(planned(&[(1, 5)], set(&[(1, 5)], true)), (true, Some(GATHER_MS)));
    assert_eq!(planned(&[(1, 5)], set(&[], false)), (false, None));
    assert_eq!(planned(&[(1, 0), (2, 0)], set(&[(1, 0)], false)), (true, Some(SHRINK_AFTER_MS)));
    let mut stream = LeaderStream::default();
    stream.open(set(&[(1, 0), (2, 0)], false), (), 0);
    stream.end(run(2));
    stream.request(&set(&[(1, 0)], false), 0);
    assert_eq!(stream.open_at, None, "the ended run is not carried any more");
    stream.request(&set(&[(1, 0), (2, 7)], false), 0);
    assert_eq!(stream.open_at, Some(GATHER_MS), "it was re-run");
}

#[test]
fn stream_continues_after_what_was_delivered() {
    let mut stream = ready();
    assert_eq!(stream.opened(&set(&[(1, 0), (2, 0)], false)), [opened(1, 5, 9)]);
    stream.events((6..=12).map(|seq| frame_event(1, seq)).collect(), 0);
    assert_eq!(stream.opened(&set(&[(1, 0)], false)), [opened(1, 12, 12)], "the head is never behind the frames");
    let (number, next) = stream.next_request(set(&[(1, 5), (2, 3)], false));
    assert_eq!(next, set(&[(1, 12), (2, 3)], false));
    let late = StreamSignal::Events(vec![frame_event(1, 13)]);
    assert_eq!(stream.on_signal(number - 1, late, HEARTBEAT_MS, 0, 1.0), [], "the stream before is closed");
    stream.replace(&next, (), 0);
    assert_eq!(stream.next_request(set(&[(2, 8)], false)).1, set(&[(2, 8)], false), "a page may be ahead: it polled");
}

#[test]
fn delivered_frames_outlive_a_lost_stream_but_not_a_refused_one() {
    let mut stream = ready();
    stream.events(vec![frame_event(1, 6)], 0);
    stream.lose(0, 10, 0.5);
    assert_eq!(stream.next_request(set(&[(1, 5)], false)).1, set(&[(1, 6)], false));
    stream.open(set(&[(1, 5)], false), (), 20);
    stream.lose(0, 20, 0.5);
    assert_eq!(
        stream.next_request(set(&[(1, 2)], false)).1,
        set(&[(1, 2)], false),
        "the server may have another history"
    );
}

#[test]
fn closing_the_stream_drops_the_connection() {
    let mut stream = LeaderStream::default();
    let ((first, is_first_closed), (second, is_second_closed)) = (tracked(), tracked());
    stream.open(set(&[(1, 0)], false), first, 0);
    stream.open(set(&[(2, 0)], false), second, 0);
    assert!(is_first_closed.get() && !is_second_closed.get());
    stream.close();
    assert!(is_second_closed.get() && stream.carried().is_empty());
    assert_eq!(stream.deadline(MAX_SILENCE_MS), None);
}

#[test]
fn signals_become_feed_events_in_order() {
    let mut stream = LeaderStream::default();
    stream.open(set(&[(1, 5), (2, 0)], true), (), 0);
    let ready = stream.events(vec![ready_event(&[(1, 9), (2, 0)], true)], 0);
    let list = |event| (Topic::List, event);
    let list_opened = list(FeedEvent::Opened { after: 0, head: 0, is_active: true });
    assert_eq!(ready, [StreamOutput::Deliver(vec![opened(1, 5, 9), opened(2, 0, 0), list_opened])]);
    let outputs = stream.events(
        vec![
            frame_event(2, 1),
            frame_event(1, 6),
            frame_event(2, 2),
            event("list", "", "{}".to_owned()),
            frame_event(1, 7),
            event("end", "", serde_json::json!({ "run": run(1), "status": "failed", "head": 7 }).to_string()),
            event("unknown", "", "x".to_owned()),
            event("problem", "", serde_json::json!({ "run": run(2), "code": "run_not_found" }).to_string()),
        ],
        100,
    );
    let ended = |n| StreamOutput::Deliver(vec![(Topic::Run(run(n)), FeedEvent::Ended)]);
    let listed = StreamOutput::Deliver(vec![list(FeedEvent::Listed { run: "{}".to_owned() })]);
    assert_eq!(outputs, [frames(1, &[6]), frames(2, &[1, 2]), listed, frames(1, &[7]), ended(1), ended(2)]);
    assert_eq!(stream.carried(), set(&[], true));
}

#[test]
fn quiet_topics_hear_that_a_busy_stream_is_alive() {
    let mut stream = ready();
    assert_eq!(stream.events(vec![frame_event(1, 6)], HEARTBEAT_MS - 1), [frames(1, &[6])]);
    let alive = |head| StreamOutput::Deliver(vec![(Topic::Run(run(1)), FeedEvent::Alive { head })]);
    assert_eq!(stream.events(vec![frame_event(1, 7)], HEARTBEAT_MS), [frames(1, &[7]), alive(7)]);
    let heads = serde_json::json!({ "heads": { run(1).to_string(): 9 } }).to_string();
    assert_eq!(stream.events(vec![event("heartbeat", "", heads)], HEARTBEAT_MS + 1), [alive(9)]);
}

#[test]
fn complete_stream_ends_its_runs_and_stays_closed() {
    let mut stream = LeaderStream::default();
    stream.open(set(&[(1, 5)], false), (), 0);
    let ended = StreamOutput::Deliver(vec![(Topic::Run(run(1)), FeedEvent::Ended)]);
    let last = (Topic::Run(run(1)), FeedEvent::Opened { after: 5, head: 5, is_active: true });
    assert_eq!(stream.signal(StreamSignal::Complete, 0), [StreamOutput::Deliver(vec![last]), ended]);
    assert_eq!((stream.stream, stream.failures), (None, 0));
    // So does one that the server closes once all runs have ended.
    let mut stream = ready();
    stream.end(run(1));
    assert_eq!(stream.signal(StreamSignal::Closed, 0), []);
    assert_eq!((stream.stream, stream.failures), (None, 0));
}

#[test]
fn refused_stream_is_lost_unless_the_login_has_expired() {
    for (status, is_rejected) in [(503, false), (429, false), (404, true), (409, true)] {
        let mut stream = LeaderStream::default();
        stream.open(set(&[(1, 5)], false), (), 0);
        let outputs = stream.signal(StreamSignal::Refused { status, retry_after_ms: 0 }, 0);
        assert_eq!((outputs, stream.failures), (vec![StreamOutput::Lost { is_rejected }], 1), "{status}");
    }
    let refused = StreamSignal::Refused { status: 401, retry_after_ms: 0 };
    assert_eq!(ready().signal(refused, 0), [StreamOutput::LoginExpired]);
    let problem = |code: &str| vec![event("problem", "", serde_json::json!({ "code": code }).to_string())];
    assert_eq!(ready().events(problem("unauthorized"), 0), [StreamOutput::LoginExpired]);
    assert_eq!(ready().events(problem("database_unavailable"), 0), [StreamOutput::Lost { is_rejected: false }]);
    assert_eq!(ready().signal(StreamSignal::Closed, 0), [StreamOutput::Lost { is_rejected: false }]);
}

#[test]
fn waits_grow_also_when_the_stream_is_cut_after_its_first_event() {
    let mut stream = LeaderStream::default();
    let mut waits = Vec::new();
    for _ in 0..7 {
        stream.open(set(&[(1, 0)], false), (), 1000);
        stream.events(vec![ready_event(&[], false)], 1000);
        stream.lose(0, 1000, 1.0);
        waits.push(stream.wait_ms(1000));
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    // One that lived was a good one.
    stream.open(set(&[(1, 0)], false), (), 10_000);
    stream.events(vec![ready_event(&[], false)], 10_000);
    stream.lose(0, 10_000 + STABLE_AFTER_MS, 1.0);
    assert_eq!(stream.wait_ms(10_000 + STABLE_AFTER_MS), 500);
}

#[test]
fn lost_stream_is_opened_again_with_the_cursors_of_all_tabs() {
    let mut stream = ready();
    stream.lose(0, 0, 1.0);
    stream.request(&set(&[(1, 5)], false), 0);
    assert_eq!((stream.step(499), stream.step(500)), (StreamStep::Wait, StreamStep::AskCursors));
    // Their answers are gathered.
    stream.request(&set(&[(1, 8)], false), 505);
    assert_eq!(stream.step(505 + GATHER_MS - 1), StreamStep::Wait);
    assert_eq!(stream.step(500 + CURSOR_WAIT_MS), StreamStep::Open);
    assert_eq!(stream.deadline(MAX_SILENCE_MS), None);
}

#[test]
fn hurry_ends_the_backoff_but_not_the_servers_wait() {
    let mut stream = ready();
    stream.lose(5000, 0, 0.0);
    stream.hurry();
    assert_eq!(stream.wait_ms(100), 4900);
    let mut stream = ready();
    stream.lose(0, 0, 1.0);
    stream.hurry();
    assert_eq!(stream.wait_ms(100), GATHER_MS);
}

#[test]
fn silent_stream_is_given_up_but_not_by_a_late_check() {
    let mut stream = ready();
    assert_eq!((stream.step(10), stream.deadline(MAX_SILENCE_MS)), (StreamStep::Wait, Some(MAX_SILENCE_MS)));
    assert_eq!(stream.step(MAX_SILENCE_MS), StreamStep::GiveUp);
    // After an hour of sleep, queued events come first.
    let hour = 3_600_000;
    assert_eq!(stream.step(hour), StreamStep::Wait);
    stream.events(vec![frame_event(1, 6)], hour + 5);
    assert_eq!(stream.step(hour + 10), StreamStep::Wait);
    assert_eq!(stream.deadline(MAX_SILENCE_MS), Some(hour + 5 + MAX_SILENCE_MS));
    // Before its first event it has less time.
    let mut opening = LeaderStream::default();
    opening.open(set(&[], true), (), 0);
    assert_eq!(opening.step(OPEN_TIMEOUT_MS - 1), StreamStep::Wait);
    assert_eq!(opening.step(OPEN_TIMEOUT_MS), StreamStep::GiveUp);
}

proptest! {
    /// Whatever happens to the stream, each run continues after what was delivered, or after the pages' own cursors.
    #[test]
    fn stream_never_requests_a_frame_twice(story in prop::collection::vec((0u32..4, 0u8..5, 1u64..5), 0..80)) {
        let mut stream = LeaderStream::default();
        let mut delivered: BTreeMap<RunId, u64> = BTreeMap::new();
        for (n, action, count) in story {
            match action {
                0 => {
                    let mut all = stream.carried();
                    all.runs.entry(run(n)).or_insert(0);
                    let (_, next) = stream.next_request(all);
                    for (run, cursor) in &next.runs {
                        prop_assert!(*cursor >= delivered.get(run).copied().unwrap_or(0), "{}", run);
                    }
                    delivered = next.runs.clone();
                    stream.replace(&next, (), 0);
                    stream.events(vec![ready_event(&[], false)], 0);
                }
                1 if stream.carried().runs.contains_key(&run(n)) => {
                    for _ in 0..count {
                        let seq = stream.delivered_up_to(&run(n)) + 1;
                        stream.events(vec![frame_event(n, seq)], 0);
                        delivered.insert(run(n), seq);
                    }
                }
                2 => drop(stream.end(run(n))),
                3 if stream.is_ready() => stream.lose(0, 0, 0.5),
                4 => stream.close(),
                _ => {}
            }
        }
    }
}
