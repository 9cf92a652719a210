use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn process(pid: i32) -> ProcessInfo {
    ProcessInfo { id: ProcessId { pid, start: 1 }, parent: 1, name: format!("p{pid}"), is_zombie: false }
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pids(processes: &[ProcessInfo]) -> Vec<i32> {
    processes.iter().map(|process| process.id.pid).collect()
}

fn sent(step: &Step, request: Request) -> Vec<i32> {
    step.requests.iter().filter(|(_, sent)| *sent == request).map(|(id, _)| id.pid).collect()
}

#[test]
fn nothing_is_done_to_a_command_that_runs() {
    let step = Ending::new().next(at(0), &[process(2)], true);
    assert_eq!((step.requests, step.then), (Vec::new(), Then::Wait));
}

#[test]
fn termination_stops_until_a_pass_finds_nothing_new() {
    let mut ending = Ending::new();
    ending.terminate();
    let step = ending.next(at(0), &[process(2)], true);
    assert_eq!((sent(&step, Request::Stop), step.then), (vec![2], Then::Now));
    // Started before its parent was stopped.
    let step = ending.next(at(1), &[process(2), process(3)], true);
    assert_eq!((sent(&step, Request::Stop), step.then), (vec![3], Then::Now));
    let step = ending.next(at(2), &[process(2), process(3)], true);
    assert_eq!(sent(&step, Request::Terminate), [2, 3]);
    assert_eq!(sent(&step, Request::Continue), [2, 3]);
    assert_eq!((step.then, step.left), (Then::Wait, Vec::new()));
    // What a handler starts to clean up is left alone, for as long as nobody says more.
    let step = ending.next(at(60_000), &[process(2), process(4)], true);
    assert_eq!((step.requests, step.then), (Vec::new(), Then::Wait));
    ending.kill(at(60_001));
    let step = ending.next(at(60_001), &[process(2), process(4)], true);
    assert_eq!(sent(&step, Request::Kill), [2, 4]);
    assert_eq!(ending.next(at(60_002), &[], false).then, Then::Done(Vec::new()));
}

#[test]
fn left_processes_are_named_and_killed_after_a_short_grace() {
    let mut ending = Ending::new();
    ending.command_ended(at(0), false);
    // It may be about to end by itself.
    assert_eq!(ending.next(at(0), &[], true).then, Then::Until(SETTLE));
    assert_eq!(ending.clone().next(SETTLE, &[], false).then, Then::Done(Vec::new()));
    assert_eq!(ending.next(SETTLE, &[], true).then, Then::Now);
    ending.next(SETTLE, &[process(5)], true);
    let step = ending.next(SETTLE, &[process(5)], true);
    let kill_at = SETTLE + LEFT_BEHIND_GRACE;
    assert_eq!((pids(&step.left), step.then), (vec![5], Then::Until(kill_at)));
    assert_eq!(ending.next(kill_at, &[process(5)], true).then, Then::Now);
    assert_eq!(sent(&ending.next(kill_at, &[process(5)], true), Request::Kill), [5]);
}

#[test]
fn kept_processes_run_until_somebody_asks_for_the_end() {
    let mut ending = Ending::new();
    ending.command_ended(at(0), true);
    assert_eq!(ending.next(at(0), &[process(5)], true).then, Then::Wait);
    ending.terminate();
    ending.next(at(1), &[process(5)], true);
    let step = ending.next(at(1), &[process(5)], true);
    assert_eq!((pids(&step.left), step.then), (vec![5], Then::Wait));
}

#[test]
fn processes_of_somebody_else_are_given_up_and_named() {
    let mut ending = Ending::new();
    ending.kill(at(0));
    ending.next(at(0), &[process(2), process(3)], true);
    ending.refused(process(3).id);
    // As long as another one may still end.
    assert!(matches!(ending.next(REFUSED_GRACE, &[process(2), process(3)], true).then, Then::Until(_)));
    let Then::Done(stuck) = ending.next(REFUSED_GRACE, &[process(3)], true).then else { panic!("it is given up") };
    assert_eq!(pids(&stuck), [3]);
}

#[test]
fn processes_that_do_not_die_are_given_up_in_the_end() {
    let mut ending = Ending::new();
    ending.kill(at(0));
    assert!(matches!(ending.next(at(1), &[process(2)], true).then, Then::Until(_)));
    assert_eq!(ending.next(GIVE_UP, &[process(2)], true).then, Then::Done(vec![process(2)]));
}

#[derive(Clone, Debug)]
enum Event {
    Terminate,
    Kill,
    CommandEnds { keep: bool },
    Fork,
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Terminate),
        Just(Event::Kill),
        any::<bool>().prop_map(|keep| Event::CommandEnds { keep }),
        Just(Event::Fork),
        (0u64..3000).prop_map(Event::Passes),
    ]
}

proptest! {
    /// Whatever happens in whatever order: after the end of the command, or a request for it, and SIGKILL, it comes to an end
    /// within the limit; every process that is asked was stopped first and goes on; and none is asked twice.
    #[test]
    fn an_end_comes_and_every_process_is_asked_once(
        events in prop::collection::vec(event(), 0..20),
        stubborn in any::<bool>(),
    ) {
        let mut ending = Ending::new();
        let mut alive: BTreeMap<i32, ProcessInfo> = [(2, process(2))].into();
        let (mut stopped, mut asked) = (Vec::new(), Vec::new());
        let (mut now, mut next_pid, mut done) = (Duration::ZERO, 3, false);
        for event in events.into_iter().chain([Event::Kill, Event::Passes(20_000)]) {
            let until = match event {
                Event::Terminate => { ending.terminate(); now }
                Event::Kill => { ending.kill(now); now }
                Event::CommandEnds { keep } => { ending.command_ended(now, keep); now }
                Event::Fork if stopped.is_empty() => { alive.insert(next_pid, process(next_pid)); next_pid += 1; now }
                Event::Fork => now,
                Event::Passes(ms) => now + at(ms),
            };
            while !done {
                let processes: Vec<ProcessInfo> = alive.values().cloned().collect();
                let step = ending.next(now, &processes, !alive.is_empty());
                for (id, request) in &step.requests {
                    match request {
                        Request::Stop => stopped.push(id.pid),
                        Request::Terminate => {
                            prop_assert!(stopped.contains(&id.pid) && !asked.contains(&id.pid));
                            asked.push(id.pid);
                        }
                        Request::Continue => stopped.retain(|pid| *pid != id.pid),
                        Request::Kill if stubborn => ending.refused(*id),
                        Request::Kill => { alive.remove(&id.pid); }
                    }
                }
                match step.then {
                    Then::Now => now += at(1),
                    Then::Until(then) if then <= until => now = now.max(then),
                    Then::Until(_) | Then::Wait => { now = now.max(until); break }
                    Then::Done(left) => {
                        prop_assert_eq!(pids(&left), alive.keys().copied().collect::<Vec<_>>());
                        prop_assert!(stubborn || left.is_empty());
                        done = true;
                    }
                }
            }
        }
        prop_assert!(done);
    }
}
