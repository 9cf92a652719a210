//! The rules of a reader's cursor (CONTRACT.md, "Words" and "The stream").

use serde::{Deserialize, Serialize};

/// The last `seq` a reader has. `0` = nothing yet; a reader at cursor N wants N+1 next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub u64);

/// Why a cursor is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not a whole number in decimal digits.
    #[error("the cursor `{0}` is not a whole number; it is the seq of the last frame you have, or 0")]
    NotANumber(String),
    /// Larger than the journal's head: the reader knows another history.
    #[error("the cursor {cursor} is ahead of the journal, whose head is {head}")]
    Ahead {
        /// What was asked for.
        cursor: u64,
        /// The last seq there is.
        head: u64,
    },
}

impl Cursor {
    /// Reads a cursor as it stands in a URL or a header: ASCII digits only, at most `i64::MAX` (what a database keeps).
    ///
    /// # Errors
    /// [`CursorError::NotANumber`] for anything else, the empty text included.
    pub fn parse(text: &str) -> Result<Self, CursorError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>()
            .ok()
            .filter(|&seq| digits && i64::try_from(seq).is_ok())
            .map(Self)
            .ok_or_else(|| CursorError::NotANumber(text.to_owned()))
    }

    /// Where a stream begins: `Last-Event-ID` if one was sent (a reconnect repeats its old URL), else `after`, else 0.
    ///
    /// An empty `Last-Event-ID` counts as not sent: WHATWG HTML 9.2 sends none when the id is empty.
    ///
    /// # Errors
    /// [`CursorError::NotANumber`] if the one that counts is not a number.
    pub fn from_request(last_event_id: Option<&str>, after: Option<&str>) -> Result<Self, CursorError> {
        last_event_id.filter(|id| !id.is_empty()).or(after).map_or(Ok(Self::default()), Self::parse)
    }

    /// Refuses a cursor beyond `head`.
    ///
    /// # Errors
    /// [`CursorError::Ahead`].
    pub fn check_not_ahead(self, head: u64) -> Result<Self, CursorError> {
        if self.0 > head { Err(CursorError::Ahead { cursor: self.0, head }) } else { Ok(self) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_digits_are_a_number() {
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
    fn the_header_wins_over_the_url() {
        assert_eq!(Cursor::from_request(Some("7"), Some("5")), Ok(Cursor(7)));
        assert_eq!(Cursor::from_request(Some("0"), Some("5")), Ok(Cursor(0)));
        assert_eq!(Cursor::from_request(Some(""), Some("5")), Ok(Cursor(5)));
        assert_eq!(Cursor::from_request(None, Some("5")), Ok(Cursor(5)));
        assert_eq!(Cursor::from_request(None, None), Ok(Cursor(0)));
        assert!(Cursor::from_request(Some("x"), Some("5")).is_err());
    }

    proptest! {
        #[test]
        fn every_seq_reads_back(seq in 0..=i64::MAX as u64) {
            prop_assert_eq!(Cursor::parse(&seq.to_string()), Ok(Cursor(seq)));
        }

        #[test]
        fn nothing_panics(text in ".*") {
            let _ = Cursor::parse(&text);
        }

        #[test]
        fn ahead_is_just_what_exceeds_the_head(cursor in 0u64..20, head in 0u64..20) {
            prop_assert_eq!(Cursor(cursor).check_not_ahead(head).is_err(), cursor > head);
        }
    }
}
