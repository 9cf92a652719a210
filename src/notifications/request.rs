//! Builds and sends the request of a notification, and reads the response.
//!
//! Neither the full address nor the body of the response gets into a journal or a log: both may contain secrets. The
//! body is not read, and redirects are not followed, since they could lead anywhere in the operator's network.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Proxy, Url, redirect};
use serde::Serialize;

use super::egress::{Egress, EgressDenied, EgressResolver};
use super::signature::{Signatures, sign};
use crate::model::backoff::retry_after;
use crate::model::hook::SecretLocation;
use crate::model::notify::{ReceiverAddress, check_address, summary};
use crate::model::{Run, Status, Timestamp};
use crate::secrets::files;
use crate::store::OutboxDelivery;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The client of all sends. Connections are not pooled: the next request to a receiver comes much later.
///
/// # Errors
/// The certificates of the system cannot be used.
pub(super) fn client(egress: &Arc<Egress>) -> Result<Client, reqwest::Error> {
    // HTTP_PROXY and the like are for commands; the proxy of notifications is an option of the server.
    let builder = Client::builder().no_proxy().dns_resolver(Arc::new(EgressResolver(Arc::clone(egress))));
    let builder = match &egress.proxy {
        Some(proxy) => builder.proxy(Proxy::all(proxy.clone())?),
        None => builder,
    };
    builder
        .user_agent(concat!("runtrail/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(REQUEST_TIMEOUT)
        .build()
}

/// The largest file that contains an address or a secret.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The outcome of one send.
#[derive(Debug, Default)]
pub(super) struct SendReport {
    /// The receiver's address without the parts that may be secret.
    pub url: String,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// Why the notification was not delivered.
    pub error: Option<String>,
    /// The `Retry-After` of the response.
    pub retry_after_ms: Option<u64>,
    /// The request could not be made; retries would fail too.
    pub is_final: bool,
}

/// The JSON body of a notification.
#[derive(Serialize)]
struct NotificationBody<'a> {
    event: &'a str,
    run: &'a Run,
    attempt: u32,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    text: String,
}

/// Sends a notification once.
pub(super) async fn post(
    client: &Client,
    egress: &Egress,
    delivery: &OutboxDelivery,
    public_url: Option<&str>,
) -> SendReport {
    let receiver = &delivery.receiver;
    let address = match &receiver.to {
        ReceiverAddress::Url(url) => Ok(url.clone()),
        ReceiverAddress::UrlEnv(name) => read_variable(name),
        ReceiverAddress::UrlFile(path) => read_file(path),
        ReceiverAddress::UrlCredential(name) => read_credential(name),
    };
    let parsed = address.and_then(|address| parse_address(receiver, &address));
    let shown_url = receiver.display_name(parsed.as_ref().ok().map(Url::as_str));
    let final_error =
        |error| SendReport { url: shown_url.clone(), error: Some(error), is_final: true, ..SendReport::default() };
    let address = match parsed {
        Ok(address) => address,
        Err(error) => return final_error(error),
    };
    if let Err(denied) = egress.check(&address) {
        return final_error(denied.to_string());
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
            SecretLocation::Env(name) => (read_variable(name), format!("${name}")),
            SecretLocation::File(path) => (read_file(path), path.display().to_string()),
            SecretLocation::Credential(name) => (read_credential(name), format!("the credential {name}")),
        };
        let signed = secret.and_then(|secret| {
            sign(&secret, &id, timestamp, body.as_bytes()).map_err(|bad| format!("the secret in {shown} {bad}"))
        });
        let Signatures { standard, hub } = match signed {
            Ok(signed) => signed,
            Err(error) => return final_error(error),
        };
        request = request.header("webhook-signature", standard).header("x-hub-signature-256", hub);
    }
    match request.body(body).send().await {
        Ok(response) => {
            let status = response.status();
            let retry_after_ms =
                response.headers().get(RETRY_AFTER).and_then(|after| parse_retry_after(after.to_str().ok()?));
            let error = (!status.is_success()).then(|| status_error(status));
            SendReport { url: shown_url, status: Some(status.as_u16()), error, retry_after_ms, is_final: false }
        }
        Err(error) if is_denied(&error) => final_error(failure(&error)),
        Err(error) => SendReport { url: shown_url, error: Some(failure(&error)), ..SendReport::default() },
    }
}

/// The `webhook-id`: the same for all sends of a notification, so a receiver recognizes a repeated one.
fn message_id(OutboxDelivery { snapshot, seq, position, .. }: &OutboxDelivery) -> String {
    format!("msg_{}_{seq}_{position}", snapshot.id)
}

fn body(delivery: &OutboxDelivery, public_url: Option<&str>) -> String {
    let OutboxDelivery { event, snapshot: run, attempt, title, .. } = delivery;
    let url = public_url.map(|server| format!("{server}/runs/{}", run.id));
    let title = if title.is_empty() { &run.pipeline } else { title };
    let text = summary(title, run, url.as_deref());
    let body = NotificationBody { event, run, attempt: *attempt, status: run.status, url: url.as_deref(), text };
    // Serializing maps with string keys, numbers and strings cannot fail.
    serde_json::to_string(&body).unwrap_or_default()
}

/// The value of an environment variable of the server.
fn read_variable(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(value.trim().to_owned()),
        Ok(_) | Err(std::env::VarError::NotPresent) => {
            Err(format!("the server has no variable ${name}: set it where the server is started"))
        }
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the server's variable ${name} is no text")),
    }
}

/// The text of a file.
fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    // Too small to block for long.
    let bytes =
        files::read(path, MAX_FILE_BYTES).map_err(|error| format!("the file {shown} cannot be read: {error}"))?;
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() && bytes.len() as u64 <= MAX_FILE_BYTES => Ok(text.to_owned()),
        _ => Err(format!("the file {shown} is empty, larger than 64 KiB, or no text")),
    }
}

/// The text of a systemd credential.
fn read_credential(name: &str) -> Result<String, String> {
    let path = files::credential(name).map_err(|error| format!("the credential {name} is not there: {error}"))?;
    read_file(&path)
}

/// Parses the receiver's address. An error does not contain it.
fn parse_address(receiver: &crate::model::NotifyTarget, address: &str) -> Result<Url, String> {
    let what = match &receiver.to {
        ReceiverAddress::Url(_) => "its address".to_owned(),
        ReceiverAddress::UrlEnv(name) => format!("the address in ${name}"),
        ReceiverAddress::UrlFile(path) => format!("the address in {}", path.display()),
        ReceiverAddress::UrlCredential(name) => format!("the address in the credential {name}"),
    };
    check_address(address).map_err(|reason| format!("{what} {reason}"))?;
    Url::parse(address).map_err(|error| format!("{what} cannot be used: {error}"))
}

/// A `Retry-After` header, seconds or a date, in milliseconds: at most an hour.
fn parse_retry_after(header: &str) -> Option<u64> {
    retry_after(header).or_else(|| {
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header.trim()).ok()?;
        let wait = at.as_millisecond().saturating_sub(Timestamp::now().0);
        Some(u64::try_from(wait).unwrap_or_default().min(3_600_000))
    })
}

fn status_error(status: reqwest::StatusCode) -> String {
    let word = status.canonical_reason().map(|word| format!(" {word}")).unwrap_or_default();
    if status.is_redirection() {
        return format!("it answered {}{word}: redirects are not followed; name the address itself", status.as_u16());
    }
    format!("it answered {}{word}", status.as_u16())
}

/// Whether the receiver's name resolved to addresses that are not allowed.
fn is_denied(error: &reqwest::Error) -> bool {
    let inner = std::iter::successors(error.source(), |error| (*error).source());
    inner.into_iter().any(|error| error.is::<EgressDenied>())
}

/// Why there was no response: the innermost error, since the outer ones contain the address.
fn failure(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("it did not answer within {} s", REQUEST_TIMEOUT.as_secs());
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
    fn retry_after_header_is_seconds_or_a_date() {
        assert_eq!(parse_retry_after("7"), Some(7_000));
        assert_eq!(parse_retry_after("999999"), Some(3_600_000));
        assert_eq!(parse_retry_after("Sat, 21 Nov 1998 10:00:00 GMT"), Some(0));
        assert_eq!(parse_retry_after("Sat, 21 Nov 2099 10:00:00 GMT"), Some(3_600_000));
        assert_eq!(parse_retry_after("soon"), None);
    }
}
