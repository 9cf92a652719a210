//! What a form sends, read as the values it was filled in with.
//!
//! A form has text only: it cannot leave a field out, it sends line ends as CRLF, and it does not mention a box that is not ticked. So its
//! fields are read beside what they showed at first: a field that is sent as it was shown keeps its value byte for byte.

use std::collections::BTreeMap;

use super::param::{Param, ParamInput, ParamKind, ParamValue, Params};
use super::pipeline::Pipeline;

/// What a form was filled in with before anybody changed it.
#[derive(Clone, Copy, Debug)]
pub enum FormPrefill<'a> {
    /// The defaults: it starts a run.
    Defaults,
    /// The values of an attempt: it asks for another one.
    Attempt {
        /// The values of the attempt that is shown.
        shown: &'a Params,
        /// Those of the run's last attempt. A parameter in neither is new.
        last: &'a Params,
    },
}

impl FormPrefill<'_> {
    /// The value that a parameter's field shows at first. `None` if it is empty because there is no value.
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

/// The text as a form's contract has it: each line ends with LF, whatever the browser sends.
pub fn normalize_line_endings(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

impl Pipeline {
    /// The values that a form gives: `fields` as they were sent, `boxes` the names of its boxes with commas between them.
    ///
    /// - A field with the text that it showed keeps its value exactly.
    /// - An empty field is an empty value. It is missing only if it showed no value and the parameter has no default, or if it is a secret.
    ///   A choice that has no default is missing too: nothing was chosen.
    /// - A box that was not sent is not ticked.
    pub fn parse_form(&self, fields: BTreeMap<String, String>, boxes: &str, filled: FormPrefill<'_>) -> ParamInput {
        // The form may show the fields of another pipeline than it names.
        let is_box =
            |name: &&str| self.params.iter().any(|param| param.name == **name && param.kind == ParamKind::Boolean);
        let unticked = boxes.split(',').filter(is_box).filter(|name| !fields.contains_key(*name));
        let mut given: ParamInput = unticked.map(|name| (name.to_owned(), false.into())).collect();
        for (name, text) in fields {
            let text = normalize_line_endings(&text);
            let Some(param) = self.params.iter().find(|param| param.name == name) else {
                given.insert(name, text.into());
                continue;
            };
            let shown = filled.value(param);
            let showed_none = shown.is_none() || (param.kind == ParamKind::Choice && !param.choices.contains(&text));
            let is_missing = param.kind == ParamKind::Secret || (showed_none && param.default.is_none());
            if text.is_empty() && is_missing {
                continue;
            }
            let unchanged = shown.filter(|value| normalize_line_endings(&value.to_string()) == text);
            let value = unchanged.and_then(|value| serde_json::to_value(value).ok());
            given.insert(name, value.unwrap_or_else(|| text.into()));
        }
        given
    }
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
    fn form_tells_empty_from_missing() {
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
        let given = pipeline.parse_form(fields(&empty), "loud", FormPrefill::Defaults);
        assert_eq!(json!(given), json!({"word": "", "level": "", "loud": false}));
        let filled =
            [("word", " "), ("note", " x "), ("level", "3"), ("key", "a\r\nb"), ("loud", "true"), ("odd", "1")];
        let given = pipeline.parse_form(fields(&filled), "loud", FormPrefill::Defaults);
        let expected = json!({"word": " ", "note": " x ", "level": 3, "key": "a\nb", "loud": true, "odd": "1"});
        assert_eq!(json!(given), expected);
    }

    #[test]
    fn edited_form_compares_with_the_attempt_it_shows() {
        let text = |text: &str| ParamValue::Text(text.into());
        let pipeline =
            pipeline(vec![param("word", ParamKind::String, Some(text("usual"))), param("note", ParamKind::Text, None)]);
        let read = |shown: &[(&str, &str)], last: &[(&str, &str)], sent: &[(&str, &str)]| {
            let params = |values: &[(&str, &str)]| -> Params {
                values.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
            };
            let (shown, last) = (params(shown), params(last));
            json!(pipeline.parse_form(fields(sent), "", FormPrefill::Attempt { shown: &shown, last: &last }))
        };
        // An attempt of an earlier version may have an empty choice, which is none.
        let mut color = pipeline.clone();
        color.params = vec![param("color", ParamKind::Choice, None)];
        let shown = Params::from([("color".to_owned(), text(""))]);
        let filled = FormPrefill::Attempt { shown: &shown, last: &shown };
        assert_eq!(json!(color.parse_form(fields(&[("color", "")]), "", filled)), json!({}));
        // An empty value stays empty; one that was missing stays missing.
        assert_eq!(read(&[("note", "")], &[], &[("note", "")]), json!({"note": ""}));
        assert_eq!(read(&[], &[], &[("note", "")]), json!({}));
        // The field was empty although there is a default: what was seen is what is used.
        assert_eq!(read(&[], &[("word", "x")], &[("word", "")]), json!({"word": ""}));
        // Line ends that the browser changed are put back; a change keeps the form's own.
        assert_eq!(read(&[("note", "a\r\nb\rc")], &[], &[("note", "a\r\nb\r\nc")]), json!({"note": "a\r\nb\rc"}));
        assert_eq!(read(&[("note", "a\r\nb")], &[], &[("note", "a\r\nb!")]), json!({"note": "a\nb!"}));
    }

    proptest! {
        /// What a browser does to a text in a multi-line field: it knows LF only, and sends CRLF.
        #[test]
        fn untouched_text_survives_the_form(value in "([a-z \t]|\r\n|\r|\n|é){0,12}") {
            let pipeline = pipeline(vec![param("note", ParamKind::Text, None)]);
            let shown = Params::from([("note".to_owned(), ParamValue::Text(value.clone()))]);
            let sent = normalize_line_endings(&value).replace('\n', "\r\n");
            let given = pipeline.parse_form(fields(&[("note", &sent)]), "", FormPrefill::Attempt { shown: &shown, last: &shown });
            prop_assert_eq!(pipeline.check(&given).unwrap(), shown);
        }
    }
}
