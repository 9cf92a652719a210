//! Notifications out: whom a pipeline tells of its runs, of what, in which words, and when a delivery is tried again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::hook::SecretLocation;
use super::{FinalStatus, Run, Status};

/// How often a delivery is tried at the most.
pub const MAX_DELIVERY_ATTEMPTS: u32 = 8;

/// The waits between the tries, in milliseconds: close together at first, since most receivers are back at once, and three hours
/// and a half in all.
const RETRY_DELAYS_MS: [u64; MAX_DELIVERY_ATTEMPTS as usize - 1] =
    [2_000, 10_000, 60_000, 300_000, 1_200_000, 3_600_000, 7_200_000];

/// How many characters of the reason are in the sentence.
const MAX_REASON_CHARS: usize = 300;

/// A receiver (`[[notify]]` in a pipeline file).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyTarget {
    /// Where it is.
    #[serde(flatten)]
    pub to: ReceiverAddress,
    /// Where the server finds the secret by which deliveries are signed. Never the secret itself.
    #[serde(flatten)]
    pub secret: Option<SecretLocation>,
    /// What it is told of; every end of an attempt, if nothing is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<NotifyEvent>,
}

/// Where a receiver is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverAddress {
    /// There.
    Url(String),
    /// Where this variable of the server's says: many chat systems put the secret into the address.
    UrlEnv(String),
    /// Where this file says.
    UrlFile(PathBuf),
    /// Where the credential of this name says.
    UrlCredential(String),
}

/// What a receiver may be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyEvent {
    /// The run completed.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled, or rejected.
    Cancelled,
    /// Its worker or its server went away, and it does not go on by itself.
    Interrupted,
    /// It asks a person.
    Waiting,
}

impl NotifyEvent {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Completed, Self::Failed, Self::Cancelled, Self::Interrupted, Self::Waiting];

    /// The end of an attempt.
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

    /// What the delivery calls it.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Waiting => "run.waiting",
            Self::Completed | Self::Failed | Self::Cancelled | Self::Interrupted => "run.finished",
        }
    }
}

impl NotifyTarget {
    /// Whether this receiver is told of it.
    pub fn subscribes_to(&self, occasion: NotifyEvent) -> bool {
        if self.on.is_empty() { occasion != NotifyEvent::Waiting } else { self.on.contains(&occasion) }
    }

    /// The same without what may be a secret.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let to = match &self.to {
            ReceiverAddress::Url(url) => ReceiverAddress::Url(redact_url(url)),
            elsewhere => elsewhere.clone(),
        };
        Self { to, ..self.clone() }
    }

    /// The receiver in a few words, without what may be a secret. `url` is the address, if it is known.
    pub fn display_name(&self, url: Option<&str>) -> String {
        match (&self.to, url) {
            (ReceiverAddress::Url(url), _) => redact_url(url),
            // Its path is the secret.
            (_, Some(url)) => format!("{}/…", scheme_and_host(url)),
            (ReceiverAddress::UrlEnv(name), None) => format!("${name}"),
            (ReceiverAddress::UrlFile(path), None) => path.display().to_string(),
            (ReceiverAddress::UrlCredential(name), None) => format!("the credential {name}"),
        }
    }

    /// The variables that hold secrets of this receiver's.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let address = match &self.to {
            ReceiverAddress::UrlEnv(name) => Some(name.as_str()),
            ReceiverAddress::Url(_) | ReceiverAddress::UrlFile(_) | ReceiverAddress::UrlCredential(_) => None,
        };
        address.into_iter().chain(self.secret.as_ref().and_then(SecretLocation::variable))
    }
}

/// Scheme, host and port, without name and password.
fn scheme_and_host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// An address as everybody may see it: scheme, host and port. What follows may be a secret, as in those of many chat systems.
pub fn redact_url(url: &str) -> String {
    let host = scheme_and_host(url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let has_more = rest.find(['/', '?', '#', '\\']).is_some_and(|at| rest.len() > at + 1);
    if has_more { format!("{host}/…") } else { host }
}

/// Whether deliveries can be sent there. Why not is said without the address.
///
/// # Errors
/// What is wrong, to be put behind its name.
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

/// What follows from a receiver's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// It has it.
    Delivered,
    /// It may take it later.
    Retry,
    /// It will not take it.
    GiveUp,
}

impl DeliveryOutcome {
    /// What follows from an answer with this status; from none, if there is no status.
    pub const fn from_http_status(status: Option<u16>) -> Self {
        match status {
            Some(200..=299) => Self::Delivered,
            None | Some(408 | 425 | 429 | 500..=599) => Self::Retry,
            Some(_) => Self::GiveUp,
        }
    }
}

/// How long to wait after so many tries, in milliseconds: spread by a fifth to both sides (`random` is 0 to 1), so that what failed
/// together does not come back together, and at least as long as the receiver asked for. `None` if there is no further one.
pub fn retry_delay_ms(tries: u32, random: f64, asked: u64) -> Option<u64> {
    let wait = *RETRY_DELAYS_MS.get(usize::try_from(tries.checked_sub(1)?).ok()?)?;
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    Some(((wait as f64 * (0.8 + 0.4 * random)) as u64).max(asked))
}

/// What is told, as a sentence for a chat. Nothing in it is a command to the chat, whatever a run has reported.
pub fn summary(title: &str, run: &Run, url: Option<&str>) -> String {
    let mut text = match &run.approval {
        Some(asked) => format!("{title} waits for a person: {}", one_line(&asked.question)),
        None => {
            let took = run.started_at.zip(run.finished_at).map(|(from, to)| to.since(from) / 1000);
            let took = took.map(|seconds| format!(" after {}", duration(seconds))).unwrap_or_default();
            let reason = run.error.as_deref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
            format!("{title} {}{}{reason}", status_text(run.status), took)
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
        Status::Pending => "waits for a worker",
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

/// Slack takes `<!channel>` for a call to everybody, and others `@all`.
fn escape_mentions(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{200b}")
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
