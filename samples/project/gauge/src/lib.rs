//! Frames of the tide gauge: `$WL,<seconds>,<millimetres>*<checksum>`, one a line.

use std::fmt;

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Seconds since 1970.
    pub at: u64,
    /// Millimetres above chart datum; negative at the lowest springs.
    pub level: i32,
}

/// Why a line is no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Shape,
    Checksum { expected: u8, found: u8 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str("this is no frame of the gauge"),
            Self::Checksum { expected, found } => write!(f, "the checksum is {found:02X}, not {expected:02X}"),
        }
    }
}

/// Reads one line.
pub fn parse(line: &str) -> Result<Reading, Fault> {
    let (body, sum) = line.trim().strip_prefix('$').and_then(|rest| rest.split_once('*')).ok_or(Fault::Shape)?;
    let found = u8::from_str_radix(sum, 16).map_err(|_| Fault::Shape)?;
    let expected = body.bytes().fold(0, |sum, byte| sum ^ byte);
    if found != expected {
        return Err(Fault::Checksum { expected, found });
    }
    let mut fields = body.strip_prefix("WL,").ok_or(Fault::Shape)?.split(',');
    match (fields.next(), fields.next(), fields.next()) {
        (Some(at), Some(level), None) => Ok(Reading {
            at: at.parse().map_err(|_| Fault::Shape)?,
            level: level.parse().map_err(|_| Fault::Shape)?,
        }),
        _ => Err(Fault::Shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &str) -> String {
        format!("${body}*{:02X}", body.bytes().fold(0, |sum, byte| sum ^ byte))
    }

    #[test]
    fn a_frame_reads() {
        assert_eq!(parse(&frame("WL,1778745600,-120")), Ok(Reading { at: 1_778_745_600, level: -120 }));
    }

    #[test]
    fn noise_on_the_line_is_noticed() {
        assert!(matches!(parse("$WL,1778745600,2310*00"), Err(Fault::Checksum { found: 0, .. })));
        for noise in ["", "$", "WL,1,2*00", &frame("WL,1"), &frame("WL,1,2,3"), &frame("XX,1,2")] {
            assert_eq!(parse(noise), Err(Fault::Shape), "{noise}");
        }
    }
}
