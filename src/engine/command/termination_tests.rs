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

fn sent(step: &TerminationStep, request: TerminationSignal) -> Vec<i32> {
    step.requests.iter().filter(|(_, sent)| *sent == request).map(|(id, _)| id.pid).collect()
}

#[test]
fn termination_leaves_a_running_command_alone() {
    let step = Termination::new().next(at(0), &[process(2)], true);
    assert_eq!((step.requests, step.next_check), (Vec::new(), NextCheck::OnEvent));
}

#[test]
fn termination_stops_until_a_pass_finds_nothing_new() {
    let mut termination = Termination::new();
    termination.terminate();
    let step = termination.next(at(0), &[process(2)], true);
    assert_eq!((sent(&step, TerminationSignal::Stop), step.next_check), (vec![2], NextCheck::Now));
    // Started before its parent was stopped.
    let step = termination.next(at(1), &[process(2), process(3)], true);
    assert_eq!((sent(&step, TerminationSignal::Stop), step.next_check), (vec![3], NextCheck::Now));
    let step = termination.next(at(2), &[process(2), process(3)], true);
    assert_eq!(sent(&step, TerminationSignal::Terminate), [2, 3]);
    assert_eq!(sent(&step, TerminationSignal::Continue), [2, 3]);
    assert_eq!((step.next_check, step.left_behind), (NextCheck::OnEvent, Vec::new()));
    // A process started by a SIGTERM handler is left alone until SIGKILL is requested.
    let step = termination.next(at(60_000), &[process(2), process(4)], true);
    assert_eq!((step.requests, step.next_check), (Vec::new(), NextCheck::OnEvent));
    termination.kill(at(60_001));
    let step = termination.next(at(60_001), &[process(2), process(4)], true);
    assert_eq!(sent(&step, TerminationSignal::Kill), [2, 4]);
    assert_eq!(termination.next(at(60_002), &[], false).next_check, NextCheck::Done(Vec::new()));
}

#[test]
fn termination_kills_left_processes_after_a_short_grace() {
    let mut termination = Termination::new();
    termination.command_ended(at(0), false);
    // It may be about to end by itself.
    assert_eq!(termination.next(at(0), &[], true).next_check, NextCheck::Until(SETTLE_TIME));
    assert_eq!(termination.clone().next(SETTLE_TIME, &[], false).next_check, NextCheck::Done(Vec::new()));
    assert_eq!(termination.next(SETTLE_TIME, &[], true).next_check, NextCheck::Now);
    termination.next(SETTLE_TIME, &[process(5)], true);
    let step = termination.next(SETTLE_TIME, &[process(5)], true);
    let kill_at = SETTLE_TIME + LEFT_BEHIND_GRACE;
    assert_eq!((pids(&step.left_behind), step.next_check), (vec![5], NextCheck::Until(kill_at)));
    assert_eq!(termination.next(kill_at, &[process(5)], true).next_check, NextCheck::Now);
    assert_eq!(sent(&termination.next(kill_at, &[process(5)], true), TerminationSignal::Kill), [5]);
}

#[test]
fn termination_keeps_background_processes_until_asked() {
    let mut termination = Termination::new();
    termination.command_ended(at(0), true);
    assert_eq!(termination.next(at(0), &[process(5)], true).next_check, NextCheck::OnEvent);
    termination.terminate();
    termination.next(at(1), &[process(5)], true);
    let step = termination.next(at(1), &[process(5)], true);
    assert_eq!((pids(&step.left_behind), step.next_check), (vec![5], NextCheck::OnEvent));
}

#[test]
fn termination_gives_up_on_processes_of_other_users() {
    let mut termination = Termination::new();
    termination.kill(at(0));
    termination.next(at(0), &[process(2), process(3)], true);
    termination.refused(process(3).id);
    // Not while another process may still end.
    assert!(matches!(termination.next(REFUSED_GRACE, &[process(2), process(3)], true).next_check, NextCheck::Until(_)));
    let NextCheck::Done(stuck) = termination.next(REFUSED_GRACE, &[process(3)], true).next_check else {
        panic!("it is given up")
    };
    assert_eq!(pids(&stuck), [3]);
}

#[test]
fn termination_gives_up_on_processes_that_do_not_die() {
    let mut termination = Termination::new();
    termination.kill(at(0));
    assert!(matches!(termination.next(at(1), &[process(2)], true).next_check, NextCheck::Until(_)));
    assert_eq!(termination.next(GIVE_UP_AFTER, &[process(2)], true).next_check, NextCheck::Done(vec![process(2)]));
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
    /// Whatever the order of events: after SIGKILL it is done within the limit, and every process that gets SIGTERM was
    /// stopped before, gets it once, and continues.
    #[test]
    fn termination_ends_and_asks_every_process_once(
        events in prop::collection::vec(event(), 0..20),
        stubborn in any::<bool>(),
    ) {
        let mut termination = Termination::new();
        let mut alive: BTreeMap<i32, ProcessInfo> = [(2, process(2))].into();
        let (mut stopped, mut asked) = (Vec::new(), Vec::new());
        let (mut now, mut next_pid, mut done) = (Duration::ZERO, 3, false);
        for event in events.into_iter().chain([Event::Kill, Event::Passes(20_000)]) {
            let until = match event {
                Event::Terminate => { termination.terminate(); now }
                Event::Kill => { termination.kill(now); now }
                Event::CommandEnds { keep } => { termination.command_ended(now, keep); now }
                Event::Fork if stopped.is_empty() => { alive.insert(next_pid, process(next_pid)); next_pid += 1; now }
                Event::Fork => now,
                Event::Passes(ms) => now + at(ms),
            };
            while !done {
                let processes: Vec<ProcessInfo> = alive.values().cloned().collect();
                let step = termination.next(now, &processes, !alive.is_empty());
                for (id, request) in &step.requests {
                    match request {
                        TerminationSignal::Stop => stopped.push(id.pid),
                        TerminationSignal::Terminate => {
                            prop_assert!(stopped.contains(&id.pid) && !asked.contains(&id.pid));
                            asked.push(id.pid);
                        }
                        TerminationSignal::Continue => stopped.retain(|pid| *pid != id.pid),
                        TerminationSignal::Kill if stubborn => termination.refused(*id),
                        TerminationSignal::Kill => { alive.remove(&id.pid); }
                    }
                }
                match step.next_check {
                    NextCheck::Now => now += at(1),
                    NextCheck::Until(then) if then <= until => now = now.max(then),
                    NextCheck::Until(_) | NextCheck::OnEvent => { now = now.max(until); break }
                    NextCheck::Done(left) => {
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
