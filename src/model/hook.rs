//! Webhooks of a pipeline: which deliveries start a run, and with which parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::PayloadCondition;
pub use super::json_pointer::is_json_pointer;
use super::param::ParamInput;

/// The webhook of a pipeline (`[hook]` in its file), without the secret itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Where the server reads the secret. Never shown.
    #[serde(skip)]
    pub secret: SecretLocation,
    /// The line of the pipeline file, from 1. Problems that are found after parsing, such as a missing secret, refer to
    /// it.
    #[serde(skip)]
    pub line: usize,
    /// Accepted events, as the forge names them; if empty, all except pings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Whether a delivery with a new id and a known body starts another run: for senders whose bodies contain nothing
    /// unique.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// Which payloads are accepted.
    #[serde(default, rename = "if", skip_serializing_if = "PayloadCondition::is_empty")]
    pub conditions: PayloadCondition,
    #[serde(default)]
    pub params: BTreeMap<String, HookParam>,
}

/// Where the server reads the secret of a hook or a receiver. White space around it is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretLocation {
    /// An environment variable of the server.
    #[serde(rename = "secret_env")]
    Env(String),
    /// A file.
    #[serde(rename = "secret_file")]
    File(PathBuf),
    /// A systemd credential.
    #[serde(rename = "secret_credential")]
    Credential(String),
}

impl SecretLocation {
    /// The environment variable that holds the secret, if one does.
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

/// Where a parameter's value comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HookParam {
    /// The payload.
    Payload(PayloadField),
    /// A constant.
    Fixed(Value),
}

/// A value in the payload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadField {
    /// JSON Pointer (RFC 6901), such as `/repository/name`.
    pub from: String,
    /// A prefix to remove, such as `refs/heads/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub strip_prefix: String,
    /// Used if the payload has no value, or null.
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

/// The event as pipeline files name it: GitLab's `Merge Request Hook` is `merge_request`, the `object_kind` of its
/// payload.
fn normalize_event(event: &str) -> String {
    let event = event.trim().to_lowercase();
    event.strip_suffix(" hook").unwrap_or(&event).replace(' ', "_")
}

impl Hook {
    /// Why an event does not start a run, in a sentence; `None` if it may. GitHub's `ping`, sent when a hook is
    /// created, starts one only if the pipeline file lists it.
    pub fn ignore_reason(&self, event: Option<&str>) -> Option<String> {
        let named = |event: &str| self.events.iter().any(|wanted| normalize_event(wanted) == normalize_event(event));
        match event {
            None if self.events.is_empty() => None,
            None => Some("The delivery has no event type, and the hook accepts only some.".to_owned()),
            Some(event) if named(event) => None,
            Some(event) if self.events.is_empty() && normalize_event(event) != "ping" => None,
            Some(event) => Some(format!("The hook does not accept the event `{event}`.")),
        }
    }

    /// The input of a run that this payload starts.
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
    fn hook_accepts_listed_events() {
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
    fn hook_takes_params_from_the_payload() {
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
    fn hook_serializes_without_its_secret_location() {
        for secret in [SecretLocation::Env("NIGHTLY_SECRET".into()), SecretLocation::File("/run/secret".into())] {
            let text = serde_json::to_string(&Hook { secret, ..Hook::default() }).unwrap();
            assert!(!text.to_lowercase().contains("secret"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn payload_field_is_found_at_its_pointer(key in ".{0,8}", value in any::<i64>()) {
            let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
            prop_assert!(is_json_pointer(&pointer));
            let mut object = serde_json::Map::new();
            object.insert(key, value.into());
            let place = PayloadField { from: pointer, ..PayloadField::default() };
            prop_assert_eq!(place.extract(&Value::Object(object)), Some(value.into()));
        }
    }
}
