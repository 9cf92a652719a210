//! The journal on a real SQLite file, through any order of writes, reads, crashes and starts, against a list per run of
//! what was written. Steps that fail are made fewer and smaller and then printed.

mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use proptest::test_runner::Config;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use runtrail::journal::{FrameEncoding, GroupCommit, Journal, ReadStep, Reader};
use runtrail::model::sse::SseParser;
use runtrail::model::{FrameRecord, RunId, Secrets, Status};
use runtrail::store::{Committed, CreateRun, Durability, Lease, QueueAttempt, RunKey, RunWrite, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::support::TestDatabase;
use crate::support::rng::cases;
use crate::support::writes::{append, claim, complete, log, new_run, write};
use steps::{Crash, Lines, Move, Standing};

/// Only reached when a test fails: a reader was not woken, or a write not answered.
const LIMIT: Duration = Duration::from_secs(60);

/// What is known of a run.
struct Run {
    id: RunId,
    key: RunKey,
    attempt: u32,
    token: i64,
    finished: bool,
    /// The reference: every frame as it was acknowledged or shown, in order.
    frames: Vec<String>,
}

/// A reader, and the run it reads.
struct Viewer {
    run: usize,
    reader: Reader,
}

/// A server's lower half.
struct Server {
    // Dropped first: it holds tasks with handles on the store.
    runtime: Runtime,
    journal: Journal,
    store: Store,
    writer: JoinHandle<()>,
}

impl Server {
    fn start(database: &TestDatabase) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (journal, store, writer) = runtime.block_on(async {
            let store = database.open(Durability::Full).await;
            let (journal, writer) = Journal::new(Arc::new(store.clone()), GroupCommit::default());
            (journal, store, tokio::spawn(writer.run()))
        });
        Self { runtime, journal, store, writer }
    }

    /// All that the file holds of a run.
    fn frames(&self, key: RunKey) -> Vec<FrameRecord> {
        self.runtime.block_on(self.store.frames(key, 0, u32::MAX)).unwrap().0
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(LIMIT, future).await.expect("an end in time") };
        self.runtime.block_on(limited)
    }
}

/// The system under test.
pub struct World {
    /// Where the files are; a crash may leave them behind for a copy.
    folders: Vec<TempDir>,
    database: TestDatabase,
    server: Option<Server>,
    runs: Vec<Run>,
    viewers: Vec<Viewer>,
}

/// The seq and the JSON of each frame in a reader's bytes.
fn given(step: ReadStep) -> Vec<(u64, String)> {
    let ReadStep::Frames(pieces) = step else { panic!("frames, not {step:?}") };
    let mut parser = SseParser::new("");
    let events = pieces.iter().flat_map(|piece| parser.push(piece));
    let plain = events.map(|event| match event.last_event_id.rsplit_once(':') {
        None => (event.last_event_id.parse().unwrap(), event.data),
        // The stream of many runs: the same JSON with the run's id before all else.
        Some((run, seq)) => {
            let rest = event.data.strip_prefix(&format!("{{\"run\":\"{run}\",")).expect("the run's id");
            (seq.parse().unwrap(), format!("{{{rest}"))
        }
    });
    plain.collect()
}

impl Run {
    fn lease(&self) -> Lease {
        Lease { run: self.key, attempt: self.attempt, token: self.token }
    }

    fn write(&self, lines: &Lines) -> RunWrite {
        append(self.lease(), &vec![lines.line.as_str(); lines.count])
    }

    /// The journal says that these are there now. They follow on what is known.
    fn acknowledge(&mut self, committed: &Committed) {
        assert_eq!(committed.run, self.key);
        for frame in &committed.frames {
            self.know(frame.seq, frame.to_json());
        }
        assert!(committed.journal.head <= self.frames.len() as u64);
    }

    /// A frame that was acknowledged, shown or found: the next one, or the same as before.
    fn know(&mut self, seq: u64, json: String) {
        let known = self.frames.len() as u64;
        assert!(seq >= 1 && seq <= known + 1, "frame {seq} after {known}");
        match self.frames.get(seq as usize - 1) {
            Some(before) => assert_eq!(before, &json, "frame {seq} is what it was"),
            None => self.frames.push(json),
        }
    }
}

impl World {
    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn file(&self) -> PathBuf {
        self.folders.last().unwrap().path().join("test.db")
    }

    /// Carries out the write, and knows what was acknowledged.
    fn carry_out(&mut self, run: usize, write: RunWrite) -> Committed {
        let server = self.server();
        let committed = server.block_on(server.journal.write(write)).unwrap();
        self.runs[run].acknowledge(&committed);
        committed
    }

    fn claim(&mut self, run: usize) {
        let Run { key, attempt, .. } = self.runs[run];
        self.runs[run].token = self.carry_out(run, claim(key, attempt)).token;
    }

    fn start_run(&mut self) {
        let server = self.server();
        let new = new_run();
        let id = new.id.clone();
        let key = server.block_on(server.journal.create(new)).unwrap().key;
        self.runs.push(Run { id, key, attempt: 1, token: 0, finished: false, frames: Vec::new() });
        self.claim(self.runs.len() - 1);
    }

    fn append(&mut self, all: &[Lines]) {
        let server = self.server();
        let writes = all.iter().map(|lines| server.journal.write(self.runs[lines.run].write(lines)));
        let answers = server.block_on(futures::future::join_all(writes));
        let mut committed: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        for (committed, lines) in committed.iter().zip(all) {
            assert_eq!(committed.frames.len(), lines.count);
            assert!(committed.frames.iter().all(|frame| frame.data == log(&lines.line).data));
        }
        // In the order in which the journal took them.
        committed.sort_by_key(|committed| committed.journal.head);
        for committed in committed {
            let run = self.runs.iter_mut().find(|run| run.key == committed.run).unwrap();
            run.acknowledge(&committed);
        }
    }

    fn finish(&mut self, run: usize) {
        self.carry_out(run, complete(self.runs[run].lease(), "done"));
        self.runs[run].finished = true;
    }

    fn rerun(&mut self, run: usize) {
        let CreateRun { pipeline, params, .. } = new_run();
        let queue = QueueAttempt {
            run: self.runs[run].key,
            status: Status::Completed,
            attempt: self.runs[run].attempt,
            pipeline,
            params,
            from_phase: 0,
            resumes: None,
            secrets: Secrets::new(),
            asked_by: None,
        };
        self.carry_out(run, write(queue, &["again"]));
        self.runs[run].attempt += 1;
        self.runs[run].finished = false;
        self.claim(run);
    }

    fn attach(&mut self, run: usize, per_thousand: u64, named: bool) {
        let (server, key) = (self.server(), self.runs[run].key);
        let cursor = self.runs[run].frames.len() as u64 * per_thousand / 1000;
        let form = if named { FrameEncoding::Multiplexed(self.runs[run].id.clone()) } else { FrameEncoding::Single };
        let reader = server.block_on(async {
            let head = server.store.head(key).await.unwrap();
            server.journal.read(key, cursor, head, form).await.unwrap()
        });
        self.viewers.push(Viewer { run, reader });
    }

    /// Takes steps until there is nothing left; then the reader must wait, or say that this is the end.
    fn read(&mut self, viewer: usize, steps: usize) {
        let (server, viewer) = (self.server.as_ref().unwrap(), &mut self.viewers[viewer]);
        let run = &mut self.runs[viewer.run];
        for _ in 0..steps {
            let cursor = viewer.reader.cursor();
            if cursor < run.frames.len() as u64 {
                let step = server.block_on(viewer.reader.next()).unwrap();
                for ((seq, json), expected) in given(step).into_iter().zip(cursor + 1..) {
                    assert_eq!(seq, expected, "each frame once and in order");
                    run.know(seq, json);
                }
                assert!(viewer.reader.cursor() > cursor);
            } else if run.finished {
                let step = server.block_on(viewer.reader.next()).unwrap();
                assert!(matches!(step, ReadStep::End(head) if head.head == cursor), "{step:?}");
                return;
            } else {
                let step = server.runtime.block_on(async { viewer.reader.next().now_or_never() });
                assert!(step.is_none(), "nothing is left, and there is {step:?}");
                return;
            }
        }
    }

    /// What is on its way gets so far as it gets, and is shown to whoever looks.
    fn turns(&mut self, crash: &Crash) {
        let server = self.server.as_ref().unwrap();
        let mut writes = Vec::new();
        for lines in &crash.unanswered {
            let (journal, write) = (server.journal.clone(), self.runs[lines.run].write(lines));
            writes.push(server.runtime.spawn(async move { journal.write(write).await }));
        }
        for _ in 0..crash.turns {
            server.runtime.block_on(tokio::task::yield_now());
            for viewer in &mut self.viewers {
                let step = server.runtime.block_on(async { viewer.reader.next().now_or_never() });
                if let Some(Ok(step @ ReadStep::Frames(_))) = step {
                    given(step).into_iter().for_each(|(seq, json)| self.runs[viewer.run].know(seq, json));
                }
            }
        }
        // Acknowledged at the last moment.
        for write in writes {
            if let Some(Ok(Ok(committed))) = write.now_or_never() {
                let run = self.runs.iter_mut().find(|run| run.key == committed.run).unwrap();
                run.acknowledge(&committed);
            }
        }
    }

    fn crash(&mut self, crash: &Crash) {
        let acknowledged: Vec<usize> = self.runs.iter().map(|run| run.frames.len()).collect();
        self.turns(crash);
        // Of a database on a server there is no copy to be had.
        if crash.copied && self.database.is_sqlite() {
            let folder = tempfile::tempdir().unwrap();
            // The log last: it alone grows between checkpoints, and what is written here is too little for one.
            for name in ["test.db", "test.db-wal"] {
                std::fs::copy(self.file().with_file_name(name), folder.path().join(name)).unwrap();
            }
            self.database = TestDatabase::Sqlite(folder.path().join("test.db"));
            self.folders.push(folder);
        }
        self.viewers.clear();
        let server = self.server.take().unwrap();
        server.writer.abort();
        drop(server);
        self.server = Some(Server::start(&self.database));
        for (index, before) in acknowledged.into_iter().enumerate() {
            self.found_after(index, before, &crash.unanswered);
        }
    }

    /// What was shown or acknowledged is there as it was; of the rest, a first part as it was sent.
    fn found_after(&mut self, index: usize, before: usize, unanswered: &[Lines]) {
        let found = self.server().frames(self.runs[index].key);
        let run = &mut self.runs[index];
        assert!(found.len() >= run.frames.len(), "{} of {} frames are left", found.len(), run.frames.len());
        let sent = unanswered.iter().filter(|lines| lines.run == index);
        let sent = sent.flat_map(|lines| std::iter::repeat_n(log(&lines.line).data, lines.count));
        let sent: Vec<_> = sent.collect();
        assert!(found.len() <= before + sent.len(), "more than was sent");
        assert!(found[before..].iter().zip(sent).all(|(frame, sent)| frame.data == sent), "as it was sent");
        found.iter().for_each(|frame| run.know(frame.seq, frame.to_json()));
    }

    fn restart(&mut self) {
        self.viewers.clear();
        let Server { runtime, journal, store, writer } = self.server.take().unwrap();
        drop(journal);
        // The writer ends by itself when nobody can ask it for anything any more.
        runtime.block_on(async { tokio::time::timeout(LIMIT, writer).await.expect("an end").unwrap() });
        drop((store, runtime));
        self.server = Some(Server::start(&self.database));
    }
}

impl StateMachineTest for World {
    type SystemUnderTest = Self;
    type Reference = Standing;

    fn init_test(_: &Standing) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::of_file(&folder.path().join("test.db"));
        let server = Server::start(&database);
        Self { folders: vec![folder], database, server: Some(server), runs: Vec::new(), viewers: Vec::new() }
    }

    fn apply(mut world: Self, _: &Standing, next: Move) -> Self {
        match next {
            Move::Start => world.start_run(),
            Move::Append(lines) => world.append(&lines),
            Move::Finish(run) => world.finish(run),
            Move::Rerun(run) => world.rerun(run),
            Move::Attach { run, cursor, named } => world.attach(run, cursor, named),
            Move::Read { reader, steps } => world.read(reader, steps),
            Move::Leave(reader) => drop(world.viewers.swap_remove(reader)),
            Move::Restart => world.restart(),
            Move::Crash(crash) => world.crash(&crash),
        }
        world
    }

    /// At the end every reader reads all that is left; the file holds what was acknowledged or shown and nothing else.
    fn teardown(mut world: Self, _: Standing) {
        for viewer in 0..world.viewers.len() {
            world.read(viewer, usize::MAX);
        }
        for run in &world.runs {
            let found: Vec<String> = world.server().frames(run.key).iter().map(FrameRecord::to_json).collect();
            assert_eq!(found, run.frames);
        }
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: cases(48), max_shrink_iters: 400, ..Config::default() })]

    #[test]
    fn machine_agrees_with_the_model_in_any_order(sequential 1..40 => World);
}
