//! Wrong journals: the real parts in a wrong order. The checker has to catch each, which shows that it would catch the
//! same mistake in the real journal.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::broadcast::{StreamKind, join_during_commit, two_streams};
use super::*;

/// Expects that the checker finds this mistake in the scene.
fn expect_caught(scene: fn(), wrong: &[&str]) {
    expect_found(|| check(scene, 3000), wrong);
}

fn expect_found(search: impl Fn(), wrong: &[&str]) {
    let panic = catch_unwind(AssertUnwindSafe(search)).expect_err("nothing wrong was found");
    let found = match panic.downcast::<String>() {
        Ok(found) => *found,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    };
    eprintln!("found: {found}");
    assert!(wrong.iter().any(|wrong| found.contains(wrong)), "something else was found");
}

/// Published before the commit: a crash in between would take back what readers have seen.
#[test]
fn mutant_that_publishes_before_the_commit_is_caught() {
    let scene = || {
        run_scene(Memory::default(), |world| {
            *world.memory.publishes_early.lock().unwrap() = Arc::downgrade(&world.journal.live_runs);
            vec![read_to_end(world.clone())]
        });
    };
    expect_caught(scene, &["before its commit"]);
}

/// The head is marked as seen after the read: a commit between the two wakes nobody.
async fn read_before_marking_seen(world: World) {
    let mut received = Received::from_random_cursor(&world);
    let (run, memory) = (world.run, &world.memory);
    let live_run = world.journal.live_runs.subscribe(run, memory.head(run).await.unwrap());
    live_run.publish_head(memory.head(run).await.unwrap());
    let mut notifications = live_run.notifications();
    loop {
        let pieces = match live_run.after(received.cursor, &FrameEncoding::Single) {
            Some(found) => found.chunks,
            None => vec![crate::journal::ring::encode(
                &memory.frames(run, received.cursor, SMALL_READS.page_frames).await.unwrap().0,
                &FrameEncoding::Single,
            )],
        };
        if pieces.iter().any(|piece| !piece.is_empty()) {
            received.record(Ok(ReadStep::Frames(pieces)));
            continue;
        }
        let head = notifications.borrow_and_update().head;
        if head.status.is_finished() && head.head == received.cursor {
            return;
        }
        notifications.changed().await.unwrap();
    }
}

#[test]
fn mutant_that_marks_the_head_seen_after_the_read_is_caught() {
    expect_caught(
        || run_scene(Memory::default(), |world| vec![read_before_marking_seen(world.clone())]),
        &["deadlock"],
    );
}

/// The head is read before the subscription: a commit between the two notifies nobody. It is so rare that all orders
/// are tried.
#[test]
fn mutant_that_reads_the_head_before_subscribing_is_caught() {
    let scene = || {
        subscribe_while_run_ends(async |World { memory, journal, run }, _| {
            let head = memory.head(*run).await.unwrap();
            let live_run = journal.live_runs.subscribe(*run, head);
            Reader::new(Arc::clone(memory) as _, live_run, *run, 1, FrameEncoding::Single)
        });
    };
    expect_found(|| check_all(scene), &["deadlock"]);
}

/// The store up to now and a queue from now on: two sources, in either order.
async fn replay_and_listen(world: World, is_listening_first: bool) {
    let mut received = Received::from_random_cursor(&world);
    let first = is_listening_first.then(|| world.memory.queue());
    let (replayed, _) = world.memory.frames(world.run, received.cursor, u32::MAX).await.unwrap();
    replayed.iter().for_each(|frame| received.add(frame.seq));
    let mut queue = first.unwrap_or_else(|| world.memory.queue());
    while received.cursor < LAST {
        received.add(queue.recv().await.unwrap().seq);
    }
}

#[test]
fn mutant_that_listens_then_replays_is_caught() {
    expect_caught(|| run_scene(Memory::default(), |world| vec![replay_and_listen(world.clone(), true)]), &["twice"]);
}

#[test]
fn mutant_that_replays_then_listens_is_caught() {
    let wrong = ["missing", "deadlock"];
    expect_caught(|| run_scene(Memory::default(), |world| vec![replay_and_listen(world.clone(), false)]), &wrong);
}

/// The list is read before it is watched: a change between the two is lost.
async fn read_list_before_watching(world: World) {
    let mut run = world.memory.run(world.run).await.unwrap().unwrap();
    let mut list = world.journal.watch_list();
    while !run.status.is_finished() {
        let ListStep::Runs(runs) = list.next().await.unwrap() else { panic!("a lag") };
        let Some(RunListUpdate::Changed(listed)) = runs.first().map(AsRef::as_ref) else { panic!("gone") };
        run = crate::model::Run::clone(listed);
    }
}

#[test]
fn mutant_that_reads_the_list_before_watching_is_caught() {
    expect_found(|| check_all(|| open_list_while_run_ends(read_list_before_watching)), &["deadlock"]);
}

/// A reader that joins a group ahead of it never gets the frames between.
#[test]
fn mutant_that_joins_a_group_ahead_of_it_is_caught() {
    expect_caught(|| join_during_commit(true), &["deadlock"]);
}

/// The broadcast then overtakes what the stream has still to write.
#[test]
fn mutant_that_reclaims_its_socket_late_is_caught() {
    expect_caught(|| two_streams(Memory::default(), StreamKind::ReclaimsLate), &["missing", "twice"]);
}
