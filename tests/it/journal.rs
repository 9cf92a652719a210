//! The join of replay and live on a real SQLite file, with the moments between commit and publish held open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use runtrail::engine::{Engine, EngineOptions, Handover, ProcessLauncher};
use runtrail::journal::{FrameEncoding, GroupCommit, Journal, JournalBackend, ReadStep, Reader, WriteError};
use runtrail::model::sse::SseParser;
use runtrail::model::{FrameRecord, Pin, ProblemCode, Run, RunId, Status, Timestamp, Transition};
use runtrail::pipelines::{Catalog, Projects};
use runtrail::runs::{self, Backend};
use runtrail::store::{
    CancelPending, CreateRun, DeleteRun, Durability, Interceptor, JournalHead, Lease, PinRun, RunCommand, RunKey,
    RunWrite, Store, StoreCommand, StoreError, WriteOutcome,
};
use runtrail::workspaces::Workspaces;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::support::writes::{append, claim, complete, new_run};
use crate::support::{LIMIT, until};

/// A real store whose commits are durable at once but answered only when the test lets them: the writer is held between
/// commit and publish. Frames are read when the test lets them be.
#[derive(Clone)]
struct GatedStore {
    inner: Store,
    gates: Arc<Gates>,
}

struct Gates {
    committed: Semaphore,
    go_on: Semaphore,
    reads: AtomicU64,
    read_on: Semaphore,
}

impl GatedStore {
    fn new(inner: Store, commits: usize, reads: usize) -> Self {
        let (committed, go_on, read_on) = (Semaphore::new(0), Semaphore::new(commits), Semaphore::new(reads));
        Self { inner, gates: Arc::new(Gates { committed, go_on, reads: AtomicU64::new(0), read_on }) }
    }
}

impl Gates {
    async fn wait_to_read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read_on.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl JournalBackend for GatedStore {
    async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        let outcomes = self.inner.commit(commands).await;
        self.gates.committed.add_permits(1);
        self.gates.go_on.acquire().await.unwrap().forget();
        outcomes
    }

    async fn head(&self, run: RunKey) -> Result<JournalHead, StoreError> {
        self.inner.head(run).await
    }

    async fn frames(&self, run: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, JournalHead), StoreError> {
        self.gates.wait_to_read().await;
        self.inner.frames(run, after, limit).await
    }

    async fn run(&self, run: RunKey) -> Result<Option<Run>, StoreError> {
        self.inner.run(run).await
    }
}

impl Interceptor for GatedStore {
    fn intercept(
        &self,
        name: &'static str,
        read: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let gates = Arc::clone(&self.gates);
        async move {
            if name == "frames" {
                gates.wait_to_read().await;
            }
            read.await;
            Ok(())
        }
        .boxed()
    }
}

async fn sqlite() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("test.db"), Durability::Full).await.unwrap();
    (folder, store)
}

fn journal_on(backend: impl JournalBackend + 'static) -> Journal {
    let (journal, writer) = Journal::new(Arc::new(backend), GroupCommit::default());
    tokio::spawn(writer.run());
    journal
}

fn seqs(step: ReadStep) -> Vec<u64> {
    let ReadStep::Frames(pieces) = step else { panic!("frames, not {step:?}") };
    let mut parser = SseParser::new("");
    let events: Vec<_> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    events.iter().map(|event| event.last_event_id.parse().unwrap()).collect()
}

fn waits(reader: &mut Reader) -> bool {
    reader.next().now_or_never().is_none()
}

async fn attach(journal: &Journal, store: &Store, run: RunKey, cursor: u64) -> Reader {
    let head = store.head(run).await.unwrap();
    journal.read(run, cursor, head, FrameEncoding::Single).await.unwrap()
}

/// A run with one frame, in a store that lets nobody read it yet.
async fn unread() -> (TempDir, GatedStore, Store, Journal, RunKey) {
    let (folder, store) = sqlite().await;
    let gated = GatedStore::new(store.clone(), 9, 0);
    let journal = journal_on(gated.clone());
    let run = journal.create(new_run()).await.unwrap().key;
    journal.write(claim(run, 1)).await.unwrap();
    (folder, gated, store, journal, run)
}

/// A stream interrupts its reader for each heartbeat. If the store is slower than those, the reader must come on all
/// the same.
#[tokio::test]
async fn journal_reader_continues_after_an_interruption() {
    let (_folder, gated, store, journal, run) = unread().await;
    let mut reader = attach(&journal, &store, run, 0).await;
    for _ in 0..5 {
        assert!(waits(&mut reader));
    }
    assert_eq!(gated.gates.reads.load(Ordering::Relaxed), 1, "it does not begin again");
    gated.gates.read_on.add_permits(1);
    assert_eq!(seqs(reader.next().await.unwrap()), [1]);
}

/// What a client that does not read costs must not grow with the runs it asked for.
#[tokio::test]
async fn journal_readers_sharing_a_permit_hold_one_page() {
    let (_folder, gated, store, journal, run) = unread().await;
    let turns = Arc::new(Semaphore::new(1));
    let mut first = attach(&journal, &store, run, 0).await.share_read_permit(&turns);
    let mut second = attach(&journal, &store, run, 0).await.share_read_permit(&turns);
    assert!(waits(&mut first) && waits(&mut second));
    assert_eq!(gated.gates.reads.load(Ordering::Relaxed), 1);
    gated.gates.read_on.add_permits(2);
    assert_eq!(seqs(first.next().await.unwrap()), [1]);
    assert_eq!(seqs(second.next().await.unwrap()), [1]);
}

/// A frame committed during the attach is shown once: whoever attaches before the commit, between commit and publish,
/// or after it.
#[tokio::test]
async fn journal_frame_committed_while_subscribing_is_read_once() {
    let (_folder, store) = sqlite().await;
    let gated = GatedStore::new(store.clone(), 2, 9);
    let journal = journal_on(gated.clone());
    let run = journal.create(new_run()).await.unwrap().key;
    let lease = Lease { run, attempt: 1, token: journal.write(claim(run, 1)).await.unwrap().token };
    gated.gates.committed.acquire_many(2).await.unwrap().forget();

    let mut before = attach(&journal, &store, run, 1).await;
    assert!(waits(&mut before));
    let stale = store.head(run).await.unwrap();

    let append = {
        let journal = journal.clone();
        tokio::spawn(async move { journal.write(append(lease, &["x", "x"])).await })
    };
    gated.gates.committed.acquire().await.unwrap().forget();
    // Durable, and nobody was told.
    assert!(waits(&mut before), "before the publish nobody is woken");
    let mut between = attach(&journal, &store, run, 1).await;
    assert_eq!(seqs(between.next().await.unwrap()), [2, 3]);
    let mut stale = journal.read(run, 1, stale, FrameEncoding::Single).await.unwrap();
    assert_eq!(seqs(stale.next().await.unwrap()), [2, 3], "what was believed before the attach does not matter");

    gated.gates.go_on.add_permits(1);
    append.await.unwrap().unwrap();
    let mut after = attach(&journal, &store, run, 1).await;
    assert_eq!(seqs(before.next().await.unwrap()), [2, 3]);
    assert_eq!(seqs(after.next().await.unwrap()), [2, 3]);
    for reader in [&mut before, &mut between, &mut stale, &mut after] {
        assert!(waits(reader), "and nothing twice");
        assert_eq!(reader.cursor(), 3);
    }
}

/// The last commit of a run falls between the look-up of its head and the attach, when no reader is there to be told.
#[tokio::test]
async fn journal_end_while_subscribing_is_not_missed() {
    let (_folder, store) = sqlite().await;
    let journal = journal_on(store.clone());
    let run = journal.create(new_run()).await.unwrap().key;
    let token = journal.write(claim(run, 1)).await.unwrap().token;
    let looked_up = store.head(run).await.unwrap();
    journal.write(complete(Lease { run, attempt: 1, token }, "done")).await.unwrap();

    let mut reader = journal.read(run, 1, looked_up, FrameEncoding::Single).await.unwrap();
    let step = tokio::time::timeout(LIMIT, reader.next()).await.expect("not to wait for ever");
    assert_eq!(seqs(step.unwrap()), [2]);
    assert!(matches!(reader.next().await.unwrap(), ReadStep::End(head) if head.status == Status::Completed));
}

#[tokio::test]
async fn journal_refuses_writes_without_the_lease() {
    let (_folder, store) = sqlite().await;
    let journal = journal_on(store);
    let run = journal.create(new_run()).await.unwrap().key;
    let token = journal.write(claim(run, 1)).await.unwrap().token;
    let refused = async |write| matches!(journal.write(write).await, Err(WriteError::Refused));
    assert!(refused(claim(run, 1)).await, "a run is claimed once");
    for wrong in [Lease { run, attempt: 1, token: token - 1 }, Lease { run, attempt: 2, token }] {
        assert!(refused(append(wrong, &["late"])).await);
    }
    // Two in one transaction: the refused one leaves the other alone.
    let good = journal.write(append(Lease { run, attempt: 1, token }, &["good"]));
    let bad = journal.write(append(Lease { run, attempt: 1, token: 0 }, &["bad"]));
    let (good, bad) = tokio::join!(good, bad);
    assert_eq!(good.unwrap().journal.head, 2);
    assert!(matches!(bad, Err(WriteError::Refused)));
}

/// A run by hand, at its beginning.
fn begin(db: &rusqlite::Connection) -> i64 {
    let id = RunId::generate();
    let begins = "INSERT INTO runs (id, pipeline, params, created_at, queued_at) VALUES (?, 'p', '{}', 0, 0)";
    db.execute(begins, [id.as_str()]).unwrap();
    let run = db.last_insert_rowid();
    db.execute("INSERT INTO attempts (run, attempt, params, pipeline, queued_at) VALUES (?, 1, '{}', '{}', 0)", [run])
        .unwrap();
    run
}

/// One move of a run by hand.
fn set(db: &rusqlite::Connection, run: i64, status: Status, again: u32) -> rusqlite::Result<usize> {
    let lease = (status == Status::Running).then_some(1);
    let change = "UPDATE runs SET status = ?, lease_until = ?, attempt = attempt + ? WHERE key = ?";
    db.execute(change, rusqlite::params![status.as_str(), lease, again, run])
}

/// The steps that lead there from the beginning.
fn way(to: Status) -> &'static [Status] {
    match to {
        Status::Pending => &[],
        Status::Running => &[Status::Running],
        Status::Completed => &[Status::Running, Status::Completed],
        Status::Failed => &[Status::Running, Status::Failed],
        Status::Cancelled => &[Status::Cancelled],
        Status::Interrupted => &[Status::Running, Status::Interrupted],
    }
}

/// A run by hand that stands there.
fn standing(db: &rusqlite::Connection, status: Status) -> i64 {
    let run = begin(db);
    for step in way(status) {
        set(db, run, *step, 0).unwrap();
    }
    run
}

fn refuses(db: &rusqlite::Connection, statement: &str, why: &str) {
    let error = db.execute(statement, []).expect_err(statement).to_string();
    assert!(error.contains(why), "{statement}: {error}");
}

/// What no change can say, the database does not take either: nobody but the contract says where a run may go. All
/// moves there could be, each with the attempt as it is, with the next one and with the one after that.
#[tokio::test]
async fn triggers_reject_unknown_run_transitions() {
    let (folder, _store) = sqlite().await;
    let db = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    for (from, to) in Status::ALL.into_iter().flat_map(|from| Status::ALL.map(|to| (from, to))) {
        for again in 0..=2 {
            let exists = Transition::all().any(|moved| (moved.from(), moved.to()) == (from, to));
            let possible = exists && again == u32::from(to == Status::Pending);
            match set(&db, standing(&db, from), to, again) {
                Ok(_) => assert!(possible, "{from} to {to}, {again} attempts on"),
                Err(error) => {
                    let refused = error.to_string().contains("no such change of status");
                    assert!(!possible && refused, "{from} to {to}, {again} attempts on: {error}");
                }
            }
        }
        // An attempt's own row follows its run. Another attempt has another row.
        let run = begin(&db);
        let follow = |status: Status| {
            db.execute("UPDATE attempts SET status = ? WHERE run = ?", rusqlite::params![status.as_str(), run])
        };
        for step in way(from) {
            follow(*step).unwrap();
        }
        let exists = Transition::all().any(|moved| (moved.from(), moved.to()) == (from, to) && to != Status::Pending);
        match follow(to) {
            Ok(_) => assert!(exists, "{from} to {to}"),
            Err(error) => {
                assert!(
                    !exists && error.to_string().contains("no such change of an attempt"),
                    "{from} to {to}: {error}"
                );
            }
        }
    }
}

/// The same of phases: what became of one does not change, unless it is carried over into a new attempt.
#[tokio::test]
async fn triggers_reject_unknown_phase_transitions() {
    use runtrail::model::PhaseState::{self, Completed, Failed, Pending, Skipped, Started};
    let (folder, _store) = sqlite().await;
    let db = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    let run = begin(&db);
    let states = [Pending, Started, Completed, Failed, Skipped];
    let set = |position: i64, state: PhaseState, carried: bool| {
        let change = "UPDATE phases SET state = ?, carried = ? WHERE run = ? AND attempt = 1 AND position = ?";
        db.execute(change, rusqlite::params![state.as_str(), carried, run, position])
    };
    let cases = states.into_iter().flat_map(|from| states.map(|to| [(from, to, false), (from, to, true)])).flatten();
    for (position, (from, to, carried)) in (0..).zip(cases) {
        db.execute("INSERT INTO phases (run, attempt, position, name) VALUES (?, 1, ?, 'x')", [run, position]).unwrap();
        let way: &[PhaseState] = match from {
            Pending => &[],
            Started => &[Started],
            Completed => &[Started, Completed],
            Failed => &[Started, Failed],
            Skipped => &[Skipped],
        };
        for step in way {
            set(position, *step, false).unwrap();
        }
        let possible = match (from, to) {
            (Pending, Skipped) => true,
            (Pending, Started) | (Started, Completed | Failed) => !carried,
            (Pending, Completed | Failed) => carried,
            _ => false,
        };
        match set(position, to, carried) {
            Ok(_) => assert!(possible, "{from:?} to {to:?}, carried over: {carried}"),
            Err(error) => {
                let refused = error.to_string().contains("no such change of a phase");
                assert!(!possible && refused, "{from:?} to {to:?}, carried over: {carried}: {error}");
            }
        }
    }
}

/// There is no way round the moves: not by writing a row anew, nor by one that begins where it should end, nor by a
/// number that goes back.
#[tokio::test]
async fn triggers_reject_raw_sql_writes() {
    let (folder, _store) = sqlite().await;
    let file = folder.path().join("test.db");
    let db = rusqlite::Connection::open(&file).unwrap();
    // As a shell of SQLite has it: nothing that this program sets holds here.
    db.pragma_update(None, "foreign_keys", "OFF").unwrap();
    let (done, waits) = (standing(&db, Status::Completed), standing(&db, Status::Pending));
    let taken: String = db.query_row("SELECT id FROM runs WHERE key = ?", [done], |row| row.get(0)).unwrap();
    db.execute("UPDATE runs SET head = 7, lease_token = 3, attempt = 2, status = 'pending' WHERE key = ?", [done])
        .unwrap();
    set(&db, done, Status::Cancelled, 0).unwrap();
    db.execute("INSERT INTO frames VALUES (?, 7, 0, 1, NULL, 'log', '{}')", [done]).unwrap();
    db.execute("INSERT INTO phases (run, attempt, position, name) VALUES (?, 1, 0, 'x'), (?, 1, 1, 'y')", [done, done])
        .unwrap();
    for word in ["", "OR REPLACE ", "OR IGNORE ", "OR FAIL ", "OR ROLLBACK "] {
        let run = |columns: &str, values: &str| {
            format!(
                "INSERT {word}INTO runs (pipeline, params, created_at, queued_at, {columns}) VALUES ('p', '{{}}', 0, 0, {values})"
            )
        };
        for (columns, values) in [
            ("id, status", "'new', 'completed'".to_owned()),
            ("id, status, lease_until", "'new', 'running', 1".to_owned()),
            ("id, status", "'new', NULL".to_owned()),
            ("id, attempt", "'new', 2".to_owned()),
            ("id, head", "'new', 1".to_owned()),
            ("key, id", format!("{done}, '{taken}'")),
            ("key, id", format!("{done}, 'new'")),
            ("rowid, id", format!("{done}, 'new'")),
            ("id", format!("'{taken}'")),
        ] {
            refuses(&db, &run(columns, &values), "begins");
        }
        for (what, why) in [
            (
                format!(
                    "INSERT {word}INTO attempts (run, attempt, params, pipeline, queued_at) VALUES ({done}, 1, '', '', 0)"
                ),
                "begins",
            ),
            (
                format!(
                    "INSERT {word}INTO attempts (run, attempt, params, pipeline, queued_at, status) VALUES ({done}, 2, '', '', 0, 'failed')"
                ),
                "begins",
            ),
            (format!("INSERT {word}INTO phases (run, attempt, position, name) VALUES ({done}, 1, 0, 'x')"), "begins"),
            (
                format!(
                    "INSERT {word}INTO phases (run, attempt, position, name, state) VALUES ({done}, 1, 9, 'x', 'completed')"
                ),
                "begins",
            ),
        ] {
            refuses(&db, &what, why);
        }
        for (table, change, why) in [
            ("runs", "attempt = attempt + 1", "no such change of status"),
            ("runs", "attempt = 1", "no such change of status"),
            ("runs", "attempt = NULL", "no such change of status"),
            ("runs", "status = NULL", "no such change of status"),
            ("runs", "status = 'pending', attempt = attempt + 2", "no such change of status"),
            ("runs", "head = head - 1", "does not become shorter"),
            ("runs", "head = NULL", "does not become shorter"),
            ("runs", "lease_token = lease_token - 1", "larger number"),
            ("runs", "lease_token = NULL", "larger number"),
            ("runs", "id = 'other'", "keeps its key"),
            ("runs", "key = key + 100", "keeps its key"),
            ("runs", "rowid = rowid + 100", "keeps its key"),
            ("runs", "oid = oid + 100", "keeps its key"),
            ("runs", "_rowid_ = _rowid_ + 100", "keeps its key"),
            ("frames", "seq = 8", "does not change"),
            ("frames", "data = ''", "does not change"),
            ("attempts", "status = NULL", "no such change of an attempt"),
            ("attempts", "attempt = 5", "keeps its place"),
            ("phases", "state = NULL", "no such change of a phase"),
            ("phases", "position = position + 1", "keeps its place"),
            ("phases", "name = 'z'", "keeps its place"),
        ] {
            let whose = if table == "runs" { "key" } else { "run" };
            refuses(&db, &format!("UPDATE {word}{table} SET {change} WHERE {whose} = {done}"), why);
        }
        refuses(&db, &format!("UPDATE {word}runs SET key = {done} WHERE key = {waits}"), "keeps its key");
        refuses(&db, &format!("UPDATE {word}runs SET id = '{taken}' WHERE key = {waits}"), "keeps its key");
    }
    for table in ["frames", "attempts", "phases"] {
        refuses(&db, &format!("DELETE FROM {table} WHERE run = {done}"), "stays as long as its run");
    }
    // All is as it was.
    let now = db.query_row(
        "SELECT status || attempt || head || lease_token || (SELECT count(*) FROM runs) || (SELECT count(*) FROM frames)
            || (SELECT count(*) FROM attempts) || (SELECT count(*) FROM phases) FROM runs WHERE key = ?",
        [done],
        |row| row.get::<_, String>(0),
    );
    assert_eq!(now.unwrap(), "cancelled2732122");
}

/// Nor does one that runs go because another one of its group is to run.
#[tokio::test]
async fn triggers_reject_two_running_runs_of_a_group() {
    let (folder, _store) = sqlite().await;
    let db = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    let [first, second, third] = [(); 3].map(|()| begin(&db));
    db.execute("UPDATE runs SET concurrency_group = 'g' WHERE key <> ?", [third]).unwrap();
    set(&db, first, Status::Running, 0).unwrap();
    set(&db, third, Status::Running, 0).unwrap();
    for word in ["", "OR REPLACE "] {
        let claim = format!("UPDATE {word}runs SET status = 'running', lease_until = 1 WHERE key = {second}");
        refuses(&db, &claim, "one run of a group");
        refuses(
            &db,
            &format!("UPDATE {word}runs SET concurrency_group = 'g' WHERE key = {third}"),
            "one run of a group",
        );
    }
    set(&db, first, Status::Failed, 0).unwrap();
    set(&db, second, Status::Running, 0).unwrap();
}

#[tokio::test]
async fn journal_refused_write_leaves_its_group_intact() {
    let (_folder, store) = sqlite().await;
    let journal = journal_on(store.clone());
    let first = new_run();
    let run = journal.create(first.clone()).await.unwrap().key;
    // An id that is taken, in one transaction with what is well.
    let (bad, good) = tokio::join!(journal.create(first), journal.write(claim(run, 1)));
    assert!(matches!(bad, Err(WriteError::Store(_))), "{bad:?}");
    assert!(good.is_ok());
    let head = store.head(run).await.unwrap();
    assert_eq!((head.status, head.head), (Status::Running, 1));
}

/// Many writers, many readers that come at any time, slow ones among them; groups and pages of all sizes.
#[tokio::test(flavor = "multi_thread")]
async fn journal_readers_agree() {
    let (_folder, store) = sqlite().await;
    let journal = journal_on(store.clone());
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let run = journal.create(new_run()).await.unwrap().key;
        let token = journal.write(claim(run, 1)).await.unwrap().token;
        let lease = Lease { run, attempt: 1, token };
        for reader in 0..8u64 {
            let (journal, store) = (journal.clone(), store.clone());
            tasks.push(tokio::spawn(async move {
                // Not all at once: each waits until the journal has come some way.
                while store.head(run).await.unwrap().head < 100 * reader {
                    tokio::task::yield_now().await;
                }
                let cursor = store.head(run).await.unwrap().head * (reader % 3) / 2;
                let mut reader = attach(&journal, &store, run, cursor).await;
                let mut read = Vec::new();
                loop {
                    match reader.next().await.unwrap() {
                        ReadStep::End(head) => {
                            assert_eq!(read, (cursor + 1..=head.head).collect::<Vec<_>>());
                            return head.head;
                        }
                        step => read.extend(seqs(step)),
                    }
                }
            }));
        }
        let journal = journal.clone();
        tasks.push(tokio::spawn(async move {
            let lines = vec!["same"; 40];
            for group in 0..120usize {
                journal.write(append(lease, &lines[..group % 40])).await.unwrap();
            }
            journal.write(complete(lease, "end")).await.unwrap().journal.head
        }));
    }
    let heads = futures::future::join_all(tasks).await;
    assert!(heads.iter().all(|head| *head.as_ref().unwrap() == 2342), "{heads:?}");
}

/// What a reader that takes nothing costs is a page: it is bounded by bytes, too.
#[tokio::test]
async fn journal_pages_are_bounded_in_bytes() {
    let (_folder, store) = sqlite().await;
    let journal = journal_on(store.clone());
    let run = journal.create(new_run()).await.unwrap().key;
    let token = journal.write(claim(run, 1)).await.unwrap().token;
    let line = "x".repeat(60_000);
    let lines = [line.as_str(); 100];
    journal.write(append(Lease { run, attempt: 1, token }, &lines)).await.unwrap();

    let mut reader = attach(&journal, &store, run, 0).await;
    let mut read = Vec::new();
    while read.len() < 101 {
        let step = reader.next().await.unwrap();
        if let ReadStep::Frames(pieces) = &step {
            let size: usize = pieces.iter().map(|piece| piece.len()).sum();
            assert!(size < 1_300_000, "{size} bytes at once");
        }
        read.extend(seqs(step));
    }
    assert_eq!(read, (1..=101).collect::<Vec<_>>());
    let (page, _) = store.frames(run, 0, 5000).await.unwrap();
    assert!((1..101).contains(&page.len()), "{} frames", page.len());
}

/// Retention may take an unpinned run away at once; who unpinned it is told of the run all the same.
#[tokio::test]
async fn journal_write_returns_the_run_as_committed() {
    let (_folder, store) = sqlite().await;
    let journal = journal_on(store.clone());
    let created = journal.create(new_run()).await.unwrap();
    let (run, id) = (created.key, created.run.id.clone());
    assert_eq!((created.run.status, created.run.attempt), (Status::Pending, 1));
    let command = |command: RunCommand| StoreCommand::Run(RunWrite::new(command));
    let commands = [
        command(CancelPending { run, attempt: 1 }.into()),
        command(PinRun { run, pinned: true }.into()),
        command(PinRun { run, pinned: false }.into()),
        command(DeleteRun { run, id, status: Status::Cancelled, attempt: 1 }.into()),
    ];
    let left = store.commit(&commands).await.unwrap().into_iter().map(|outcome| match outcome {
        WriteOutcome::Committed(committed) => committed.run_after.map(|run| (run.status, run.pin)),
        other => panic!("{other:?}"),
    });
    let told = |pinned, pins| Some((Status::Cancelled, Pin { pinned, pins }));
    assert_eq!(left.collect::<Vec<_>>(), [told(false, 0), told(true, 1), told(false, 2), None]);
    assert!(store.run(run).await.unwrap().is_none(), "and it is gone");
}

/// Of what was deleted while it was read there may have been less to read than there was.
#[tokio::test]
async fn journal_attempt_of_a_deleted_run_is_not_found() {
    let (folder, gated, store, journal, run) = unread().await;
    journal.write(complete(Lease { run, attempt: 1, token: 1 }, "done")).await.unwrap();
    let id = store.run(run).await.unwrap().unwrap().id;
    let (catalog, projects) = (Catalog::fixed(Vec::new()), Arc::<Projects>::default());
    let options = EngineOptions {
        owner: "test".into(),
        workers: 1,
        lease: LIMIT,
        grace: LIMIT,
        projects: Arc::clone(&projects),
        scratch: folder.path().join("scratch"),
        workspaces: Workspaces::new(folder.path().join("workspaces")),
        program: "runtrail".into(),
        commands: Arc::new(ProcessLauncher {
            program: "runtrail".into(),
            open_files: None,
            umask: None,
            passed: Default::default(),
            confinement: Default::default(),
            catalog: catalog.clone(),
            handover: Handover::new(std::time::Duration::ZERO, &folder.path().join("handover"), 0, Default::default())
                .unwrap(),
            workspaces: folder.path().join("workspaces"),
        }),
    };
    let store = store.intercepted(Arc::new(gated.clone()));
    let (engine, _idle) = Engine::new(store.clone(), journal.clone(), options, Default::default());
    let backend =
        Backend { store, journal: journal.clone(), engine, catalog, projects, max_queued: 1000, is_exposed: false };
    let asked = tokio::spawn({
        let (backend, id) = (backend.clone(), id.clone());
        async move { runs::attempt(&backend, id.as_str(), 1).await }
    });
    until("its frames are read", async || (gated.gates.reads.load(Ordering::Relaxed) == 1).then_some(())).await;
    let delete = DeleteRun { run, id: id.clone(), status: Status::Completed, attempt: 1 };
    journal.write(RunWrite::new(delete)).await.unwrap();
    gated.gates.read_on.add_permits(1);
    assert_eq!(asked.await.unwrap().unwrap_err().code, ProblemCode::RunNotFound);
    assert_eq!(runs::attempts(&backend, id.as_str(), None, None).await.unwrap_err().code, ProblemCode::RunNotFound);
}

/// A key is kept for a day: then the same request is another one.
#[tokio::test]
async fn journal_idempotency_key_expires_after_a_day() {
    let (_folder, store) = sqlite().await;
    let journal = journal_on(store.clone());
    let now = Timestamp::now();
    let day = 24 * 60 * 60 * 1000;
    let at = |ago: i64| {
        let idempotency = Some(("key".to_owned(), b"asked".to_vec()));
        CreateRun { at: Timestamp(now.0 - ago), idempotency, ..new_run() }
    };
    let old = journal.create(at(day + 1000)).await.unwrap();
    assert!(old.is_new);
    assert_eq!(store.by_idempotency_key("key").await.unwrap(), None, "it is too old to count");
    let other = journal.create(at(0)).await.unwrap();
    assert!(other.is_new && other.key != old.key);
    let again = journal.create(at(0)).await.unwrap();
    assert_eq!((again.key, again.is_new, &again.run), (other.key, false, &other.run));
    assert_eq!(store.by_idempotency_key("key").await.unwrap().and_then(|known| known.run), Some(other.key));
}
