//! Output that is made to do harm: nothing panics, and memory and work stay bounded.

use proptest::prelude::*;

use super::*;

/// How many bytes of events one byte of output can cause: a character repeated as often as it can be.
const MAX_GROWTH: usize = 128;

/// How much the rows may take, as their debug text; a cell is long there.
const MAX_MEMORY: usize = 32 << 20;

/// The bytes of all events, with what an event takes itself.
fn size(events: &[Event]) -> usize {
    events.iter().map(|event| event.size() + 8).sum()
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec!["", "0", "1", "2", "3", "49", "50", "51", "4096", "9999", "65535", "4294967296"])
            .prop_map(str::to_owned),
        1 => "[0-9]{1,30}",
        1 => "[0-9:;-]{1,6}",
    ]
}

fn token() -> impl Strategy<Value = Vec<u8>> {
    let sequence = (prop::sample::select(vec!["", "", "", "?", "!", ">"]), prop::collection::vec(number(), 0..4));
    prop_oneof![
        6 => (sequence, "[@-~]").prop_map(|((sign, numbers), last)| {
            format!("\x1b[{sign}{}{last}", numbers.join(";")).into_bytes()
        }),
        3 => ((number(), number()), "[rHf]").prop_map(|((one, other), last)| {
            format!("\x1b[{one};{other}{last}").into_bytes()
        }),
        2 => (prop::sample::select(vec!["4", "?6", "?47", "?1047", "?1048", "?1049"]), "[hl]")
            .prop_map(|(mode, last)| format!("\x1b[{mode}{last}").into_bytes()),
        2 => "\x1b[ -/]?[0-~]".prop_map(String::into_bytes),
        3 => "[a-z\t日]{1,20}".prop_map(String::into_bytes),
        1 => Just(vec![b'x'; 5000]),
        3 => Just(b"\n".to_vec()),
        2 => prop::collection::vec(any::<u8>(), 1..8),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_panics_or_grows_without_bound(
        tokens in prop::collection::vec((token(), 1usize..40), 0..100),
        pauses in prop::collection::vec(any::<bool>(), 1..10),
    ) {
        let (mut lines, mut events) = (Lines::new(true), Vec::new());
        let mut pauses = pauses.iter().cycle();
        let (mut read, mut given) = (0, 0);
        for (token, times) in &tokens {
            let bytes = token.repeat(*times);
            lines.push(&bytes, &mut events);
            if pauses.next() == Some(&true) {
                lines.redraw(&mut events);
                lines.flush(&mut events);
                // A pause may give the whole screen anew.
                read += ROWS * MAX_COLUMNS / MAX_GROWTH;
            }
            read += bytes.len();
            prop_assert!(events.iter().all(|event| event.size() <= MAX_LINE_BYTES));
            given += size(&events);
            events.clear();
        }
        let memory = format!("{lines:?}").len();
        prop_assert!(memory < MAX_MEMORY, "{} bytes", memory);
        lines.finish(&mut events);
        given += size(&events);
        // What is on the two screens comes on top.
        prop_assert!(given <= read * MAX_GROWTH + 4 * ROWS * MAX_LINE_BYTES, "{} bytes of {}", given, read);
    }
}

#[test]
fn costly_sequences_end() {
    let long = "x".repeat(MAX_LINE_BYTES - 1);
    let rows = "x\n".repeat(ROWS);
    for (before, repeated) in [
        ("", "x\x1b[65535b"),
        ("", "\x1b[50Hx\x1b[50S"),
        ("", "\x1b[65535S\x1b[65535T"),
        (&rows, "\x1b[2;49r\x1b[65535L\x1b[65535M"),
        (&rows, "\x1b[1;49r\x1b[49H\n"),
        (&rows, "\x1b[2;49r\x1b[49H\n"),
        ("", "\x1b[65535Ix\x1b[65535Z"),
        ("", "\x1bH\x1b[C"),
        ("", "\x1b[3g\t"),
        (&long, "\r\x1b[@"),
        (&long, "\r\x1b[P"),
        (&long, "\r\x1b[4habc"),
        (&long, "\x1b[?1049hx\x1b[?1049l"),
        ("", "\x1b[4096Gx\x1b[B"),
        ("\x1b[?1049h", "\x1b[4096Gx\x1b[B"),
        ("", "\x1b7\x1b[r\x1b8\x1bc"),
    ] {
        let (mut lines, mut events) = (Lines::new(true), Vec::new());
        lines.push(before.as_bytes(), &mut events);
        events.clear();
        let bytes = repeated.repeat((16 << 10) / repeated.len());
        lines.push(bytes.as_bytes(), &mut events);
        assert!(size(&events) <= bytes.len() * MAX_GROWTH, "{repeated:?} gives {} bytes", size(&events));
        assert!(format!("{lines:?}").len() < MAX_MEMORY, "{repeated:?}");
    }
}
