//! How a forge starts a pipeline's runs: which of its deliveries count, and what a run is given of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ParamInput;
use super::condition::PayloadCondition;

/// A pipeline's hook. Its secret is not part of it: only where the server finds it, and that is told to nobody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Where the secret is.
    #[serde(skip)]
    pub secret: SecretLocation,
    /// The line of its file where it begins, from 1.
    #[serde(skip)]
    pub line: usize,
    /// The events that start a run, as the forge calls them; all but pings if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Whether the same body may start a run again, if it comes as another delivery: for senders whose bodies have nothing unique.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// Only payloads that meet this condition.
    #[serde(default, rename = "if", skip_serializing_if = "PayloadCondition::is_empty")]
    pub conditions: PayloadCondition,
    /// What its runs are given.
    #[serde(default)]
    pub params: BTreeMap<String, HookParam>,
}

/// Where the server finds the secret of a hook or a receiver, without the white space around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretLocation {
    /// In this variable of its environment.
    #[serde(rename = "secret_env")]
    Env(String),
    /// In this file.
    #[serde(rename = "secret_file")]
    File(PathBuf),
    /// In the credential of this name that systemd gives to it.
    #[serde(rename = "secret_credential")]
    Credential(String),
}

impl SecretLocation {
    /// The variable of the server that holds the secret, if one does.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Env(name) => Some(name),
            Self::File(_) | Self::Credential(_) => None,
        }
    }
}

impl Default for SecretLocation {
    fn default() -> Self {
        Self::Env(String::new())
    }
}

/// What a run is given for one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HookParam {
    /// What the payload says.
    Payload(PayloadField),
    /// Always the same.
    Fixed(Value),
}

/// A value in the payload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadField {
    /// Where it is, as a JSON Pointer (RFC 6901): `/repository/name`.
    pub from: String,
    /// What is taken off its beginning, such as `refs/heads/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub strip_prefix: String,
    /// The value if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

impl PayloadField {
    fn extract(&self, payload: &Value) -> Option<Value> {
        match payload.pointer(&self.from) {
            None | Some(Value::Null) => self.default.clone(),
            Some(Value::String(text)) => {
                Some(text.strip_prefix(self.strip_prefix.as_str()).unwrap_or(text).to_owned().into())
            }
            Some(value) => Some(value.clone()),
        }
    }
}

/// Whether a text is a JSON Pointer (RFC 6901, section 3).
pub fn is_json_pointer(text: &str) -> bool {
    let escapes = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.is_empty() || (text.starts_with('/') && escapes(text))
}

/// The event as files name it, however the forge writes it: GitLab's `Merge Request Hook` is `merge_request`, which is the
/// `object_kind` of its payload.
fn normalize_event(event: &str) -> String {
    let event = event.trim().to_lowercase();
    event.strip_suffix(" hook").unwrap_or(&event).replace(' ', "_")
}

impl Hook {
    /// Why an event does not start a run, in a sentence; `None` if it may. A ping, by which GitHub tries a new hook, starts
    /// one only if the file names it.
    pub fn ignore_reason(&self, event: Option<&str>) -> Option<String> {
        let named = |event: &str| self.events.iter().any(|wanted| normalize_event(wanted) == normalize_event(event));
        match event {
            None if self.events.is_empty() => None,
            None => Some("The delivery names no event, and the hook takes only some.".to_owned()),
            Some(event) if named(event) => None,
            Some(event) if self.events.is_empty() && normalize_event(event) != "ping" => None,
            Some(event) => Some(format!("The hook does not take the event `{event}`.")),
        }
    }

    /// What a run is given of this payload.
    pub fn param_input(&self, payload: &Value) -> ParamInput {
        let value = |param: &HookParam| match param {
            HookParam::Fixed(value) => Some(value.clone()),
            HookParam::Payload(place) => place.extract(payload),
        };
        self.params.iter().filter_map(|(name, param)| Some((name.clone(), value(param)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        for good in ["", "/", "/ref", "/a~1b/m~0n/0", "/ ", "/a\"b", "//"] {
            assert!(is_json_pointer(good), "{good}");
        }
        for bad in ["ref", "#/ref", "/a~", "/a~2b", "$.ref", " /ref"] {
            assert!(!is_json_pointer(bad), "{bad}");
        }
    }

    #[test]
    fn events_are_taken_as_the_file_names_them() {
        let hook = |events: &[&str]| Hook { events: events.iter().map(|&e| e.into()).collect(), ..Hook::default() };
        for (events, event, taken) in [
            (&[][..], Some("push"), true),
            (&[], None, true),
            (&[], Some("ping"), false),
            (&["ping"], Some("ping"), true),
            (&["push"], Some("push"), true),
            (&["push"], Some("Push Hook"), true),
            (&["Push Hook"], Some("Push Hook"), true),
            (&["push"], Some("Tag Push Hook"), false),
            (&["tag_push", "merge_request"], Some("Merge Request Hook"), true),
            (&["repo:push"], Some("repo:push"), true),
            (&["push"], Some("pull_request"), false),
            (&["push"], None, false),
        ] {
            assert_eq!(hook(events).ignore_reason(event).is_none(), taken, "{events:?} {event:?}");
        }
    }

    #[test]
    fn a_run_is_given_what_the_payload_says() {
        let from = |from: &str, strip: &str, default: Option<Value>| {
            HookParam::Payload(PayloadField { from: from.into(), strip_prefix: strip.into(), default })
        };
        let params = [
            ("project".to_owned(), HookParam::Fixed(json!("/srv/app"))),
            ("branch".to_owned(), from("/ref", "refs/heads/", None)),
            ("commit".to_owned(), from("/commits/0/id", "", None)),
            ("odd".to_owned(), from("/a~1b", "", Some(json!("none")))),
            ("gone".to_owned(), from("/nothing", "", None)),
            ("null".to_owned(), from("/null", "", Some(json!(3)))),
        ];
        let hook = Hook { params: params.into(), ..Hook::default() };
        let payload = json!({"ref": "refs/heads/a b", "commits": [{"id": "x"}], "a/b": 1, "null": null});
        let expected = json!({"project": "/srv/app", "branch": "a b", "commit": "x", "odd": 1, "null": 3});
        assert_eq!(json!(hook.param_input(&payload)), expected);
        let text = serde_json::to_string(&hook).unwrap();
        assert_eq!(serde_json::from_str::<Hook>(&text).unwrap(), hook);
    }

    #[test]
    fn where_the_secret_is_is_told_to_nobody() {
        for secret in [SecretLocation::Env("NIGHTLY_SECRET".into()), SecretLocation::File("/run/secret".into())] {
            let text = serde_json::to_string(&Hook { secret, ..Hook::default() }).unwrap();
            assert!(!text.to_lowercase().contains("secret"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn each_value_is_found_at_its_pointer(key in ".{0,8}", value in any::<i64>()) {
            let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
            prop_assert!(is_json_pointer(&pointer));
            let mut object = serde_json::Map::new();
            object.insert(key, value.into());
            let place = PayloadField { from: pointer, ..PayloadField::default() };
            prop_assert_eq!(place.extract(&Value::Object(object)), Some(value.into()));
        }
    }
}
