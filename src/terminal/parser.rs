//! Parses escape sequences with the state machine of `anstyle-parse`. Their content is collected here, with a bound.

use anstyle_parse::state::{Action, State, state_change};

/// Longer sequences are read to their end and have no effect.
const MAX_SEQUENCE_BYTES: usize = 4096;

/// The effect of a byte of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParserStep {
    /// No effect, or none yet.
    None,
    /// A control character, which takes effect even inside a sequence.
    Control(u8),
    /// A control sequence ends with this byte; [`SequenceParser::bytes`] has its parameters.
    Csi(u8),
    /// An escape sequence ends with this byte; [`SequenceParser::bytes`] has the intermediate bytes.
    Escape(u8),
    /// An operating system command (OSC) has ended; [`SequenceParser::bytes`] has its string.
    Osc,
}

#[derive(Debug, Default)]
pub struct SequenceParser {
    state: State,
    bytes: Vec<u8>,
    /// Whether the sequence exceeds [`MAX_SEQUENCE_BYTES`].
    is_too_long: bool,
}

impl SequenceParser {
    /// Whether the parser is outside of a sequence.
    pub fn is_ground(&self) -> bool {
        self.state == State::Ground
    }

    /// The parameters and intermediate bytes, or the string, of the sequence that has ended.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Processes ESC or an ASCII byte of a sequence.
    pub fn advance(&mut self, byte: u8) -> ParserStep {
        let is_string = matches!(
            self.state,
            State::OscString
                | State::SosPmApcString
                | State::DcsEntry
                | State::DcsIgnore
                | State::DcsIntermediate
                | State::DcsParam
                | State::DcsPassthrough
        );
        if is_string && byte == b'\n' {
            // Such strings contain no line feed: this one was truncated.
            self.state = State::Ground;
            return ParserStep::Control(byte);
        }
        let (next, action) = state_change(self.state, byte);
        // ESC or BEL ends it; CAN and SUB abort it.
        let ends_osc = self.state == State::OscString && next != State::Anywhere && !matches!(byte, 0x18 | 0x1a);
        if next != State::Anywhere {
            self.state = next;
        }
        if ends_osc {
            return if self.is_too_long { ParserStep::None } else { ParserStep::Osc };
        }
        if matches!(next, State::Escape | State::CsiEntry | State::OscString | State::DcsEntry | State::SosPmApcString)
        {
            self.bytes.clear();
            self.is_too_long = false;
        }
        match action {
            Action::Collect | Action::Param | Action::OscPut => self.keep(byte),
            Action::Execute => return ParserStep::Control(byte),
            Action::CsiDispatch if !self.is_too_long => return ParserStep::Csi(byte),
            Action::EscDispatch if !self.is_too_long => return ParserStep::Escape(byte),
            _ => {}
        }
        ParserStep::None
    }

    /// Processes a non-ASCII character within a sequence. Returns whether it is part of the sequence; if not, the
    /// sequence is aborted and the character is text.
    pub fn advance_char(&mut self, char: char) -> bool {
        match self.state {
            State::OscString => {
                let mut buffer = [0; 4];
                char.encode_utf8(&mut buffer).bytes().for_each(|byte| self.keep(byte));
                // The 8-bit form of ST.
                if char == '\u{9c}' {
                    self.state = State::Ground;
                }
                true
            }
            State::SosPmApcString
            | State::DcsEntry
            | State::DcsIgnore
            | State::DcsIntermediate
            | State::DcsParam
            | State::DcsPassthrough => {
                if char == '\u{9c}' {
                    self.state = State::Ground;
                }
                true
            }
            _ => {
                self.state = State::Ground;
                false
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.bytes.len() < MAX_SEQUENCE_BYTES {
            self.bytes.push(byte);
        } else {
            self.is_too_long = true;
        }
    }
}
