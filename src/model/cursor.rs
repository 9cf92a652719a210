//! A reader's position in the journal of a run (docs/CONTRACT.md, "Terms" and "The stream").

use serde::{Deserialize, Serialize};

/// The seq of the last frame that a reader has; 0 if it has none. A reader at cursor N gets N+1 next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub u64);

/// Why a cursor is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not an integer in decimal digits.
    #[error("invalid cursor `{0}`: use the seq of the last frame you have, or 0")]
    NotANumber(String),
    /// Larger than the journal's head: the reader's frames are of another journal.
    #[error("the cursor {cursor} is ahead of the journal, whose head is {head}")]
    Ahead { cursor: u64, head: u64 },
}

impl Cursor {
    /// Parses a cursor from a URL or header: ASCII digits only, at most `i64::MAX`, the largest number that the
    /// database stores.
    ///
    /// # Errors
    /// [`CursorError::NotANumber`] for anything else, also for empty text.
    pub fn parse(text: &str) -> Result<Self, CursorError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>()
            .ok()
            .filter(|&seq| digits && i64::try_from(seq).is_ok())
            .map(Self)
            .ok_or_else(|| CursorError::NotANumber(text.to_owned()))
    }

    /// Where a stream starts: at `Last-Event-ID` if present (a reconnect repeats its old URL), else at `after`, else
    /// at 0.
    ///
    /// An empty `Last-Event-ID` counts as absent: WHATWG HTML 9.2 sends no header for an empty id.
    ///
    /// # Errors
    /// [`CursorError::NotANumber`] if the value that counts is not a number.
    pub fn from_request(last_event_id: Option<&str>, after: Option<&str>) -> Result<Self, CursorError> {
        last_event_id.filter(|id| !id.is_empty()).or(after).map_or(Ok(Self::default()), Self::parse)
    }

    /// Refuses a cursor beyond `head`.
    ///
    /// # Errors
    /// [`CursorError::Ahead`] if it is.
    pub fn check_not_ahead(self, head: u64) -> Result<Self, CursorError> {
        if self.0 > head { Err(CursorError::Ahead { cursor: self.0, head }) } else { Ok(self) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cursor_accepts_digits_only() {
        assert_eq!(Cursor::parse("0"), Ok(Cursor(0)));
        assert_eq!(Cursor::parse("9223372036854775807"), Ok(Cursor(i64::MAX as u64)));
        for bad in [
            "",
            " 1",
            "1 ",
            "+1",
            "-1",
            "1.0",
            "0x1",
            "abc",
            "9223372036854775808",
            "18446744073709551615",
            "99999999999999999999",
            "١",
        ] {
            assert_eq!(Cursor::parse(bad), Err(CursorError::NotANumber(bad.to_owned())), "{bad:?}");
        }
    }

    #[test]
    fn cursor_prefers_the_header_to_the_url() {
        assert_eq!(Cursor::from_request(Some("7"), Some("5")), Ok(Cursor(7)));
        assert_eq!(Cursor::from_request(Some("0"), Some("5")), Ok(Cursor(0)));
        assert_eq!(Cursor::from_request(Some(""), Some("5")), Ok(Cursor(5)));
        assert_eq!(Cursor::from_request(None, Some("5")), Ok(Cursor(5)));
        assert_eq!(Cursor::from_request(None, None), Ok(Cursor(0)));
        assert!(Cursor::from_request(Some("x"), Some("5")).is_err());
    }

    proptest! {
        #[test]
        fn cursor_roundtrips(seq in 0..=i64::MAX as u64) {
            prop_assert_eq!(Cursor::parse(&seq.to_string()), Ok(Cursor(seq)));
        }

        #[test]
        fn cursor_parse_never_panics(text in ".*") {
            let _ = Cursor::parse(&text);
        }

        #[test]
        fn cursor_is_ahead_only_beyond_the_head(cursor in 0u64..20, head in 0u64..20) {
            prop_assert_eq!(Cursor(cursor).check_not_ahead(head).is_err(), cursor > head);
        }
    }
}
