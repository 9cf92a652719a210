//! The line that every source sends: 120 bytes with a number and the moment of sending inside, found again by the
//! client.

use std::time::SystemTime;

/// Begins the number and the moment in a line.
pub const MARK: &[u8] = b"#@";
/// Digits of the number.
const NUMBER: usize = 10;
/// Digits of the moment, in nanoseconds since 1970.
const MOMENT: usize = 19;
/// The mark and both numbers.
pub const MARKED: usize = MARK.len() + NUMBER + MOMENT;

/// Now, in nanoseconds since 1970: the same clock in every process of this machine.
pub fn now() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap()
}

/// Appends line `number`, `length` bytes long with its line end.
pub fn write(out: &mut Vec<u8>, number: u64, length: usize) {
    let end = out.len() + length;
    out.extend_from_slice(MARK);
    out.extend_from_slice(format!("{number:0NUMBER$}{:0MOMENT$}", now()).as_bytes());
    while out.len() + 1 < end {
        out.extend_from_slice(&b" warning: unused variable"[..(end - 1 - out.len()).min(25)]);
    }
    out.push(b'\n');
}

/// The number and the moment after a mark.
pub fn read(marked: &[u8]) -> (u64, u64) {
    let digits = |digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    (digits(&marked[MARK.len()..MARK.len() + NUMBER]), digits(&marked[MARK.len() + NUMBER..MARKED]))
}
