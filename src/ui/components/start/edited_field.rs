//! A field of the re-run form, compared with its value in the latest attempt.

use leptos::ev::Event;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys::{HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};

use super::lines::has_lines;
use crate::model::form::normalize_line_endings;
use crate::model::{FormPrefill, Param, ParamKind, ParamValue, Params};

/// The value of a field and its value in the latest attempt, as text.
#[derive(Clone)]
pub struct EditedField {
    pub value: RwSignal<String>,
    latest: String,
    /// The latest attempt.
    attempt: u32,
    id: String,
    kind: ParamKind,
    /// Whether the field can be reset to the latest value, which may no longer be one of the choices.
    can_reset: bool,
    has_lines: bool,
}

impl EditedField {
    /// The field of a parameter, filled from `given`. `last` has the parameters of the latest attempt. A parameter in
    /// neither is new, or was left out: its field has the default.
    pub fn new(param: &Param, given: &Params, last: &Params, attempt: u32) -> Self {
        let empty = if param.kind == ParamKind::Boolean { "false" } else { "" };
        let text = |value: &ParamValue| normalize_line_endings(&value.to_string());
        let latest = last.get(&param.name).map_or_else(|| empty.to_owned(), text);
        let is_possible =
            |value: &String| param.kind != ParamKind::Choice || value.is_empty() || param.choices.contains(value);
        let filled = FormPrefill::Attempt { shown: given, last }.value(param);
        let value = filled.as_ref().map(text).filter(is_possible).unwrap_or_else(|| empty.to_owned());
        Self {
            has_lines: has_lines(param, [Some(&value), Some(&latest)]),
            value: RwSignal::new(value),
            id: format!("param-{}", param.name),
            kind: param.kind,
            can_reset: is_possible(&latest),
            latest,
            attempt,
        }
    }

    /// Whether the field is multi-line.
    pub const fn has_lines(&self) -> bool {
        self.has_lines
    }

    /// Tracked.
    pub fn differs(&self) -> bool {
        // Secrets of earlier attempts are not kept.
        self.kind != ParamKind::Secret && self.value.with(|value| *value != self.latest)
    }

    pub const fn can_reset(&self) -> bool {
        self.can_reset
    }

    /// The value in the latest attempt: `Attempt 2: main`.
    pub fn latest_value(&self) -> String {
        format!("Attempt {}: {}", self.attempt, self.latest_text())
    }

    fn latest_text(&self) -> String {
        match (self.kind, self.latest.as_str()) {
            (ParamKind::Boolean, "true") => "on".to_owned(),
            (ParamKind::Boolean, _) => "off".to_owned(),
            (_, "") => "empty".to_owned(),
            (_, value) if !self.can_reset => format!("{value} (no longer a choice)"),
            (_, value) => value.to_owned(),
        }
    }

    /// Takes the new value of the field.
    pub fn on_input(&self, event: &Event) {
        self.value.set(match self.kind {
            ParamKind::Boolean => event_target_checked(event).to_string(),
            _ => event_target_value(event),
        });
    }

    /// Resets the field to the value of the latest attempt.
    pub fn reset(&self) {
        let Some(field) = document().get_element_by_id(&self.id) else { return };
        if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
            match self.kind {
                ParamKind::Boolean => input.set_checked(self.latest == "true"),
                _ => input.set_value(&self.latest),
            }
            let _ = input.focus();
        } else if let Some(area) = field.dyn_ref::<HtmlTextAreaElement>() {
            area.set_value(&self.latest);
            let _ = area.focus();
        } else if let Some(select) = field.dyn_ref::<HtmlSelectElement>() {
            select.set_value(&self.latest);
            let _ = select.focus();
        }
        self.value.set(self.latest.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edited_field_knows_value_and_difference() {
        let _owner = Owner::new();
        _owner.set();
        let param = |kind, default: Option<&str>| Param {
            name: "x".into(),
            title: String::new(),
            help: String::new(),
            kind,
            required: false,
            default: default.map(|text| ParamValue::Text(text.into())),
            choices: vec!["a".into()],
        };
        let with = |value| Params::from([("x".to_owned(), value)]);
        let text = |text: &str| with(ParamValue::Text(text.into()));
        let none = Params::new;
        // Kind, default, selected attempt, latest attempt; value of the field, latest value if that differs.
        let table = [
            (ParamKind::String, None, text("a"), text("a"), "a", None),
            (ParamKind::String, None, text("a"), text("b"), "a", Some("b")),
            (ParamKind::String, Some("d"), none(), none(), "d", Some("empty")),
            (ParamKind::String, Some("d"), none(), text("b"), "", Some("b")),
            (ParamKind::Integer, None, with(ParamValue::Integer(7)), none(), "7", Some("empty")),
            (ParamKind::Choice, None, text("a"), text("b"), "a", Some("b (no longer a choice)")),
            (ParamKind::Choice, Some("a"), text("b"), text("b"), "", Some("b (no longer a choice)")),
            (ParamKind::String, Some("d"), text(""), text(""), "", None),
            (ParamKind::Text, None, text("a\r\nb"), text("a\nb"), "a\nb", None),
            (ParamKind::Secret, None, none(), none(), "", None),
            (ParamKind::Boolean, None, none(), none(), "false", None),
            (ParamKind::Boolean, None, with(ParamValue::Boolean(true)), none(), "true", Some("off")),
            (ParamKind::Boolean, None, none(), with(ParamValue::Boolean(true)), "false", Some("on")),
        ];
        for (kind, default, given, last, value, was) in table {
            let edited = EditedField::new(&param(kind, default), &given, &last, 3);
            assert_eq!(edited.value.get_untracked(), value, "{kind:?}");
            assert_eq!(
                untrack(|| edited.differs()).then(|| edited.latest_value()),
                was.map(|was| format!("Attempt 3: {was}")),
                "{kind:?} {given:?} {last:?}"
            );
        }
    }
}
