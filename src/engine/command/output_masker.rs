//! Masks secrets in a command's output before it is split into lines, so that no secret passes in parts. The journal
//! masks all frames once more (`journal/masks.rs`).

use std::sync::Arc;

use crate::model::FramePayload;
use crate::model::kinds::Text;
use crate::secrets::{Masker, Patterns};

/// Masks one output, or one text that is reported in parts. Without secrets it passes bytes through.
#[derive(Debug)]
pub struct OutputMasker {
    masker: Option<Masker<Arc<Patterns>>>,
    /// The bytes returned last. Kept to reuse its memory.
    buffer: Vec<u8>,
}

impl OutputMasker {
    /// A masker at the start of an output.
    pub fn new(secrets: Option<Arc<Patterns>>) -> Self {
        let masker = secrets.filter(|secrets| !secrets.is_empty()).map(Masker::new);
        Self { masker, buffer: Vec::new() }
    }

    /// Takes bytes, and returns those that cannot be part of a secret any more.
    pub fn push<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(masker) = &mut self.masker else { return bytes };
        self.buffer.clear();
        masker.push(bytes, &mut self.buffer);
        &self.buffer
    }

    /// Returns what is held back. Called when the command has been silent for a while, so that it is most likely no
    /// secret.
    pub fn flush(&mut self) -> &[u8] {
        self.buffer.clear();
        if let Some(masker) = &mut self.masker {
            masker.flush(&mut self.buffer);
        }
        &self.buffer
    }

    /// Returns the rest at the end of the output.
    pub fn finish(&mut self) -> &[u8] {
        self.buffer.clear();
        if let Some(masker) = &mut self.masker {
            masker.finish(&mut self.buffer);
        }
        &self.buffer
    }

    /// Whether [`Self::flush`] would return anything.
    pub fn has_held_bytes(&self) -> bool {
        self.masker.as_ref().is_some_and(Masker::holds)
    }
}

/// Masks texts that a command reports in parts (`token`, `reasoning`), each as one text.
#[derive(Debug)]
pub struct ReportMasker {
    token: OutputMasker,
    reasoning: OutputMasker,
}

impl ReportMasker {
    /// A masker at the start of an output.
    pub fn new(secrets: Option<Arc<Patterns>>) -> Self {
        Self { token: OutputMasker::new(secrets.clone()), reasoning: OutputMasker::new(secrets) }
    }

    /// Takes a report, and returns what to journal now. A part of a text may be held back until the next one.
    pub fn push(&mut self, payload: FramePayload) -> Vec<FramePayload> {
        if self.token.masker.is_none() {
            return vec![payload];
        }
        match payload {
            FramePayload::Token(Text { text }) => {
                report(self.token.push(text.as_bytes()), FramePayload::Token).into_iter().collect()
            }
            FramePayload::Reasoning(Text { text }) => {
                report(self.reasoning.push(text.as_bytes()), FramePayload::Reasoning).into_iter().collect()
            }
            other => self.flush().chain([other]).collect(),
        }
    }

    /// Returns what is held back and is most likely no secret.
    pub fn flush(&mut self) -> impl Iterator<Item = FramePayload> + use<> {
        let token = report(self.token.flush(), FramePayload::Token);
        token.into_iter().chain(report(self.reasoning.flush(), FramePayload::Reasoning))
    }

    /// Returns the rest at the end of the output.
    pub fn finish(&mut self) -> impl Iterator<Item = FramePayload> + use<> {
        let token = report(self.token.finish(), FramePayload::Token);
        token.into_iter().chain(report(self.reasoning.finish(), FramePayload::Reasoning))
    }

    /// Whether [`Self::flush`] would return anything.
    pub fn has_held_bytes(&self) -> bool {
        self.token.has_held_bytes() || self.reasoning.has_held_bytes()
    }
}

/// A report of this text, unless it is empty. Maskers split only between characters.
fn report(text: &[u8], payload: impl Fn(Text) -> FramePayload) -> Option<FramePayload> {
    (!text.is_empty()).then(|| payload(Text { text: String::from_utf8_lossy(text).into_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_masker_masks_a_secret_in_parts() {
        let mut masker = ReportMasker::new(Some(Arc::new(Patterns::new(["hunter-2"]))));
        let token = |text: &str| FramePayload::Token(Text { text: text.into() });
        let mut masked = Vec::new();
        for text in ["it is hun", "ter", "-2. h"] {
            masked.extend(masker.push(token(text)));
        }
        assert!(masker.has_held_bytes());
        let error = FramePayload::from_kind("error", serde_json::json!({"code": "x", "message": "y"}));
        masked.extend(masker.push(error.clone()));
        masked.extend(masker.finish());
        assert_eq!(masked, [token("it is "), token("***. "), token("h"), error]);
    }

    #[test]
    fn report_masker_without_secrets_passes_reports_through() {
        let mut masker = ReportMasker::new(None);
        let empty = FramePayload::Reasoning(Text { text: String::new() });
        assert_eq!(masker.push(empty.clone()), [empty]);
        assert_eq!(masker.finish().count(), 0);
    }
}
