//! The rows are the same however the bytes come.

use proptest::prelude::*;

use super::*;

/// A script of text and sequences, whole and broken.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        8 => "[a-z :]{1,8}".prop_map(String::into_bytes),
        2 => prop::sample::select(vec!["é", "日本", "e\u{301}", "\u{1F600}", "\u{202e}", "\0", "\u{7f}", "\u{85}"])
            .prop_map(|text| text.as_bytes().to_vec()),
        6 => prop::sample::select(b"\n\n\n\r\r\x08\t\x07\x0b".to_vec()).prop_map(|byte| vec![byte]),
        4 => "\x1b\\[[0-9]{0,2}[A-HJKPX@LMdGmsu]".prop_map(String::into_bytes),
        3 => "\x1b\\[(0|1|4|7|3[0-79]|4[0-7]|38;5;[0-9]{1,3})(;(1|3|9[0-7]))?m".prop_map(String::into_bytes),
        3 => "\x1b\\[[0-9]{0,2}(;[0-9]{0,3})?[STIZgbr]".prop_map(String::into_bytes),
        2 => "\x1b\\[(4|\\?6|\\?47|\\?1049)[hl]".prop_map(String::into_bytes),
        1 => "\x1b([78DEHMc(]|\\[!p)".prop_map(String::into_bytes),
        1 => "\x1b\\](0;t|8;;http://x|8;)?(\x07|\x1b\\\\)?".prop_map(String::into_bytes),
        1 => "(::output a=b\n|::frame |\x1b\\[[0-9;?]{0,3})".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

/// What ends every sequence and leaves the alternate screen: how many blank rows precede its rows at the end depends on the pauses.
const ON_MAIN_SCREEN: &[u8] = b"\x18\x1b\\\x1b[?47l";

/// What only begins like a report does not hide one that comes after it.
#[test]
fn report_may_follow_another_beginning() {
    for bytes in ["::\r::output a=b\n", ":\r::output a=b\n", "::fr\x1b[K\r::output a=b\n"] {
        let single: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
        for journal in [journal(&[bytes.as_bytes()], &[]), journal(&single, &[])] {
            assert_eq!(journal.reports, ["::output a=b"], "{bytes:?}");
        }
    }
}

proptest! {
    #[test]
    fn rows_are_the_same_however_the_bytes_come(
        bytes in script().prop_map(|bytes| [&bytes, ON_MAIN_SCREEN].concat()),
        steps in prop::collection::vec(1usize..12, 1..20),
        pauses in prop::collection::vec(any::<bool>(), 1..30),
    ) {
        let mut pieces = Vec::new();
        let mut rest = bytes.as_slice();
        for step in steps.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*step).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let (whole, split) = (journal(&[&bytes], &[]), journal(&pieces, &pauses));
        prop_assert_eq!(&whole.reports, &split.reports);
        let text = |journal: &Journal| journal.lines().iter().map(|line| plain(line)).collect::<Vec<_>>();
        prop_assert_eq!(text(&whole), text(&split));
        // Without pauses they are the same to the byte.
        prop_assert_eq!(whole.lines(), journal(&pieces, &[]).lines());
        for (text, _) in whole.rows.iter().chain(&split.rows) {
            prop_assert!(text.len() <= MAX_LINE_BYTES && !text.contains(['\n', '\r', '\x08']));
        }
    }

    #[test]
    fn text_without_control_characters_is_kept(text in "[^\\p{Cc}]{0,40}(\n[^\\p{Cc}:]{0,40}){0,60}") {
        let mut expected: Vec<&str> = text.split('\n').collect();
        while expected.last() == Some(&"") {
            expected.pop();
        }
        prop_assume!(!text.starts_with("::"));
        prop_assert_eq!(lines(text.as_bytes()), expected);
    }
}
