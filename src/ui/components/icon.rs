//! Icons: line drawings in the color of the surrounding text.

use leptos::prelude::*;

use crate::model::{PhaseState, Status};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Done,
    Failed,
    Busy,
    Waiting,
    Stopped,
    Interrupted,
    Skipped,
    Rerun,
    Stop,
    Copy,
    Tick,
    Close,
    Down,
    /// The chevron of a section that folds.
    Fold,
    Start,
    Document,
    Warning,
    Search,
    Theme,
    Sun,
    Moon,
    Back,
    Edit,
    Pin,
    Bin,
    Bell,
    BellOn,
    BellOff,
    Person,
}

impl Icon {
    pub const fn of_status(status: Status) -> Self {
        match status {
            Status::Pending => Self::Waiting,
            Status::Running => Self::Busy,
            Status::Completed => Self::Done,
            Status::Failed => Self::Failed,
            Status::Cancelled => Self::Stopped,
            Status::Interrupted => Self::Interrupted,
        }
    }

    pub const fn of_phase(state: PhaseState) -> Self {
        match state {
            PhaseState::Pending => Self::Waiting,
            PhaseState::Started => Self::Busy,
            PhaseState::Completed => Self::Done,
            PhaseState::Failed => Self::Failed,
            PhaseState::Skipped => Self::Skipped,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Done => "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM5.3 8.2l1.9 1.9 3.6-4",
            Self::Failed => "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM6 6l4 4M10 6l-4 4",
            Self::Busy => "M14.2 8A6.2 6.2 0 1 1 8 1.8",
            Self::Waiting => {
                "M6.4 2 a6.2 6.2 0 0 1 3.2 0M12.4 3.6a6.2 6.2 0 0 1 1.6 2.8M14 9.6a6.2 6.2 0 0 1-1.6 2.8M9.6 14a6.2 6.2 0 0 1-3.2 0M3.6 12.4A6.2 6.2 0 0 1 2 9.6M2 6.4a6.2 6.2 0 0 1 1.6-2.8"
            }
            Self::Stopped => "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM3.7 12.3l8.6-8.6",
            Self::Interrupted => "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM8 5v3.6M8 11h.01",
            Self::Skipped => "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM5.2 8h5.6",
            Self::Rerun => "M2.5 8a5.5 5.5 0 1 0 1.7-4M2.5 2.5v3h3",
            Self::Stop => "M4.5 3.5h7a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1Z",
            Self::Copy => {
                "M6.5 5.5h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-6a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1ZM10.5 3.5v-.2a.8.8 0 0 0-.8-.8H3.5a1 1 0 0 0-1 1v6.2c0 .4.4.8.8.8h.2"
            }
            Self::Tick => "m3.5 8.5 3 3 6-7",
            Self::Close => "m4 4 8 8M12 4l-8 8",
            Self::Down => "M8 3v9.5M4 8.8l4 4 4-4",
            Self::Fold => "m4.5 6.5 3.5 3.5 3.5-3.5",
            Self::Start => "M5 3.4v9.2c0 .4.4.6.8.4l7-4.6c.3-.2.3-.6 0-.8l-7-4.6c-.4-.2-.8 0-.8.4Z",
            Self::Document => {
                "M4 1.8h5.5L13 5.3v7.9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V2.8a1 1 0 0 1 1-1ZM5.8 8h4.4M5.8 10.8h4.4"
            }
            Self::Warning => "M8 2.3 1.8 13.2h12.4L8 2.3ZM8 6.6v3M8 11.4h.01",
            Self::Search => "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM13.5 13.5l-3-3",
            Self::Theme => "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM8 1.8v12.4M8 4.5h4M8 8h6M8 11.5h4",
            Self::Sun => {
                "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.8.8M11.8 11.8l.8.8M12.6 3.4l-.8.8M4.2 11.8l-.8.8"
            }
            Self::Moon => "M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z",
            Self::Pin => "M5.5 2h5M6.3 2v4.2L4 8.9v1.3h8V8.9L9.7 6.2V2M8 10.2V14.2",
            Self::Bin => "M2.8 4.2h10.4M6 4.2V2.5h4v1.7M4.2 4.2l.6 9.3h6.4l.6-9.3M6.8 6.8v4M9.2 6.8v4",
            Self::Bell => {
                "M8 2a3.8 3.8 0 0 0-3.8 3.8c0 3.4-1.4 4.6-1.4 4.6-.3.3-.1.8.3.8h9.8c.4 0 .6-.5.3-.8 0 0-1.4-1.2-1.4-4.6A3.8 3.8 0 0 0 8 2ZM6.6 13.4a1.6 1.6 0 0 0 2.8 0"
            }
            Self::BellOn => {
                "M8 2a3.8 3.8 0 0 0-3.8 3.8c0 3.4-1.4 4.6-1.4 4.6-.3.3-.1.8.3.8h9.8c.4 0 .6-.5.3-.8 0 0-1.4-1.2-1.4-4.6A3.8 3.8 0 0 0 8 2ZM6.6 13.4a1.6 1.6 0 0 0 2.8 0M1.6 5.2A6.6 6.6 0 0 1 3.2 1.8M14.4 5.2a6.6 6.6 0 0 0-1.6-3.4"
            }
            Self::BellOff => {
                "M5.2 3.3A3.8 3.8 0 0 1 11.8 5.8c0 1.2.2 2.1.4 2.8M4.3 5.2c-.1 3.9-1.5 5.2-1.5 5.2-.3.3-.1.8.3.8h7.4M6.6 13.4a1.6 1.6 0 0 0 2.8 0M2 2l12 12"
            }
            Self::Person => {
                "M8 8.2a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8ZM2.6 14c.5-2.6 2.7-4 5.4-4s4.900 1.400 5.4 4"
            }
            Self::Back => "M9.8 3.5 5.3 8l4.5 4.5",
            Self::Edit => "m10.6 3 2.4 2.4-7.6 7.6-3 .6.6-3L10.6 3ZM9 4.6 11.4 7",
        }
    }

    const fn classes(self) -> &'static str {
        match self {
            Self::Busy => "size-4 shrink-0 motion-safe:animate-spin",
            _ => "size-4 shrink-0",
        }
    }

    /// Hidden from screen readers: the text beside an icon says what it means.
    pub fn draw(self) -> impl IntoView {
        view! {
            <svg
                class=self.classes()
                viewBox="0 0 16 16"
                fill="none"
                stroke="currentColor"
                stroke-width="1.5"
                stroke-linecap="round"
                stroke-linejoin="round"
                aria-hidden="true"
            >
                <path d=self.path()></path>
            </svg>
        }
    }
}
