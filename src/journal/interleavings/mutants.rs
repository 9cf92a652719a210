//! Wrong journals, each from the real parts in a wrong order. That the checker finds what is wrong with them shows that
//! it would find it in the real one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::crowd::{Kind, sits_down_while_the_run_goes_on, two_that_sit};
use super::*;
use crate::journal::reader::PAGE;

/// Lets the checker look for what is wrong with the scene, as it does with the real journal; it must find this.
fn caught(scene: fn(), wrong: &[&str]) {
    found(|| check(scene, 3000), wrong);
}

fn found(search: impl Fn(), wrong: &[&str]) {
    let found = catch_unwind(AssertUnwindSafe(search)).expect_err("nothing wrong was found");
    let found = match found.downcast::<String>() {
        Ok(found) => *found,
        Err(found) => (*found.downcast::<&str>().unwrap()).to_owned(),
    };
    eprintln!("found: {found}");
    assert!(wrong.iter().any(|wrong| found.contains(wrong)), "something else was found");
}

/// The ring and the doorbell first, the commit afterwards: a crash between takes back what was shown.
#[test]
fn a_writer_that_tells_before_it_commits() {
    let scene = || {
        scene(Memory::default(), |world| {
            *world.memory.publishes_early.lock().unwrap() = Arc::downgrade(&world.journal.tails);
            vec![stay(world.clone())]
        });
    };
    caught(scene, &["before its commit"]);
}

/// The doorbell is looked at after the read: a commit between the two counts as heard, and nobody wakes the reader.
async fn reads_before_it_looks(world: World) {
    let mut seen = Seen::anywhere(&world);
    let (run, memory) = (world.run, &world.memory);
    let tail = world.journal.tails.attach(run, memory.head(run).await.unwrap());
    tail.advance(memory.head(run).await.unwrap());
    let mut doorbell = tail.listen();
    loop {
        let pieces = match tail.after(seen.cursor, &Form::Plain) {
            Some(found) => found.pieces,
            None => vec![crate::journal::ring::encode(
                &memory.frames(run, seen.cursor, PAGE).await.unwrap().0,
                &Form::Plain,
            )],
        };
        if pieces.iter().any(|piece| !piece.is_empty()) {
            seen.take(Ok(Step::Frames(pieces)));
            continue;
        }
        let pulse = doorbell.borrow_and_update().pulse;
        if pulse.status.is_finished() && pulse.head == seen.cursor {
            return;
        }
        doorbell.changed().await.unwrap();
    }
}

#[test]
fn a_reader_that_looks_at_the_doorbell_after_the_read() {
    caught(|| scene(Memory::default(), |world| vec![reads_before_it_looks(world.clone())]), &["deadlock"]);
}

/// The store is asked first and the tail entered afterwards: a commit between the two is published to nobody. So rare
/// that it is looked for in every order of steps, as the real attach is.
#[test]
fn a_reader_that_asks_before_it_attaches() {
    let scene = || {
        attaches_while_the_run_ends(async |World { memory, journal, run }, _| {
            let pulse = memory.head(*run).await.unwrap();
            let tail = journal.tails.attach(*run, pulse);
            Reader::new(Arc::clone(memory) as _, tail, *run, 1, Form::Plain)
        });
    };
    found(|| check_all(scene), &["deadlock"]);
}

/// The store up to now and a queue from now on: two sources, whatever the order they are opened in.
async fn replays_and_listens(world: World, listens_first: bool) {
    let mut seen = Seen::anywhere(&world);
    let first = listens_first.then(|| world.memory.queue());
    let (replayed, _) = world.memory.frames(world.run, seen.cursor, u32::MAX).await.unwrap();
    replayed.iter().for_each(|frame| seen.add(frame.seq));
    let mut queue = first.unwrap_or_else(|| world.memory.queue());
    while seen.cursor < LAST {
        seen.add(queue.recv().await.unwrap().seq);
    }
}

#[test]
fn a_reader_that_listens_and_then_replays() {
    caught(|| scene(Memory::default(), |world| vec![replays_and_listens(world.clone(), true)]), &["twice"]);
}

#[test]
fn a_reader_that_replays_and_then_listens() {
    let wrong = ["missing", "deadlock"];
    caught(|| scene(Memory::default(), |world| vec![replays_and_listens(world.clone(), false)]), &wrong);
}

/// The list is read first and watched afterwards: a change between the two is told to nobody.
async fn reads_the_list_before_it_watches(world: World) {
    let mut run = world.memory.run(world.run).await.unwrap().unwrap();
    let mut list = world.journal.watch_list();
    while !run.status.is_finished() {
        let ListStep::Runs(runs) = list.next().await.unwrap() else { panic!("a lag") };
        let Some(RunListUpdate::Changed(told)) = runs.first().map(AsRef::as_ref) else { panic!("gone") };
        run = crate::model::Run::clone(told);
    }
}

#[test]
fn a_page_that_reads_the_list_before_it_watches() {
    found(|| check_all(|| opens_the_list_while_the_run_ends(reads_the_list_before_it_watches)), &["deadlock"]);
}

/// Who sits down in a crowd that is further is not told what lies between.
#[test]
fn a_reader_that_sits_down_wherever_the_crowd_is() {
    caught(|| sits_down_while_the_run_goes_on(true), &["deadlock"]);
}

/// What the crowd writes then comes before what the stream has in its hands.
#[test]
fn a_stream_that_lends_its_socket_while_it_has_something_to_write() {
    caught(|| two_that_sit(Memory::default(), Kind::LendsTooLong), &["missing", "twice"]);
}
