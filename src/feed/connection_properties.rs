//! The rules of the connection for every short story, and for long random ones.

use proptest::prelude::*;

use super::ConnectionEvent as Event;
use super::test_page::{
    ALIVE, ANSWER, ENDED, FAILED, FINAL, FINAL_BEHIND, GAP, LOST, OPENED, OPENED_BEHIND, Page, polled,
};
use super::*;

const DELETED: usize = 0;

const EVENTS: [Event<'static>; 23] = [
    Event::Deleted,
    Event::Begin,
    Event::Feed(&OPENED),
    Event::Feed(&OPENED_BEHIND),
    Event::Feed(&ALIVE),
    Event::Feed(&GAP),
    Event::Feed(&ENDED),
    Event::Feed(&LOST),
    Event::Feed(&ANSWER),
    Event::Feed(&FINAL),
    Event::Feed(&FINAL_BEHIND),
    Event::Feed(&FAILED),
    Event::Heard,
    Event::GapFound,
    Event::ActiveChanged(true),
    Event::ActiveChanged(false),
    Event::Page(PageEvent::Offline),
    Event::Page(PageEvent::Online),
    Event::Page(PageEvent::Hidden),
    Event::Page(PageEvent::Visible),
    Event::Page(PageEvent::Left),
    Event::Page(PageEvent::Returned),
    Event::Tick,
];

/// Whether this can happen to the page: an answer needs a poll.
fn is_possible(page: &Page, event: Event<'_>) -> bool {
    match event {
        Event::Feed(event) if event.is_from_poll() => page.is_polling,
        _ => true,
    }
}

#[test]
fn connection_keeps_the_rules_in_every_story_of_four_events() {
    fn extend(page: &Page, events_left: usize) {
        for event in EVENTS.into_iter().filter(|&event| is_possible(page, event)) {
            for wait_ms in [0, 40_000] {
                let mut next = page.clone();
                next.after(wait_ms, event);
                if events_left > 1 {
                    extend(&next, events_left - 1);
                }
            }
        }
    }
    extend(&Page::new(true), 3);
    extend(&Page::begun(true), 4);
    extend(&Page::begun(false), 4);
    extend(&Page::live(), 4);
}

proptest! {
    #[test]
    fn connection_keeps_the_rules_in_long_stories(
        is_active in any::<bool>(),
        story in prop::collection::vec((0..EVENTS.len(), prop_oneof![Just(0u64), 0..5000u64, 0..100_000u64]), 0..300),
    ) {
        let mut page = Page::begun(is_active);
        for (event, wait_ms) in story {
            if is_possible(&page, EVENTS[event]) {
                page.after(wait_ms, EVENTS[event]);
            }
        }
    }

    /// Whatever happened: once the server answers again, a visible page gets to where the run is.
    #[test]
    fn connection_recovers_when_the_server_answers(
        story in prop::collection::vec((0..EVENTS.len(), 0..20_000u64), 0..100),
        is_active in any::<bool>(),
    ) {
        let mut page = Page::begun(true);
        for (event, wait_ms) in story {
            if is_possible(&page, EVENTS[event]) && event != DELETED {
                page.after(wait_ms, EVENTS[event]);
            }
        }
        page.page(PageEvent::Returned);
        let limit = page.now + 60_000;
        let expected = if is_active { ConnectionState::Live } else { ConnectionState::Ended };
        let mut idle = 0;
        while page.now < limit && idle < 3 {
            if page.is_polling {
                page.feed(&polled(is_active, 0));
            } else if page.is_subscribed && !page.is_open {
                let event = if is_active { OPENED } else { LOST };
                page.feed(&event);
                if !is_active && page.is_subscribed {
                    page.tick();
                }
            } else if page.is_open && !is_active {
                page.feed(&ENDED);
            } else if page.is_open {
                page.after(1000, Event::Heard);
                idle += 1;
            } else {
                page.tick();
                idle += usize::from(page.state() == expected);
            }
        }
        prop_assert_eq!(page.state(), expected);
    }
}
