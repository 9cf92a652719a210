//! What may happen to a journal, in any order: what the steps of a test are drawn from, and made fewer by.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// One step.
#[derive(Clone, Debug)]
pub enum Move {
    /// A new run, claimed at once.
    Start,
    /// Writes that come at the same moment, all answered.
    Append(Vec<Lines>),
    /// The run ends.
    Finish(usize),
    /// A finished run is run again: a new attempt, the journal goes on.
    Rerun(usize),
    /// A new reader of a run, so many frames per thousand into its journal, of a stream of one run or of many.
    Attach { run: usize, cursor: u64, named: bool },
    /// A reader takes so many steps, or all there are.
    Read { reader: usize, steps: usize },
    /// A reader goes away.
    Leave(usize),
    /// The server stops in order, and starts again.
    Restart,
    /// The server ends in the middle, and starts again.
    Crash(Crash),
}

/// Lines of one run, written together.
#[derive(Clone, Debug)]
pub struct Lines {
    pub run: usize,
    pub line: String,
    pub count: usize,
}

/// An end in the middle.
#[derive(Clone, Debug)]
pub struct Crash {
    /// Writes that are on their way and have no answer yet.
    pub unanswered: Vec<Lines>,
    /// How often the readers and the writer get to do something after that.
    pub turns: usize,
    /// The server goes on with a copy of the files as they are at this moment, as after kill -9; else with the files
    /// themselves, after the writer was stopped wherever it was.
    pub copied: bool,
}

/// How things stand, as far as the next step depends on it.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Whether each run is running; otherwise it is finished.
    pub running: Vec<bool>,
    /// How many readers there are.
    pub readers: usize,
}

impl Standing {
    fn is_running(&self, run: usize) -> bool {
        self.running.get(run) == Some(&true)
    }

    fn all_running(&self, lines: &[Lines]) -> bool {
        lines.iter().all(|lines| self.is_running(lines.run))
    }
}

/// Lines of any of so many runs. Most of them say the same: only the seq can tell them apart.
fn lines(runs: usize) -> impl Strategy<Value = Lines> {
    let line = prop_oneof![3 => Just("same".to_owned()), 1 => any::<String>()];
    // More than a reader's page now and then.
    let count = prop_oneof![8 => 0..5usize, 1 => 500..700usize];
    (0..runs, line, count).prop_map(|(run, line, count)| Lines { run, line, count })
}

impl ReferenceStateMachine for Standing {
    type State = Self;
    type Transition = Move;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Move> {
        let (runs, readers) = (state.running.len(), state.readers);
        if runs == 0 {
            return Just(Move::Start).boxed();
        }
        let writes = move |most| prop::collection::vec(lines(runs), 0..=most);
        let crash = (writes(4), 0..12usize, any::<bool>());
        let crash = crash.prop_map(|(unanswered, turns, copied)| Crash { unanswered, turns, copied });
        let attach = (0..runs, 0..=1000u64, any::<bool>());
        let attach = attach.prop_map(|(run, cursor, named)| Move::Attach { run, cursor, named });
        let on_runs = prop_oneof![
            1 => Just(Move::Start),
            8 => writes(5).prop_map(Move::Append),
            1 => (0..runs).prop_map(Move::Finish),
            1 => (0..runs).prop_map(Move::Rerun),
            3 => attach,
            1 => Just(Move::Restart),
            2 => crash.prop_map(Move::Crash),
        ];
        if readers == 0 {
            return on_runs.boxed();
        }
        let steps = prop_oneof![0..3usize, Just(usize::MAX)];
        prop_oneof![
            3 => on_runs,
            2 => (0..readers, steps).prop_map(|(reader, steps)| Move::Read { reader, steps }),
            1 => (0..readers).prop_map(Move::Leave),
        ]
        .boxed()
    }

    fn preconditions(state: &Self, next: &Move) -> bool {
        match next {
            Move::Start => state.running.len() < 4,
            Move::Append(lines) => state.all_running(lines),
            Move::Crash(crash) => state.all_running(&crash.unanswered),
            Move::Finish(run) => state.is_running(*run),
            Move::Rerun(run) => state.running.get(*run) == Some(&false),
            Move::Attach { run, .. } => *run < state.running.len() && state.readers < 6,
            Move::Read { reader, .. } | Move::Leave(reader) => *reader < state.readers,
            Move::Restart => true,
        }
    }

    fn apply(mut state: Self, next: &Move) -> Self {
        match next {
            Move::Start => state.running.push(true),
            Move::Finish(run) => state.running[*run] = false,
            Move::Rerun(run) => state.running[*run] = true,
            Move::Attach { .. } => state.readers += 1,
            Move::Leave(_) => state.readers -= 1,
            // Readers are connections: they end with the server.
            Move::Restart | Move::Crash(_) => state.readers = 0,
            Move::Append(_) | Move::Read { .. } => {}
        }
        state
    }
}
