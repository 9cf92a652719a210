//! Secrets in what a command prints, masked before it is cut into lines: so none comes through by being cut, and none by being reported in
//! pieces. What the journal is given is masked once more, see `journal/masks.rs`.

use std::sync::Arc;

use crate::model::FramePayload;
use crate::model::kinds::Text;
use crate::secrets::{Masker, Patterns};

/// One output of a command, or one text that comes in pieces. Without secrets it passes as it is.
#[derive(Debug)]
pub struct Masking {
    masker: Option<Masker<Arc<Patterns>>>,
    /// What was given last; kept for its memory.
    given: Vec<u8>,
}

impl Masking {
    /// The beginning of an output in which these secrets are masked.
    pub fn new(secrets: Option<Arc<Patterns>>) -> Self {
        let masker = secrets.filter(|secrets| !secrets.is_empty()).map(Masker::new);
        Self { masker, given: Vec::new() }
    }

    /// What is known to be no secret after these bytes.
    pub fn push<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(masker) = &mut self.masker else { return bytes };
        self.given.clear();
        masker.push(bytes, &mut self.given);
        &self.given
    }

    /// What is held back and most likely no secret, when nothing has come for a while.
    pub fn flush(&mut self) -> &[u8] {
        self.given.clear();
        if let Some(masker) = &mut self.masker {
            masker.flush(&mut self.given);
        }
        &self.given
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> &[u8] {
        self.given.clear();
        if let Some(masker) = &mut self.masker {
            masker.finish(&mut self.given);
        }
        &self.given
    }

    /// Whether something is held that [`Self::flush`] would give.
    pub fn holds(&self) -> bool {
        self.masker.as_ref().is_some_and(Masker::holds)
    }
}

/// The texts that a command reports in pieces (`token`, `reasoning`), each masked as one text.
#[derive(Debug)]
pub struct Pieces {
    token: Masking,
    reasoning: Masking,
}

impl Pieces {
    /// No pieces yet.
    pub fn new(secrets: Option<Arc<Patterns>>) -> Self {
        Self { token: Masking::new(secrets.clone()), reasoning: Masking::new(secrets) }
    }

    /// What is to be journaled when this was reported: a piece may be held back, and then comes with a later one.
    pub fn take(&mut self, payload: FramePayload) -> Vec<FramePayload> {
        if self.token.masker.is_none() {
            return vec![payload];
        }
        match payload {
            FramePayload::Token(Text { text }) => {
                piece(self.token.push(text.as_bytes()), FramePayload::Token).into_iter().collect()
            }
            FramePayload::Reasoning(Text { text }) => {
                piece(self.reasoning.push(text.as_bytes()), FramePayload::Reasoning).into_iter().collect()
            }
            other => self.flush().chain([other]).collect(),
        }
    }

    /// What is held back and most likely no secret.
    pub fn flush(&mut self) -> impl Iterator<Item = FramePayload> + use<> {
        let token = piece(self.token.flush(), FramePayload::Token);
        token.into_iter().chain(piece(self.reasoning.flush(), FramePayload::Reasoning))
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> impl Iterator<Item = FramePayload> + use<> {
        let token = piece(self.token.finish(), FramePayload::Token);
        token.into_iter().chain(piece(self.reasoning.finish(), FramePayload::Reasoning))
    }

    /// Whether something is held that [`Self::flush`] would give.
    pub fn holds(&self) -> bool {
        self.token.holds() || self.reasoning.holds()
    }
}

/// A piece of text, if there is something in it. Maskers cut between characters only.
fn piece(text: &[u8], payload: impl Fn(Text) -> FramePayload) -> Option<FramePayload> {
    (!text.is_empty()).then(|| payload(Text { text: String::from_utf8_lossy(text).into_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_in_pieces_of_text_is_masked() {
        let mut pieces = Pieces::new(Some(Arc::new(Patterns::new(["hunter-2"]))));
        let token = |text: &str| FramePayload::Token(Text { text: text.into() });
        let mut told = Vec::new();
        for text in ["it is hun", "ter", "-2. h"] {
            told.extend(pieces.take(token(text)));
        }
        assert!(pieces.holds());
        let error = FramePayload::from_kind("error", serde_json::json!({"code": "x", "message": "y"}));
        told.extend(pieces.take(error.clone()));
        told.extend(pieces.finish());
        assert_eq!(told, [token("it is "), token("***. "), token("h"), error]);
    }

    #[test]
    fn pieces_pass_unchanged_without_secrets() {
        let mut pieces = Pieces::new(None);
        let empty = FramePayload::Reasoning(Text { text: String::new() });
        assert_eq!(pieces.take(empty.clone()), [empty]);
        assert_eq!(pieces.finish().count(), 0);
    }
}
