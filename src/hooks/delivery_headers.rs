//! The event and id of a delivery, from its headers. They are not signed, so they decide nothing that the owner of the
//! secret could not decide anyway.

use sha2::{Digest, Sha256};

use super::header::{Header, hex};

/// The longest name of an event or delivery: enough for any UUID or digest.
const MAX_NAME_BYTES: usize = 200;

/// The forges with the headers of their events and deliveries. Forgejo and Gitea also send those of the forges listed
/// after them.
///
/// docs.github.com, "Webhook events and payloads", "Delivery headers"; docs.gitea.com and forgejo.org, "Webhooks";
/// support.atlassian.com, "Event payloads", "HTTP headers". Bitbucket Data Center has `X-Request-Id`.
const FORGES: [(&str, &str, &[&str]); 5] = [
    ("forgejo", "x-forgejo-event", &["x-forgejo-delivery"]),
    ("gitea", "x-gitea-event", &["x-gitea-delivery"]),
    ("gogs", "x-gogs-event", &["x-gogs-delivery"]),
    ("github", "x-github-event", &["x-github-delivery"]),
    ("bitbucket", "x-event-key", &["x-request-uuid", "x-request-id"]),
];

/// What the headers tell about a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryHeaders {
    /// The forge, according to the headers.
    pub forge: &'static str,
    /// The event, in the forge's words.
    pub event: Option<String>,
    /// The delivery's id, which a redelivery repeats.
    pub id: Option<String>,
}

/// What identifies a delivery, so that a redelivery does not start another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyBy {
    /// The id and the body. Deliveries without an id are all different.
    Id,
    /// The body alone: the id is not signed, so a delivery could be replayed with another id or without one.
    Body,
}

impl DeliveryHeaders {
    /// Reads the headers. Values that are not short ASCII text are ignored.
    pub fn of(header: Header<'_>) -> Self {
        let read = |name: &str| {
            let value = header(name).map(str::trim)?;
            let is_plain = !value.is_empty()
                && value.len() <= MAX_NAME_BYTES
                && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            is_plain.then(|| value.to_owned())
        };
        // GitLab and Standard Webhooks. Events that follow from another event have its event UUID (docs.gitlab.com,
        // "Webhooks", "Delivery headers"), so that does not identify a delivery by itself; see `key`.
        let named = || read("webhook-id").or_else(|| read("idempotency-key"));
        if let Some(event) = read("x-gitlab-event") {
            return Self { forge: "gitlab", event: Some(event), id: named().or_else(|| read("x-gitlab-event-uuid")) };
        }
        for (forge, event, deliveries) in FORGES {
            if let Some(event) = read(event) {
                let id = deliveries.iter().find_map(|name| read(name));
                return Self { forge, event: Some(event), id };
            }
        }
        Self { forge: "a webhook", event: None, id: named() }
    }

    /// The reason of a run, for its journal.
    pub fn asks(&self) -> String {
        let event = self.event.as_ref().map(|event| format!(", {event}")).unwrap_or_default();
        let id = self.id.as_ref().map(|id| format!(", delivery {id}")).unwrap_or_default();
        format!("hook of {}{event}{id}", self.forge)
    }

    /// The idempotency key of this delivery to this pipeline, and the digest of the body. It cannot collide with a key
    /// of an API client, since those are ASCII.
    pub fn key(&self, pipeline: &str, body: &[u8], by: KeyBy) -> Option<(String, Vec<u8>)> {
        let digest = Sha256::digest(body).to_vec();
        let key = match (by, &self.id) {
            (KeyBy::Body, _) => format!("hook→{pipeline}→→{}", hex(&digest)),
            (KeyBy::Id, Some(id)) => format!("hook→{pipeline}→{id}→{}", hex(&digest[..8])),
            (KeyBy::Id, None) => return None,
        };
        Some((key, digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(headers: &[(&str, &str)]) -> DeliveryHeaders {
        DeliveryHeaders::of(&|name: &str| headers.iter().find(|(given, _)| *given == name).map(|(_, value)| *value))
    }

    #[test]
    fn delivery_headers_of_all_forges_are_read() {
        for (headers, asks) in [
            (&[("x-github-event", "push"), ("x-github-delivery", "d-1")][..], "hook of github, push, delivery d-1"),
            (
                &[("x-github-event", "push"), ("x-gitea-event", "push"), ("x-gitea-delivery", "d-2")],
                "hook of gitea, push, delivery d-2",
            ),
            (
                &[("x-gitea-event", "push"), ("x-forgejo-event", "create"), ("x-forgejo-delivery", "d-3")],
                "hook of forgejo, create, delivery d-3",
            ),
            (&[("x-event-key", "repo:push"), ("x-request-uuid", "d-4")], "hook of bitbucket, repo:push, delivery d-4"),
            (
                &[("x-gitlab-event", "Push Hook"), ("idempotency-key", "d-5"), ("x-gitlab-event-uuid", "e")],
                "hook of gitlab, Push Hook, delivery d-5",
            ),
            (&[("x-gitlab-event", "Push Hook"), ("x-gitlab-event-uuid", "e")], "hook of gitlab, Push Hook, delivery e"),
            (&[("webhook-id", "msg_1")], "hook of a webhook, delivery msg_1"),
            (&[], "hook of a webhook"),
            (&[("x-github-event", "pu\nsh"), ("webhook-id", "")], "hook of a webhook"),
        ] {
            assert_eq!(delivery(headers).asks(), asks);
        }
    }

    #[test]
    fn delivery_key_depends_on_pipeline_and_body() {
        let one = delivery(&[("webhook-id", "msg_1")]);
        let key = |pipeline: &str, body: &str| one.key(pipeline, body.as_bytes(), KeyBy::Id).unwrap();
        assert_eq!(key("p", "{}"), key("p", "{}"));
        assert_ne!(key("p", "{}").0, key("q", "{}").0);
        assert_ne!(key("p", "{}").0, key("p", "[]").0);
        assert!(!key("p", "{}").0.is_ascii(), "cannot collide with keys of API clients");
        assert_eq!(delivery(&[]).key("p", b"{}", KeyBy::Id), None);
        let by_body = |id: &str, body: &[u8]| delivery(&[("webhook-id", id)]).key("p", body, KeyBy::Body).unwrap();
        assert_eq!(by_body("msg_1", b"{}"), by_body("msg_2", b"{}"));
        assert_eq!(by_body("msg_1", b"{}"), delivery(&[]).key("p", b"{}", KeyBy::Body).unwrap());
        assert_ne!(by_body("msg_1", b"{}").0, by_body("msg_1", b"[]").0);
        assert!(!by_body("msg_1", b"{}").0.is_ascii());
    }
}
