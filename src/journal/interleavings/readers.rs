//! Readers of a run and of the run list: each gets every frame or change, whatever the order of steps.

use super::*;

/// Reads to the end with several readers: drops them now and then, also during a step, and continues with another.
async fn read_with_reconnects(world: World) {
    let mut received = Received::from_random_cursor(&world);
    loop {
        let mut reader = world.subscribe(received.cursor, random_encoding()).await;
        while thread_rng().gen_ratio(3, 4) {
            let step = match thread_rng().gen_bool(0.5) {
                true => reader.next().await,
                false => match timeout_at(Instant::now(), reader.next()).await {
                    Ok(step) => step,
                    Err(_) => continue,
                },
            };
            if received.record(step) {
                return;
            }
            assert_eq!(reader.cursor(), received.cursor, "the cursor is not that of the last frame");
        }
    }
}

/// However many list readers wait for a change, they share one read of its run.
#[test]
fn list_readers_share_one_read_of_each_change() {
    check(
        || {
            block_on(async {
                let world = claimed_run().await;
                let lists: Vec<_> = (0..4).map(|_| world.journal.watch_list()).collect();
                let before = world.memory.runs_read.load(Ordering::Relaxed);
                let readers: Vec<_> = lists
                    .into_iter()
                    .map(|mut list| {
                        spawn(async move {
                            let ListStep::Runs(runs) = list.next().await.unwrap() else { panic!("a lag") };
                            assert!(
                                matches!(*runs[0], RunListUpdate::Changed(ref run) if run.status.is_finished()),
                                "{runs:?}"
                            );
                        })
                    })
                    .collect();
                finish_run(&world).await;
                world.journal.list_feed.publish(std::iter::once(RunListEvent::Changed(world.run)));
                for reader in readers {
                    reader.await.unwrap();
                }
                assert_eq!(world.memory.runs_read.load(Ordering::Relaxed) - before, 1);
            });
        },
        500,
    );
}

#[test]
fn readers_get_every_frame_once_in_order() {
    check(|| run_scene(Memory::default(), |world| vec![read_to_end(world.clone()), read_to_end(world.clone())]), 3000);
    assert!(PAGES.load(Ordering::Relaxed) > 0, "some frames are forgotten before they are read");
}

#[test]
fn reconnecting_readers_get_every_frame_once_in_order() {
    check(
        || {
            run_scene(Memory::default(), |world| {
                vec![read_with_reconnects(world.clone()), read_with_reconnects(world.clone())]
            })
        },
        1500,
    );
}

#[test]
fn list_readers_get_the_last_change() {
    check(|| run_scene(Memory::default(), |world| vec![watch_list(world.clone()), watch_list(world.clone())]), 1500);
}

#[test]
fn readers_on_a_busy_database_get_every_frame() {
    check(
        || {
            run_scene(Memory::busy(), |world| {
                vec![read_with_reconnects(world.clone()), read_with_reconnects(world.clone())]
            })
        },
        1500,
    );
}

#[test]
fn list_opened_during_the_end_reports_it() {
    check_all(|| open_list_while_run_ends(watch_list));
}

#[test]
fn waiting_reader_gets_the_last_frame() {
    check_all(|| {
        block_on(async {
            let world = claimed_run().await;
            let reader = spawn(expect_last_frame(world.subscribe(1, FrameEncoding::Single).await));
            finish_run(&world).await;
            reader.await.unwrap();
        });
    });
}

#[test]
fn reader_subscribing_during_the_end_gets_the_last_frame() {
    check_all(|| {
        subscribe_while_run_ends(async |world, looked_up| {
            world.journal.read(world.run, 1, looked_up, FrameEncoding::Single).await.unwrap()
        });
    });
}

/// A deletion ends a reader wherever it is, and later readers fail.
#[test]
fn reader_of_a_deleted_run_ends() {
    check_all(|| {
        block_on(async {
            let world = claimed_run().await;
            finish_run(&world).await;
            let head = world.memory.head(world.run).await.unwrap();
            let mut late = world.subscribe(0, FrameEncoding::Single).await;
            let mut reader = world.subscribe(0, FrameEncoding::Single).await;
            let reading = spawn(async move {
                loop {
                    match reader.next().await {
                        Ok(ReadStep::Frames(_)) => {}
                        Ok(ReadStep::End(_)) => break,
                        Err(error) => break assert!(matches!(error, StoreError::Gone), "{error}"),
                    }
                }
            });
            delete(&world).await;
            world.journal.live_runs.mark_deleted(world.run);
            assert!(matches!(late.next().await, Err(StoreError::Gone)), "a frame of a deleted run was returned");
            let attached = world.journal.read(world.run, 0, head, FrameEncoding::Single).await;
            assert!(matches!(attached.err(), Some(StoreError::Gone)));
            reading.await.unwrap();
        });
    });
}

#[test]
fn readers_with_the_servers_sizes_get_every_frame() {
    check(
        || {
            run_scene_with(Memory::default(), ReadOptions::default(), |world| {
                vec![read_with_reconnects(world.clone()), read_with_reconnects(world.clone())]
            });
        },
        500,
    );
}
