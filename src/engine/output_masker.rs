//! Secrets in what a command prints, masked before it is cut into lines: so none comes through by being cut, and none by being reported in
//! pieces. What the journal is given is masked once more, see `journal/masks.rs`.

use std::sync::Arc;

use crate::model::Body;
use crate::model::kinds::Text;
use crate::secrets::{Masker, Patterns};

/// One output of a command, or one text that comes in pieces. Without secrets it passes as it is.
#[derive(Debug)]
pub struct OutputMasker {
    masker: Option<Masker<Arc<Patterns>>>,
    /// What was given last; kept for its memory.
    given: Vec<u8>,
}

impl OutputMasker {
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
pub struct ReportMasker {
    token: OutputMasker,
    reasoning: OutputMasker,
}

impl ReportMasker {
    /// No pieces yet.
    pub fn new(secrets: Option<Arc<Patterns>>) -> Self {
        Self { token: OutputMasker::new(secrets.clone()), reasoning: OutputMasker::new(secrets) }
    }

    /// What is to be journaled when this was reported: a piece may be held back, and then comes with a later one.
    pub fn take(&mut self, body: Body) -> Vec<Body> {
        if self.token.masker.is_none() {
            return vec![body];
        }
        match body {
            Body::Token(Text { text }) => piece(self.token.push(text.as_bytes()), Body::Token).into_iter().collect(),
            Body::Reasoning(Text { text }) => {
                piece(self.reasoning.push(text.as_bytes()), Body::Reasoning).into_iter().collect()
            }
            other => self.flush().chain([other]).collect(),
        }
    }

    /// What is held back and most likely no secret.
    pub fn flush(&mut self) -> impl Iterator<Item = Body> + use<> {
        let token = piece(self.token.flush(), Body::Token);
        token.into_iter().chain(piece(self.reasoning.flush(), Body::Reasoning))
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> impl Iterator<Item = Body> + use<> {
        let token = piece(self.token.finish(), Body::Token);
        token.into_iter().chain(piece(self.reasoning.finish(), Body::Reasoning))
    }

    /// Whether something is held that [`Self::flush`] would give.
    pub fn holds(&self) -> bool {
        self.token.holds() || self.reasoning.holds()
    }
}

/// A piece of text, if there is something in it. Maskers cut between characters only.
fn piece(text: &[u8], body: impl Fn(Text) -> Body) -> Option<Body> {
    (!text.is_empty()).then(|| body(Text { text: String::from_utf8_lossy(text).into_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_in_pieces_of_text_is_masked() {
        let mut pieces = ReportMasker::new(Some(Arc::new(Patterns::new(["hunter-2"]))));
        let token = |text: &str| Body::Token(Text { text: text.into() });
        let mut told = Vec::new();
        for text in ["it is hun", "ter", "-2. h"] {
            told.extend(pieces.take(token(text)));
        }
        assert!(pieces.holds());
        let error = Body::of("error", serde_json::json!({"code": "x", "message": "y"}));
        told.extend(pieces.take(error.clone()));
        told.extend(pieces.finish());
        assert_eq!(told, [token("it is "), token("***. "), token("h"), error]);
    }

    #[test]
    fn pieces_pass_unchanged_without_secrets() {
        let mut pieces = ReportMasker::new(None);
        let empty = Body::Reasoning(Text { text: String::new() });
        assert_eq!(pieces.take(empty.clone()), [empty]);
        assert_eq!(pieces.finish().count(), 0);
    }
}
