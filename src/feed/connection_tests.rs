//! The connection by its stories. `Page` checks the rules after every event; `connection_properties.rs` checks them for
//! any story.

use super::Action::{Poll, Subscribe, Suspend, Unsubscribe};
use super::ConnectionEvent as Event;
use super::test_page::*;
use super::*;

#[test]
fn connection_streams_an_active_run() {
    let mut page = Page::new(true);
    assert_eq!(page.state(), ConnectionState::Connecting);
    assert_eq!(page.on(Event::Begin), [Subscribe]);
    assert_eq!(page.state(), ConnectionState::Connecting);
    assert_eq!(page.feed(&opened(true, AHEAD)), []);
    assert_eq!(page.state(), ConnectionState::Live);
    assert_eq!(page.after(1000, Event::Heard), []);
    assert_eq!(page.on(Event::ActiveChanged(false)), [], "it waits for the stream's end");
    assert_eq!(page.feed(&ENDED), [Unsubscribe]);
    assert_eq!(page.state(), ConnectionState::Ended);
}

#[test]
fn connection_polls_a_final_run_now_and_then() {
    let mut page = Page::new(false);
    assert_eq!(page.state(), ConnectionState::Ended);
    assert_eq!(page.on(Event::Begin), []);
    let begin = page.now;
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.now - begin, INTERVALS.poll_ms);
    assert_eq!(page.feed(&FINAL), []);
    assert_eq!(page.state(), ConnectionState::Ended);
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.feed(&FAILED), []);
    assert_eq!(page.state(), ConnectionState::Ended, "all frames are here, whether the server answers or not");
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.feed(&ANSWER), [Subscribe], "it was re-run from elsewhere");
    page.feed(&OPENED);
    assert_eq!(page.state(), ConnectionState::Live);
}

#[test]
fn connection_streams_the_rest_of_a_final_run() {
    let mut page = Page::begun(false);
    page.tick();
    assert_eq!(page.feed(&FINAL_BEHIND), [Subscribe, Poll]);
    assert_eq!(page.state(), ConnectionState::Polling);
    page.feed(&OPENED_BEHIND);
    assert_eq!(page.state(), ConnectionState::Live);
    page.feed(&ENDED);
    assert_eq!(page.state(), ConnectionState::Ended);
}

#[test]
fn connection_leaves_a_final_run_of_a_hidden_page_alone() {
    let mut page = Page::begun(false);
    page.page(PageEvent::Hidden);
    assert_eq!(page.machine.deadline(), None);
    assert_eq!(page.after(100_000, Event::Page(PageEvent::Visible)), [Poll]);
}

#[test]
fn connection_subscribes_at_once_to_a_rerun_from_this_page() {
    let mut page = Page::begun(false);
    assert_eq!(page.on(Event::ActiveChanged(true)), [Subscribe]);
    assert_eq!(page.state(), ConnectionState::Connecting);
}

#[test]
fn connection_polls_soon_for_a_rerun_that_crosses_the_end() {
    let mut page = Page::live();
    page.on(Event::ActiveChanged(true));
    page.feed(&ENDED);
    let end = page.now;
    assert_eq!(page.tick(), [Poll]);
    assert!(page.now - end <= 1000);
    assert_eq!(page.feed(&ANSWER), [Subscribe]);
}

#[test]
fn connection_polls_until_a_lost_stream_is_opened_again() {
    let mut page = Page::live();
    assert_eq!(page.after(10_000, Event::Feed(&LOST)), []);
    assert_eq!(page.state(), ConnectionState::Retrying);
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.feed(&ANSWER), []);
    assert_eq!(page.state(), ConnectionState::Polling);
    assert_eq!(page.feed(&LOST), []);
    assert_eq!(page.state(), ConnectionState::Polling, "another failure of the stream does not change that");
    let mut polls = 0;
    for _ in 0..12 {
        if page.tick().contains(&Poll) {
            polls += 1;
            page.feed(&ANSWER);
        }
        page.feed(&LOST);
        assert_eq!(page.state(), ConnectionState::Polling);
    }
    assert!(polls >= 3);
    page.feed(&opened(true, AHEAD));
    assert_eq!(page.state(), ConnectionState::Live);
    assert!(page.is_polling || page.machine.polls.due.is_none(), "no polls beside a stream");
}

#[test]
fn connection_renews_a_subscription_that_is_not_opened() {
    let mut page = Page::begun(true);
    let begin = page.now;
    let mut renewals = Vec::new();
    while page.now < begin + 3 * OPEN_TIMEOUT_MS {
        let actions = page.tick();
        if actions.contains(&Subscribe) {
            renewals.push(page.now - begin);
        }
        if actions.contains(&Poll) {
            page.feed(&ANSWER);
        }
    }
    assert_eq!(renewals, [OPEN_TIMEOUT_MS, 2 * OPEN_TIMEOUT_MS, 3 * OPEN_TIMEOUT_MS]);
    assert_eq!(page.state(), ConnectionState::Polling);
}

#[test]
fn connection_ends_when_the_run_finishes_while_it_is_polled() {
    let mut page = Page::live();
    page.feed(&LOST);
    page.tick_until_poll();
    assert_eq!(page.feed(&FINAL), [Unsubscribe]);
    assert_eq!(page.state(), ConnectionState::Ended);
}

#[test]
fn connection_polls_a_server_that_is_away_until_it_answers() {
    let mut page = Page::live();
    page.after(60_000, Event::Heard);
    page.feed(&LOST);
    let start = page.now;
    while page.now < start + 120_000 {
        assert_eq!(page.state(), ConnectionState::Retrying);
        let before = page.now;
        if page.tick().contains(&Poll) {
            page.feed(&FAILED);
        }
        page.feed(&LOST);
        assert!(page.now - before <= 8000);
    }
    page.tick_until_poll();
    page.feed(&FINAL);
    assert_eq!(page.state(), ConnectionState::Ended);
}

#[test]
fn connection_waits_as_long_as_the_server_asks() {
    let mut page = Page::begun(false);
    page.tick();
    page.feed(&unavailable(60_000));
    assert_eq!(page.machine.deadline(), Some(page.now + 60_000));
}

#[test]
fn connection_takes_silence_for_a_lost_stream() {
    let mut page = Page::live();
    let opened_at = page.now;
    assert_eq!(page.machine.deadline(), Some(opened_at + 37_500));
    assert_eq!(page.after(20_000, Event::Heard), []);
    assert_eq!(page.machine.deadline(), Some(page.now + 37_500));
    assert_eq!(page.tick(), [Suspend, Subscribe]);
    assert_eq!(page.state(), ConnectionState::Retrying);
}

#[test]
fn connection_does_not_take_a_late_timer_for_silence() {
    let mut page = Page::live();
    // After an hour of sleep the timer fires before the queued network events.
    assert_eq!(page.after(3_600_000, Event::Tick), []);
    assert_eq!(page.state(), ConnectionState::Live);
    assert_eq!(page.after(10, Event::Feed(&ALIVE)), []);
    assert_eq!(page.state(), ConnectionState::Live);
    // If none arrives, it was silence.
    page.after(3_600_000, Event::Tick);
    assert_eq!(page.tick(), [Suspend, Subscribe]);
}

#[test]
fn connection_does_not_wait_when_a_silent_page_is_visible_again() {
    let mut page = Page::live();
    page.page(PageEvent::Hidden);
    assert_eq!(page.after(3_600_000, Event::Page(PageEvent::Visible)), [Suspend, Subscribe, Poll]);
    let mut page = Page::live();
    page.page(PageEvent::Hidden);
    assert_eq!(page.after(10_000, Event::Page(PageEvent::Visible)), [], "a stream that is not silent stays");
}

#[test]
fn connection_polls_for_a_gap_beside_the_stream() {
    let mut page = Page::live();
    let heard = page.now;
    assert_eq!(page.on(Event::GapFound), [Poll]);
    assert_eq!(page.feed(&GAP), [], "one poll at a time");
    assert_eq!(page.feed(&FAILED), []);
    assert_eq!(page.state(), ConnectionState::Live);
    assert_eq!(page.tick(), [Poll]);
    assert_eq!(page.feed(&polled(true, AHEAD)), [Poll]);
    assert_eq!(page.feed(&ANSWER), []);
    assert_eq!(page.machine.deadline(), Some(heard + 37_500), "only the watchdog");
    assert_eq!(page.feed(&GAP), [Poll], "frames that are not relayed are polled for");
}

#[test]
fn connection_is_offline_once_a_poll_has_failed() {
    // A server on this machine answers without any network.
    let mut page = Page::live();
    assert_eq!(page.page(PageEvent::Offline), [Poll]);
    page.feed(&ANSWER);
    assert_eq!(page.state(), ConnectionState::Live);
    // Others do not.
    let mut page = Page::live();
    page.page(PageEvent::Offline);
    assert_eq!(page.feed(&FAILED), [Suspend]);
    assert_eq!(page.state(), ConnectionState::Offline);
    let actions = page.after(5000, Event::Page(PageEvent::Online));
    assert!(actions.contains(&Subscribe) && actions.contains(&Poll), "{actions:?}");
    assert_eq!(page.state(), ConnectionState::Retrying);
    page.feed(&OPENED);
    assert_eq!(page.state(), ConnectionState::Live);
}

#[test]
fn connection_is_not_offline_after_an_answer() {
    let mut page = Page::live();
    page.page(PageEvent::Offline);
    page.feed(&FAILED);
    page.tick_until_poll();
    page.feed(&ANSWER);
    assert_eq!(page.state(), ConnectionState::Polling);
}

#[test]
fn connection_closes_with_the_page_and_comes_back_with_it() {
    let mut page = Page::live();
    assert_eq!(page.page(PageEvent::Left), [Unsubscribe]);
    assert_eq!(page.after(60_000, Event::Tick), []);
    assert_eq!(page.on(Event::ActiveChanged(true)), []);
    assert!(page.page(PageEvent::Returned).contains(&Subscribe));
    page.feed(&opened(true, AHEAD));
    assert_eq!(page.state(), ConnectionState::Live);

    let mut page = Page::begun(false);
    page.page(PageEvent::Left);
    assert_eq!(page.after(60_000, Event::Page(PageEvent::Returned)), [Poll], "it may have been re-run");
}

#[test]
fn connection_leaves_a_deleted_run_alone() {
    for deleted in [Event::Deleted, Event::Feed(&FeedEvent::PollFailed(PollError::RunNotFound))] {
        let mut page = Page::live();
        assert_eq!(page.on(deleted), [Unsubscribe]);
        assert_eq!(page.state(), ConnectionState::Ended);
        assert_eq!(page.after(60_000, Event::Page(PageEvent::Visible)), []);
    }
}

#[test]
fn connection_ignores_late_events_of_a_closed_stream() {
    let mut page = Page::begun(false);
    for event in [OPENED_BEHIND, ALIVE, GAP, ENDED, LOST] {
        let before = page.machine.clone();
        assert_eq!(page.feed(&event), []);
        assert_eq!(page.machine, before);
    }
}
