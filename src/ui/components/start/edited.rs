//! A field whose value is compared with what the last attempt had.

use leptos::ev::Event;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys::{HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};

use super::lines::has_lines;
use crate::model::form::normalize_line_endings;
use crate::model::{FormPrefill, Param, ParamKind, ParamValue, Params};

/// What a field has, and what the last attempt had. As text, which is all that fields have.
#[derive(Clone)]
pub struct Edited {
    /// What is in the field now.
    pub value: RwSignal<String>,
    was: String,
    /// The last attempt's number.
    attempt: u32,
    id: String,
    kind: ParamKind,
    /// Whether the field can have what was: a choice may be none any more.
    possible: bool,
    has_lines: bool,
}

impl Edited {
    /// A parameter's field, filled in from `given`; the last attempt, of this number, had `last`. A parameter that is in neither is new, or was left
    /// out: then the field has its default.
    pub fn new(param: &Param, given: &Params, last: &Params, attempt: u32) -> Self {
        let nothing = if param.kind == ParamKind::Boolean { "false" } else { "" };
        // As fields have it.
        let text = |value: &ParamValue| normalize_line_endings(&value.to_string());
        let was = last.get(&param.name).map_or_else(|| nothing.to_owned(), text);
        let possible =
            |value: &String| param.kind != ParamKind::Choice || value.is_empty() || param.choices.contains(value);
        let filled = FormPrefill::Attempt { shown: given, last }.value(param);
        let value = filled.as_ref().map(text).filter(possible).unwrap_or_else(|| nothing.to_owned());
        Self {
            has_lines: has_lines(param, [Some(&value), Some(&was)]),
            value: RwSignal::new(value),
            id: format!("param-{}", param.name),
            kind: param.kind,
            possible: possible(&was),
            was,
            attempt,
        }
    }

    /// Whether the field has several lines.
    pub const fn has_lines(&self) -> bool {
        self.has_lines
    }

    /// Whether it is not what the last attempt had.
    pub fn differs(&self) -> bool {
        // Nothing is known of an earlier secret.
        self.kind != ParamKind::Secret && self.value.with(|value| *value != self.was)
    }

    /// Whether the field can have what the last attempt had.
    pub const fn can_reset(&self) -> bool {
        self.possible
    }

    /// What the last attempt had, for people.
    pub fn was(&self) -> String {
        format!("Attempt {} had: {}", self.attempt, self.value_then())
    }

    fn value_then(&self) -> String {
        match (self.kind, self.was.as_str()) {
            (ParamKind::Boolean, "true") => "ticked".to_owned(),
            (ParamKind::Boolean, _) => "not ticked".to_owned(),
            (_, "") => "nothing".to_owned(),
            (_, was) if !self.possible => format!("{was}, which is no choice any more"),
            (_, was) => was.to_owned(),
        }
    }

    /// Something was typed or chosen.
    pub fn hear(&self, event: &Event) {
        self.value.set(match self.kind {
            ParamKind::Boolean => event_target_checked(event).to_string(),
            _ => event_target_value(event),
        });
    }

    /// Puts back what the last attempt had.
    pub fn reset(&self) {
        let Some(field) = document().get_element_by_id(&self.id) else { return };
        if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
            match self.kind {
                ParamKind::Boolean => input.set_checked(self.was == "true"),
                _ => input.set_value(&self.was),
            }
            let _ = input.focus();
        } else if let Some(area) = field.dyn_ref::<HtmlTextAreaElement>() {
            area.set_value(&self.was);
            let _ = area.focus();
        } else if let Some(select) = field.dyn_ref::<HtmlSelectElement>() {
            select.set_value(&self.was);
            let _ = select.focus();
        }
        self.value.set(self.was.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_what_was_given_and_knows_what_differs() {
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
        // Kind, default, of the attempt that is looked at, of the last one: what is in the field, what was.
        let table = [
            (ParamKind::String, None, text("a"), text("a"), "a", None),
            (ParamKind::String, None, text("a"), text("b"), "a", Some("b")),
            (ParamKind::String, Some("d"), none(), none(), "d", Some("nothing")),
            (ParamKind::String, Some("d"), none(), text("b"), "", Some("b")),
            (ParamKind::Integer, None, with(ParamValue::Integer(7)), none(), "7", Some("nothing")),
            (ParamKind::Choice, None, text("a"), text("b"), "a", Some("b, which is no choice any more")),
            (ParamKind::Choice, Some("a"), text("b"), text("b"), "", Some("b, which is no choice any more")),
            (ParamKind::String, Some("d"), text(""), text(""), "", None),
            (ParamKind::Text, None, text("a\r\nb"), text("a\nb"), "a\nb", None),
            (ParamKind::Secret, None, none(), none(), "", None),
            (ParamKind::Boolean, None, none(), none(), "false", None),
            (ParamKind::Boolean, None, with(ParamValue::Boolean(true)), none(), "true", Some("not ticked")),
            (ParamKind::Boolean, None, none(), with(ParamValue::Boolean(true)), "false", Some("ticked")),
        ];
        for (kind, default, given, last, value, was) in table {
            let edited = Edited::new(&param(kind, default), &given, &last, 3);
            assert_eq!(edited.value.get_untracked(), value, "{kind:?}");
            assert_eq!(
                untrack(|| edited.differs()).then(|| edited.was()),
                was.map(|was| format!("Attempt 3 had: {was}")),
                "{kind:?} {given:?} {last:?}"
            );
        }
    }
}
