//! Parses what an HTML form submits into parameter values.
//!
//! A form sends only text: it cannot omit a field, sends line breaks as CRLF, and leaves out checkboxes that are not
//! checked. So fields are compared with their initial values: a field that is submitted unchanged keeps its value byte
//! for byte.

use std::collections::BTreeMap;

use super::param::{Param, ParamInput, ParamKind, ParamValue, Params};
use super::pipeline::Pipeline;

/// The initial values of a form.
#[derive(Clone, Copy, Debug)]
pub enum FormPrefill<'a> {
    /// The defaults of the pipeline: the form starts a run.
    Defaults,
    /// The values of an attempt: the form re-runs the run.
    Attempt {
        /// The values of the attempt on the page.
        shown: &'a Params,
        /// The values of the run's latest attempt. A parameter that both lack is new in the pipeline.
        last: &'a Params,
    },
}

impl FormPrefill<'_> {
    /// The initial value of a parameter's field; `None` if the field is empty because there is no value.
    pub fn value(&self, param: &Param) -> Option<ParamValue> {
        match self {
            _ if param.kind == ParamKind::Secret => None,
            Self::Defaults => param.default.clone(),
            Self::Attempt { shown, last } => match shown.get(&param.name) {
                Some(value) => Some(value.clone()),
                None if last.contains_key(&param.name) => None,
                None => param.default.clone(),
            },
        }
    }
}

/// Replaces every kind of line break by LF.
pub fn normalize_line_endings(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Parses the submitted `fields`. `boxes` are the names of the form's checkboxes, separated by commas.
///
/// - A field with its initial text keeps the exact value.
/// - An empty field is an empty value. It counts as missing if it had no initial value and the parameter has no
///   default, if it is a secret, or if it is a choice without a default.
/// - A checkbox that was not submitted is not checked.
pub fn parse_form(
    pipeline: &Pipeline,
    fields: BTreeMap<String, String>,
    boxes: &str,
    prefill: FormPrefill<'_>,
) -> ParamInput {
    // The fields may be of another pipeline than the one that the form names.
    let is_checkbox =
        |name: &&str| pipeline.params.iter().any(|param| param.name == **name && param.kind == ParamKind::Boolean);
    let unchecked = boxes.split(',').filter(is_checkbox).filter(|name| !fields.contains_key(*name));
    let mut input: ParamInput = unchecked.map(|name| (name.to_owned(), false.into())).collect();
    for (name, text) in fields {
        let text = normalize_line_endings(&text);
        let Some(param) = pipeline.params.iter().find(|param| param.name == name) else {
            input.insert(name, text.into());
            continue;
        };
        let initial = prefill.value(param);
        let had_no_value = initial.is_none() || (param.kind == ParamKind::Choice && !param.choices.contains(&text));
        let is_missing = param.kind == ParamKind::Secret || (had_no_value && param.default.is_none());
        if text.is_empty() && is_missing {
            continue;
        }
        let unchanged = initial.filter(|value| normalize_line_endings(&value.to_string()) == text);
        let value = unchanged.and_then(|value| serde_json::to_value(value).ok());
        input.insert(name, value.unwrap_or_else(|| text.into()));
    }
    input
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn param(name: &str, kind: ParamKind, default: Option<ParamValue>) -> Param {
        let (title, help) = (String::new(), String::new());
        Param { name: name.into(), title, help, kind, required: false, default, choices: vec!["a".into(), "b".into()] }
    }

    fn pipeline(params: Vec<Param>) -> Pipeline {
        Pipeline { name: "p".into(), params, ..Pipeline::default() }
    }

    fn fields(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn form_distinguishes_empty_from_missing() {
        let text = |text: &str| Some(ParamValue::Text(text.into()));
        let pipeline = pipeline(vec![
            param("word", ParamKind::String, text("usual")),
            param("note", ParamKind::String, None),
            param("level", ParamKind::Integer, Some(ParamValue::Integer(3))),
            param("color", ParamKind::Choice, None),
            param("key", ParamKind::Secret, None),
            param("loud", ParamKind::Boolean, Some(ParamValue::Boolean(true))),
        ]);
        let empty = [("word", ""), ("note", ""), ("level", ""), ("color", ""), ("key", "")];
        let input = parse_form(&pipeline, fields(&empty), "loud", FormPrefill::Defaults);
        assert_eq!(json!(input), json!({"word": "", "level": "", "loud": false}));
        let filled =
            [("word", " "), ("note", " x "), ("level", "3"), ("key", "a\r\nb"), ("loud", "true"), ("odd", "1")];
        let input = parse_form(&pipeline, fields(&filled), "loud", FormPrefill::Defaults);
        let expected = json!({"word": " ", "note": " x ", "level": 3, "key": "a\nb", "loud": true, "odd": "1"});
        assert_eq!(json!(input), expected);
    }

    #[test]
    fn form_compares_with_the_attempt_on_the_page() {
        let text = |text: &str| ParamValue::Text(text.into());
        let pipeline =
            pipeline(vec![param("word", ParamKind::String, Some(text("usual"))), param("note", ParamKind::Text, None)]);
        let read = |shown: &[(&str, &str)], last: &[(&str, &str)], sent: &[(&str, &str)]| {
            let params = |values: &[(&str, &str)]| -> Params {
                values.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
            };
            let (shown, last) = (params(shown), params(last));
            json!(parse_form(&pipeline, fields(sent), "", FormPrefill::Attempt { shown: &shown, last: &last }))
        };
        // Attempts of earlier versions may have an empty choice, which means none.
        let mut color = pipeline.clone();
        color.params = vec![param("color", ParamKind::Choice, None)];
        let shown = Params::from([("color".to_owned(), text(""))]);
        let filled = FormPrefill::Attempt { shown: &shown, last: &shown };
        assert_eq!(json!(parse_form(&color, fields(&[("color", "")]), "", filled)), json!({}));
        // An empty value stays empty, a missing one stays missing.
        assert_eq!(read(&[("note", "")], &[], &[("note", "")]), json!({"note": ""}));
        assert_eq!(read(&[], &[], &[("note", "")]), json!({}));
        // The field was empty although there is a default: the value that was submitted counts.
        assert_eq!(read(&[], &[("word", "x")], &[("word", "")]), json!({"word": ""}));
        // Line breaks that the browser changed are restored; an edited value keeps those of the form.
        assert_eq!(read(&[("note", "a\r\nb\rc")], &[], &[("note", "a\r\nb\r\nc")]), json!({"note": "a\r\nb\rc"}));
        assert_eq!(read(&[("note", "a\r\nb")], &[], &[("note", "a\r\nb!")]), json!({"note": "a\nb!"}));
    }

    proptest! {
        /// A browser knows only LF in a text area, and submits CRLF.
        #[test]
        fn form_keeps_untouched_text(value in "([a-z \t]|\r\n|\r|\n|é){0,12}") {
            let pipeline = pipeline(vec![param("note", ParamKind::Text, None)]);
            let shown = Params::from([("note".to_owned(), ParamValue::Text(value.clone()))]);
            let sent = normalize_line_endings(&value).replace('\n', "\r\n");
            let input = parse_form(&pipeline, fields(&[("note", &sent)]), "", FormPrefill::Attempt { shown: &shown, last: &shown });
            prop_assert_eq!(pipeline.check(&input).unwrap(), shown);
        }
    }
}
