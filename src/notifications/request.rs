//! What is sent to a receiver, and what is made of its answer.
//!
//! Where it goes and what it says back is for nobody's eyes: neither the address nor the answer's body gets into a journal or a log. The
//! body is not even read, and a redirect is not followed: it could lead anywhere inside the operator's network.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Proxy, Url, redirect};
use serde::Serialize;

use super::egress::{Denied, Egress, Resolver};
use super::signature::{Signatures, sign};
use crate::feed::backoff::retry_after;
use crate::model::hook::SecretLocation;
use crate::model::notify::{ReceiverAddress, check_address, summary};
use crate::model::{Run, Status, Timestamp};
use crate::secrets::files;
use crate::store::OutboxDelivery;

/// How long a try may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The client of all tries. No connection outlives its try: the next one comes much later.
///
/// # Errors
/// The certificates of the system cannot be used.
pub(super) fn client(egress: &Arc<Egress>) -> Result<Client, reqwest::Error> {
    // What HTTP_PROXY and its like say is for commands: a proxy for notifications is named.
    let builder = Client::builder().no_proxy().dns_resolver(Arc::new(Resolver(Arc::clone(egress))));
    let builder = match &egress.proxy {
        Some(proxy) => builder.proxy(Proxy::all(proxy.clone())?),
        None => builder,
    };
    builder
        .user_agent(concat!("runtrail/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(LIMIT)
        .build()
}

/// The largest file with an address or a secret.
const LONGEST: u64 = 64 * 1024;

/// What came of a try.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The receiver, without what may be a secret.
    pub url: String,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// Why it did not take the delivery, in a sentence.
    pub error: Option<String>,
    /// For how many milliseconds it asked to be left alone.
    pub asked: Option<u64>,
    /// It could not be sent and never will be.
    pub hopeless: bool,
}

/// The body of a delivery.
#[derive(Serialize)]
struct Payload<'a> {
    event: &'a str,
    run: &'a Run,
    attempt: u32,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    text: String,
}

/// Sends it once.
pub(super) async fn send(
    client: &Client,
    egress: &Egress,
    delivery: &OutboxDelivery,
    public_url: Option<&str>,
) -> Answer {
    let receiver = &delivery.receiver;
    let address = match &receiver.to {
        ReceiverAddress::Url(url) => Ok(url.clone()),
        ReceiverAddress::UrlEnv(name) => variable(name),
        ReceiverAddress::UrlFile(path) => file(path),
        ReceiverAddress::UrlCredential(name) => credential(name),
    };
    let parsed = address.and_then(|address| parse(receiver, &address));
    let words = receiver.display_name(parsed.as_ref().ok().map(Url::as_str));
    let hopeless = |error| Answer { url: words.clone(), error: Some(error), hopeless: true, ..Answer::default() };
    let address = match parsed {
        Ok(address) => address,
        Err(error) => return hopeless(error),
    };
    if let Err(denied) = egress.check(&address) {
        return hopeless(denied.to_string());
    }
    let body = body(delivery, public_url);
    let id = message_id(delivery);
    let timestamp = Timestamp::now().0.div_euclid(1000);
    let mut request = client
        .post(address)
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", timestamp);
    if let Some(place) = &receiver.secret {
        let (secret, shown) = match place {
            SecretLocation::Env(name) => (variable(name), format!("${name}")),
            SecretLocation::File(path) => (file(path), path.display().to_string()),
            SecretLocation::Credential(name) => (credential(name), format!("the credential {name}")),
        };
        let signed = secret.and_then(|secret| {
            sign(&secret, &id, timestamp, body.as_bytes()).map_err(|bad| format!("the secret in {shown} {bad}"))
        });
        let Signatures { standard, hub } = match signed {
            Ok(signed) => signed,
            Err(error) => return hopeless(error),
        };
        request = request.header("webhook-signature", standard).header("x-hub-signature-256", hub);
    }
    match request.body(body).send().await {
        Ok(answer) => {
            let status = answer.status();
            let asked = answer.headers().get(RETRY_AFTER).and_then(|asked| when(asked.to_str().ok()?));
            let error = (!status.is_success()).then(|| refusal(status));
            Answer { url: words, status: Some(status.as_u16()), error, asked, hopeless: false }
        }
        Err(error) if is_denied(&error) => hopeless(failure(&error)),
        Err(error) => Answer { url: words, error: Some(failure(&error)), ..Answer::default() },
    }
}

/// The same for all tries of a delivery: who gets it twice knows it by this.
fn message_id(OutboxDelivery { snapshot, seq, position, .. }: &OutboxDelivery) -> String {
    format!("msg_{}_{seq}_{position}", snapshot.id)
}

fn body(delivery: &OutboxDelivery, public_url: Option<&str>) -> String {
    let OutboxDelivery { event, snapshot: run, attempt, title, .. } = delivery;
    let url = public_url.map(|server| format!("{server}/runs/{}", run.id));
    let title = if title.is_empty() { &run.pipeline } else { title };
    let text = summary(title, run, url.as_deref());
    let payload = Payload { event, run, attempt: *attempt, status: run.status, url: url.as_deref(), text };
    // Maps with text keys, numbers and texts: never refused.
    serde_json::to_string(&payload).unwrap_or_default()
}

/// The server's variable of this name.
fn variable(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(value.trim().to_owned()),
        Ok(_) | Err(std::env::VarError::NotPresent) => {
            Err(format!("the server has no variable ${name}: set it where the server is started"))
        }
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the server's variable ${name} is no text")),
    }
}

/// The text in this file.
fn file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    // So small that it holds nobody up.
    let bytes = files::read(path, LONGEST).map_err(|error| format!("the file {shown} cannot be read: {error}"))?;
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() && bytes.len() as u64 <= LONGEST => Ok(text.to_owned()),
        _ => Err(format!("the file {shown} is empty, larger than 64 KiB, or no text")),
    }
}

/// The text in the credential of this name.
fn credential(name: &str) -> Result<String, String> {
    let path = files::credential(name).map_err(|error| format!("the credential {name} is not there: {error}"))?;
    file(&path)
}

/// The address, or why it is none, without it.
fn parse(receiver: &crate::model::NotifyTarget, address: &str) -> Result<Url, String> {
    let what = match &receiver.to {
        ReceiverAddress::Url(_) => "its address".to_owned(),
        ReceiverAddress::UrlEnv(name) => format!("the address in ${name}"),
        ReceiverAddress::UrlFile(path) => format!("the address in {}", path.display()),
        ReceiverAddress::UrlCredential(name) => format!("the address in the credential {name}"),
    };
    check_address(address).map_err(|reason| format!("{what} {reason}"))?;
    Url::parse(address).map_err(|error| format!("{what} cannot be used: {error}"))
}

/// `Retry-After`, in milliseconds: seconds, or a date. At most an hour.
fn when(header: &str) -> Option<u64> {
    retry_after(header).or_else(|| {
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header.trim()).ok()?;
        let wait = at.as_millisecond().saturating_sub(Timestamp::now().0);
        Some(u64::try_from(wait).unwrap_or_default().min(3_600_000))
    })
}

fn refusal(status: reqwest::StatusCode) -> String {
    let word = status.canonical_reason().map(|word| format!(" {word}")).unwrap_or_default();
    if status.is_redirection() {
        return format!("it answered {}{word}: redirects are not followed; name the address itself", status.as_u16());
    }
    format!("it answered {}{word}", status.as_u16())
}

/// Whether its name led where notifications may not go.
fn is_denied(error: &reqwest::Error) -> bool {
    let inner = std::iter::successors(error.source(), |error| (*error).source());
    inner.into_iter().any(|error| error.is::<Denied>())
}

/// Why there was no answer, by its innermost reason: the outer ones repeat the address.
fn failure(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("it did not answer within {} s", LIMIT.as_secs());
    }
    let mut reason = error.source();
    while let Some(inner) = reason.and_then(std::error::Error::source) {
        reason = Some(inner);
    }
    let reason = reason.map_or_else(|| "the request could not be made".to_owned(), ToString::to_string);
    if error.is_connect() { format!("it cannot be reached: {reason}") } else { format!("it did not answer: {reason}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_says_when_in_seconds_or_by_a_date() {
        assert_eq!(when("7"), Some(7_000));
        assert_eq!(when("999999"), Some(3_600_000));
        assert_eq!(when("Sat, 21 Nov 1998 10:00:00 GMT"), Some(0));
        assert_eq!(when("Sat, 21 Nov 2099 10:00:00 GMT"), Some(3_600_000));
        assert_eq!(when("soon"), None);
    }
}
