//! `runs_on` in a pipeline file: the labels that a worker must have.

use toml::Spanned;

use super::refusal::{Refusal, refuse};
use crate::model::placement::Label;

/// The most labels of one list.
const MAX_LABELS: usize = 16;

/// Checks the labels of one `runs_on`.
pub(super) fn check_labels(given: Vec<Spanned<String>>) -> Result<Vec<Label>, Refusal> {
    if let Some(extra) = given.get(MAX_LABELS) {
        return refuse(extra, format!("`runs_on` has at most {MAX_LABELS} labels."));
    }
    let mut labels = Vec::new();
    for text in given {
        let label: Label = match text.get_ref().parse() {
            Ok(label) => label,
            Err(error) => return refuse(&text, format!("{error}.")),
        };
        if labels.contains(&label) {
            return refuse(&text, format!("The label `{label}` is there twice."));
        }
        labels.push(label);
    }
    Ok(labels)
}
