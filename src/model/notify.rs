//! Notifications: receivers, events, the message, and when a failed delivery is retried.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::hook::SecretLocation;
use super::run::Run;
use super::status::{FinalStatus, Status};

pub const MAX_DELIVERY_ATTEMPTS: u32 = 8;

/// The delays before each retry: short at first, since most receivers are back soon, and three and a half hours in
/// all.
const RETRY_DELAYS_MS: [u64; MAX_DELIVERY_ATTEMPTS as usize - 1] =
    [2_000, 10_000, 60_000, 300_000, 1_200_000, 3_600_000, 7_200_000];

/// The question or error in the message is cut to this length.
const MAX_REASON_CHARS: usize = 300;

/// A receiver of notifications (`[[notify]]` in a pipeline file).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyTarget {
    #[serde(flatten)]
    pub to: ReceiverAddress,
    /// Where the server reads the secret that signs deliveries. Never the secret itself.
    #[serde(flatten)]
    pub secret: Option<SecretLocation>,
    /// The events that it receives; if empty, every end of an attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<NotifyEvent>,
}

/// Where the server finds a receiver's URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverAddress {
    /// In the pipeline file.
    Url(String),
    /// In an environment variable of the server: many chat systems put the secret into the URL.
    UrlEnv(String),
    /// In a file.
    UrlFile(PathBuf),
    /// In a systemd credential.
    UrlCredential(String),
}

/// An event that a receiver can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyEvent {
    Completed,
    Failed,
    /// Cancelled, or rejected at an approval.
    Cancelled,
    /// Interrupted, and not resumed automatically.
    Interrupted,
    /// The run waits for approval.
    Waiting,
}

impl NotifyEvent {
    pub const ALL: [Self; 5] = [Self::Completed, Self::Failed, Self::Cancelled, Self::Interrupted, Self::Waiting];

    /// The event of an attempt that ended so.
    pub const fn from_final_status(end: FinalStatus) -> Self {
        match end {
            FinalStatus::Completed => Self::Completed,
            FinalStatus::Failed => Self::Failed,
            FinalStatus::Cancelled => Self::Cancelled,
            FinalStatus::Interrupted => Self::Interrupted,
        }
    }

    /// The word in a pipeline file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Waiting => "waiting",
        }
    }

    /// The event's name in the delivery.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Waiting => "run.waiting",
            Self::Completed | Self::Failed | Self::Cancelled | Self::Interrupted => "run.finished",
        }
    }
}

impl NotifyTarget {
    /// Whether this receiver gets the event.
    pub fn subscribes_to(&self, occasion: NotifyEvent) -> bool {
        if self.on.is_empty() { occasion != NotifyEvent::Waiting } else { self.on.contains(&occasion) }
    }

    /// A copy without secrets, which everybody may see.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let to = match &self.to {
            ReceiverAddress::Url(url) => ReceiverAddress::Url(redact_url(url)),
            elsewhere => elsewhere.clone(),
        };
        Self { to, ..self.clone() }
    }

    /// A short description without secrets. `url` is the receiver's URL, if known.
    pub fn display_name(&self, url: Option<&str>) -> String {
        match (&self.to, url) {
            (ReceiverAddress::Url(url), _) => redact_url(url),
            // The path may be the secret.
            (_, Some(url)) => format!("{}/…", scheme_and_host(url)),
            (ReceiverAddress::UrlEnv(name), None) => format!("${name}"),
            (ReceiverAddress::UrlFile(path), None) => path.display().to_string(),
            (ReceiverAddress::UrlCredential(name), None) => format!("the credential {name}"),
        }
    }

    /// The environment variables that hold secrets of this receiver.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let address = match &self.to {
            ReceiverAddress::UrlEnv(name) => Some(name.as_str()),
            ReceiverAddress::Url(_) | ReceiverAddress::UrlFile(_) | ReceiverAddress::UrlCredential(_) => None,
        };
        address.into_iter().chain(self.secret.as_ref().and_then(SecretLocation::variable))
    }
}

/// Scheme, host and port, without user and password.
fn scheme_and_host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// A URL as everybody may see it: scheme, host and port. The rest may be a secret, as in many chat systems.
pub fn redact_url(url: &str) -> String {
    let host = scheme_and_host(url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let has_more = rest.find(['/', '?', '#', '\\']).is_some_and(|at| rest.len() > at + 1);
    if has_more { format!("{host}/…") } else { host }
}

/// Checks that deliveries can be sent to a URL. The reason does not repeat it, since it may be a secret.
///
/// # Errors
/// The reason, to follow the name of the setting.
pub fn check_address(url: &str) -> Result<(), &'static str> {
    let Some(("http" | "https", rest)) = url.split_once("://") else {
        return Err("begins with neither http:// nor https://");
    };
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("has a blank or a control character in it");
    }
    let host = scheme_and_host(url);
    let host = host.rsplit_once("://").map_or("", |(_, host)| host);
    if host.is_empty() || host.starts_with(':') || rest.starts_with('/') {
        return Err("names no host");
    }
    Ok(())
}

/// What to do after a delivery attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Delivered,
    /// It failed and is retried later.
    Retry,
    /// It failed for good.
    GiveUp,
}

impl DeliveryOutcome {
    /// Judges the receiver's HTTP status; `None` if it did not answer.
    pub const fn from_http_status(status: Option<u16>) -> Self {
        match status {
            Some(200..=299) => Self::Delivered,
            None | Some(408 | 425 | 429 | 500..=599) => Self::Retry,
            Some(_) => Self::GiveUp,
        }
    }
}

/// The delay before the next attempt after `tries` attempts, in milliseconds; `None` after the last one. A jitter of 20
/// % (`random` is 0 to 1) spreads deliveries that failed together, and the receiver's `retry_after_ms` is the minimum.
pub fn retry_delay_ms(tries: u32, random: f64, retry_after_ms: u64) -> Option<u64> {
    let wait = *RETRY_DELAYS_MS.get(usize::try_from(tries.checked_sub(1)?).ok()?)?;
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    Some(((wait as f64 * (0.8 + 0.4 * random)) as u64).max(retry_after_ms))
}

/// The message for a chat. It is escaped, so that nothing a run reports can mention anybody.
pub fn summary(title: &str, run: &Run, url: Option<&str>) -> String {
    let mut text = match &run.approval {
        Some(request) => format!("{title} needs approval: {}", one_line(&request.question)),
        None => {
            let elapsed = run.started_at.zip(run.finished_at).map(|(from, to)| to.since(from) / 1000);
            let elapsed = elapsed.map(|seconds| format!(" after {}", duration(seconds))).unwrap_or_default();
            let reason = run.error.as_deref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
            format!("{title} {}{}{reason}", status_text(run.status), elapsed)
        }
    };
    if run.attempt > 1 {
        text.push_str(&format!(" (attempt {})", run.attempt));
    }
    let mut text = escape_mentions(&text);
    if let Some(url) = url {
        text.push_str(&format!(" {url}"));
    }
    text
}

const fn status_text(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Cancelled => "was cancelled",
        Status::Interrupted => "was interrupted",
        Status::Pending => "is queued",
        Status::Running => "runs",
    }
}

fn one_line(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_REASON_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// Slack treats `<!channel>` as a mention of everybody, other systems `@all`.
fn escape_mentions(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{200b}")
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
