//! What a delivery is called by its headers. Nobody has signed them: they name things, and decide nothing that the secret's
//! owner could not decide.

use sha2::{Digest, Sha256};

use super::Header;
use super::signature::hex;

/// The longest name of an event or a delivery, in bytes: enough for any UUID or digest.
const LONGEST: usize = 200;

/// Forges with the headers of their events and deliveries. Forgejo and Gitea send those of the ones below them, too.
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

/// What a delivery is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose it is, as far as its headers say.
    pub forge: &'static str,
    /// The event, as the forge calls it.
    pub event: Option<String>,
    /// The delivery: the same if it is sent again.
    pub id: Option<String>,
}

/// What two deliveries have in common that are the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyBy {
    /// Their id, and the body. Without an id each is another one.
    Id,
    /// The body alone: the id is not signed, so whoever has a delivery could send it again with another id, or with none.
    Body,
}

impl Delivery {
    /// Reads the headers. What is no short ASCII text there is not there.
    pub fn of(header: Header<'_>) -> Self {
        let read = |name: &str| {
            let value = header(name).map(str::trim)?;
            let plain =
                !value.is_empty() && value.len() <= LONGEST && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            plain.then(|| value.to_owned())
        };
        // GitLab's deliveries and those of Standard Webhooks. The event's UUID is that of the first one for all that follow from
        // it (docs.gitlab.com, "Webhooks", "Delivery headers"), so it does not name a delivery alone: see `key`.
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

    /// What asked for a run, as its journal says it.
    pub fn asks(&self) -> String {
        let event = self.event.as_ref().map(|event| format!(", {event}")).unwrap_or_default();
        let id = self.id.as_ref().map(|id| format!(", delivery {id}")).unwrap_or_default();
        format!("hook of {}{event}{id}", self.forge)
    }

    /// The idempotency key of this delivery to this pipeline, and the digest of what was sent. No caller of the API has the
    /// same key, since those are ASCII. A delivery with another body is another one.
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

    fn delivery(headers: &[(&str, &str)]) -> Delivery {
        Delivery::of(&|name: &str| headers.iter().find(|(given, _)| *given == name).map(|(_, value)| *value))
    }

    #[test]
    fn a_delivery_is_called_as_its_forge_calls_it() {
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
    fn a_delivery_is_the_same_only_with_its_pipeline_and_its_body() {
        let one = delivery(&[("webhook-id", "msg_1")]);
        let key = |pipeline: &str, body: &str| one.key(pipeline, body.as_bytes(), KeyBy::Id).unwrap();
        assert_eq!(key("p", "{}"), key("p", "{}"));
        assert_ne!(key("p", "{}").0, key("q", "{}").0);
        assert_ne!(key("p", "{}").0, key("p", "[]").0);
        assert!(!key("p", "{}").0.is_ascii(), "no caller's key is like it");
        assert_eq!(delivery(&[]).key("p", b"{}", KeyBy::Id), None);
        let by_body = |id: &str, body: &[u8]| delivery(&[("webhook-id", id)]).key("p", body, KeyBy::Body).unwrap();
        assert_eq!(by_body("msg_1", b"{}"), by_body("msg_2", b"{}"));
        assert_eq!(by_body("msg_1", b"{}"), delivery(&[]).key("p", b"{}", KeyBy::Body).unwrap());
        assert_ne!(by_body("msg_1", b"{}").0, by_body("msg_1", b"[]").0);
        assert!(!by_body("msg_1", b"{}").0.is_ascii());
    }
}
