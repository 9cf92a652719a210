//! Escape sequences, found by the state machine of `anstyle-parse`. What they carry is kept here, with a bound.

use anstyle_parse::state::{Action, State, state_change};

/// The most bytes that are kept of a sequence. Longer ones are read to their end and have no effect.
const MAX_SEQUENCE: usize = 4096;

/// What a byte of a sequence does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet, or nothing at all.
    None,
    /// A control character to carry out, wherever it stands.
    Control(u8),
    /// A control sequence ends with this byte; [`Parser::bytes`] has its parameters.
    Csi(u8),
    /// An escape sequence ends with this byte; [`Parser::bytes`] has what stands between.
    Escape(u8),
    /// A string for the terminal has ended; [`Parser::bytes`] has it.
    Osc,
}

/// Reads escape sequences.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    bytes: Vec<u8>,
    /// The sequence is longer than what is kept.
    is_too_long: bool,
}

impl Parser {
    /// Whether no sequence has begun.
    pub fn is_ground(&self) -> bool {
        self.state == State::Ground
    }

    /// Parameters and intermediates, or the string, of the sequence that has ended.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes an ASCII byte: an ESC, or what follows one.
    pub fn take(&mut self, byte: u8) -> Step {
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
            // No such string has a line end in it: this one was cut off.
            self.state = State::Ground;
            return Step::Control(byte);
        }
        let (next, action) = state_change(self.state, byte);
        // Either ESC or BEL ends it; CAN and SUB break it off.
        let ends_osc = self.state == State::OscString && next != State::Anywhere && !matches!(byte, 0x18 | 0x1a);
        if next != State::Anywhere {
            self.state = next;
        }
        if ends_osc {
            return if self.is_too_long { Step::None } else { Step::Osc };
        }
        if matches!(next, State::Escape | State::CsiEntry | State::OscString | State::DcsEntry | State::SosPmApcString)
        {
            self.bytes.clear();
            self.is_too_long = false;
        }
        match action {
            Action::Collect | Action::Param | Action::OscPut => self.keep(byte),
            Action::Execute => return Step::Control(byte),
            Action::CsiDispatch if !self.is_too_long => return Step::Csi(byte),
            Action::EscDispatch if !self.is_too_long => return Step::Escape(byte),
            _ => {}
        }
        Step::None
    }

    /// Takes a character beyond ASCII within a sequence. Whether it belongs to it: if not, the sequence is broken off, and the
    /// character is text.
    pub fn take_char(&mut self, char: char) -> bool {
        match self.state {
            State::OscString => {
                let mut buffer = [0; 4];
                char.encode_utf8(&mut buffer).bytes().for_each(|byte| self.keep(byte));
                // ST in its 8-bit form.
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
        if self.bytes.len() < MAX_SEQUENCE {
            self.bytes.push(byte);
        } else {
            self.is_too_long = true;
        }
    }
}
