use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

const SILENCE: u64 = 37_500;

/// A connection that knows whether it was closed.
struct Held(Rc<Cell<bool>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

fn held() -> (Held, Rc<Cell<bool>>) {
    let closed = Rc::new(Cell::new(false));
    (Held(Rc::clone(&closed)), closed)
}

fn run(n: u32) -> RunId {
    format!("01939f1c-8f2a-7c3e-9d5b-{n:012x}").parse().unwrap()
}

fn want(runs: &[(u32, u64)], list: bool) -> Want {
    Want { runs: runs.iter().map(|&(n, cursor)| (run(n), cursor)).collect(), list }
}

fn open(upstream: &mut Upstream<()>, all: Want, now: u64) -> u64 {
    let (number, want) = upstream.next(all);
    upstream.open(&want, (), now);
    number
}

fn standing(n: u32, head: u64) -> StreamPosition {
    StreamPosition { run: run(n), head, status: Status::Running, attempt: 1 }
}

/// A stream of run 1 after 5, ready since 0.
fn ready() -> Upstream<()> {
    let mut upstream = Upstream::default();
    open(&mut upstream, want(&[(1, 5)], false), 0);
    upstream.begin(vec![standing(1, 9)], 0);
    upstream
}

#[test]
fn it_is_opened_for_what_is_wanted_when_somebody_waits() {
    let upstream = Upstream::<()>::default();
    assert_eq!(upstream.plan(&want(&[], false), true, 0), Plan::Keep);
    assert_eq!(upstream.plan(&want(&[(1, 0)], false), false, 0), Plan::Keep, "nobody waits");
    assert_eq!(upstream.plan(&want(&[(1, 0)], false), true, 0), Plan::Open(GATHER));
}

#[test]
fn it_follows_what_is_wanted() {
    let upstream = ready();
    assert_eq!(upstream.plan(&want(&[(1, 99)], false), true, 0), Plan::Keep, "cursors do not matter");
    assert_eq!(upstream.plan(&want(&[(1, 5), (2, 0)], false), false, 0), Plan::Open(GATHER));
    assert_eq!(upstream.plan(&want(&[(1, 5)], true), false, 0), Plan::Open(GATHER));
    assert_eq!(upstream.plan(&want(&[], false), false, 0), Plan::Close);
    let mut both = Upstream::<()>::default();
    open(&mut both, want(&[(1, 0), (2, 0)], false), 0);
    assert_eq!(both.plan(&want(&[(1, 0)], false), false, 0), Plan::Open(SHRINK));
    both.end(&run(2));
    assert_eq!(both.plan(&want(&[(1, 0)], false), false, 0), Plan::Keep, "it is not carried any more");
    assert_eq!(both.plan(&want(&[(1, 0), (2, 7)], false), false, 0), Plan::Open(GATHER), "run again");
}

#[test]
fn another_set_goes_on_after_what_was_told() {
    let mut upstream = ready();
    assert_eq!(
        upstream.openings(&want(&[(1, 0), (2, 0)], false)),
        [Open { run: run(1), after: 5, head: 9, status: Status::Running }]
    );
    (6..=12).for_each(|seq| upstream.tell(&run(1), seq));
    assert_eq!(upstream.openings(&want(&[(1, 0)], false))[0].head, 12, "the head is never behind what was told");
    let (number, next) = upstream.next(want(&[(1, 5), (2, 3)], false));
    assert_eq!(next, want(&[(1, 12), (2, 3)], false));
    assert!(upstream.is(number) && !upstream.is(number - 1), "words of the one before are late");
    upstream.open(&next, (), 0);
    // A page may be further: it has polled.
    assert_eq!(upstream.next(want(&[(2, 8)], false)).1, want(&[(2, 8)], false));
}

#[test]
fn what_was_told_outlives_a_lost_stream_but_not_a_refused_one() {
    let mut upstream = ready();
    upstream.tell(&run(1), 6);
    upstream.fail(10, 0.5, 0);
    assert_eq!(upstream.next(want(&[(1, 5)], false)).1, want(&[(1, 6)], false));
    open(&mut upstream, want(&[(1, 5)], false), 20);
    upstream.fail(20, 0.5, 0);
    assert_eq!(upstream.next(want(&[(1, 2)], false)).1, want(&[(1, 2)], false), "the server's history may be another");
}

#[test]
fn closing_it_drops_the_connection() {
    let mut upstream = Upstream::default();
    let ((first, first_closed), (second, second_closed)) = (held(), held());
    upstream.open(&want(&[(1, 0)], false), first, 0);
    upstream.open(&want(&[(2, 0)], false), second, 0);
    assert!(first_closed.get() && !second_closed.get());
    upstream.close();
    assert!(second_closed.get());
    assert_eq!(upstream.health(SILENCE, 0), Health::Closed);
    assert!(upstream.carries().is_empty());
}

/// Until when it is not tried again.
fn wait(upstream: &Upstream<()>, now: u64) -> u64 {
    match upstream.plan(&want(&[(1, 0)], false), true, now) {
        Plan::Open(wait) => wait,
        plan => panic!("{plan:?}"),
    }
}

#[test]
fn the_waits_grow_also_when_it_is_cut_right_after_its_first_event() {
    let mut upstream = Upstream::default();
    let mut waits = Vec::new();
    for _ in 0..8 {
        open(&mut upstream, want(&[(1, 0)], false), 1000);
        upstream.begin(vec![], 1000);
        upstream.fail(1000, 1.0, 0);
        waits.push(wait(&upstream, 1000));
    }
    assert_eq!(waits, [250, 500, 1000, 2000, 4000, 4000, 4000, 4000]);
    // One that lived was a good one.
    open(&mut upstream, want(&[(1, 0)], false), 10_000);
    upstream.begin(vec![], 10_000);
    upstream.fail(10_000 + STEADY, 1.0, 0);
    assert_eq!(wait(&upstream, 10_000 + STEADY), 250);
}

#[test]
fn what_the_server_asks_for_is_kept_to_and_nothing_else_when_somebody_looks() {
    let mut upstream = ready();
    upstream.fail(0, 0.0, 30_000);
    upstream.hurry(100);
    assert!(wait(&upstream, 100) >= 29_000);
    let mut upstream = ready();
    upstream.fail(0, 1.0, 0);
    upstream.hurry(100);
    assert_eq!(wait(&upstream, 100), GATHER);
}

#[test]
fn silence_is_death_and_a_late_look_is_none() {
    let mut upstream = ready();
    assert_eq!(upstream.health(SILENCE, 10), Health::Until(SILENCE));
    assert_eq!(upstream.health(SILENCE, SILENCE), Health::Dead);
    // The tab slept for an hour; what came waits to be handled…
    let hour = 3_600_000;
    assert_eq!(upstream.health(SILENCE, hour), Health::Until(hour + GRACE));
    upstream.hear(hour + 5);
    assert_eq!(upstream.health(SILENCE, hour + 10), Health::Until(hour + 5 + SILENCE));
    // … or nothing came.
    assert_eq!(upstream.health(SILENCE, 2 * hour), Health::Until(2 * hour + GRACE));
    assert_eq!(upstream.health(SILENCE, 2 * hour + GRACE + LATE), Health::Dead, "once");
    // Before its first event it has less time.
    let mut opening = Upstream::default();
    open(&mut opening, want(&[], true), 0);
    assert_eq!(opening.health(SILENCE, OPEN_LIMIT - 1), Health::Until(OPEN_LIMIT));
    assert_eq!(opening.health(SILENCE, OPEN_LIMIT), Health::Dead);
}

proptest! {
    /// Whatever happens to it, each run goes on exactly after what was told, or from where the pages say they are.
    #[test]
    fn no_frame_is_asked_for_twice(story in prop::collection::vec((0u32..4, 0u8..5, 1u64..5), 0..80)) {
        let mut upstream = Upstream::default();
        let mut told: BTreeMap<RunId, u64> = BTreeMap::new();
        for (n, deed, count) in story {
            let run = run(n);
            match deed {
                0 => {
                    let mut all = upstream.carries();
                    all.runs.entry(run).or_insert(0);
                    let (_, next) = upstream.next(all);
                    for (run, cursor) in &next.runs {
                        prop_assert!(*cursor >= told.get(run).copied().unwrap_or(0), "{run}");
                    }
                    told = next.runs.clone();
                    upstream.open(&next, (), 0);
                    upstream.begin(vec![], 0);
                }
                1 if upstream.carries().runs.contains_key(&run) => {
                    for _ in 0..count {
                        let seq = upstream.told_up_to(&run) + 1;
                        upstream.tell(&run, seq);
                        told.insert(run.clone(), seq);
                    }
                }
                2 => upstream.end(&run),
                3 if upstream.is_ready() => upstream.fail(0, 0.5, 0),
                4 => upstream.close(),
                _ => {}
            }
        }
    }
}
