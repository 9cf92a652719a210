//! Why a pipeline file is refused and where, and the checks that several keys share.

use toml::{Spanned, Value};

use super::unknown_key::describe_unknown_key;

/// The longest argument that Linux passes to a command (`MAX_ARG_STRLEN`), without its final NUL.
pub(super) const MAX_RUN_BYTES: usize = 128 * 1024 - 1;

/// Variables whose names begin with this belong to the server.
pub(super) const SERVER_PREFIX: &str = "RUNTRAIL_";

/// Why a file is refused, and the offset in bytes of the fault.
#[derive(Debug)]
pub(super) struct Refusal {
    pub at: usize,
    pub reason: String,
}

impl Refusal {
    pub fn from_toml(prefix: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        if let Some(reason) = describe_unknown_key(error.message()) {
            return Self { at, reason };
        }
        let message = error.message().trim().replace('\n', " ");
        let mut reason = format!("{prefix}{message}");
        if let Some(first) = reason.get(..1).map(str::to_uppercase) {
            reason.replace_range(..1, &first);
        }
        if !reason.ends_with('.') {
            reason.push('.');
        }
        Self { at, reason }
    }
}

/// Refuses the file because of this value.
pub(super) fn refuse<T, R>(value: &Spanned<T>, reason: impl Into<String>) -> Result<R, Refusal> {
    Err(Refusal { at: value.span().start, reason: reason.into() })
}

/// Whether a text is not empty and has only allowed characters.
pub(super) fn is_made_of(text: &str, is_allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is_allowed)
}

/// Whether a text can be the name of a phase, linter or check.
pub(super) fn is_item_name(text: &str) -> bool {
    is_made_of(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// Whether a text can be the name of an environment variable.
pub(super) fn is_variable_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && is_made_of(text, |c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads a time limit, in milliseconds.
pub(super) fn check_timeout(timeout: &Spanned<Value>) -> Result<u64, Refusal> {
    match check_duration("timeout", timeout, "10m")? {
        0 => refuse(timeout, "`timeout` is at least 1ms. Leave it out for a phase without one."),
        milliseconds => Ok(milliseconds),
    }
}

/// Reads the duration of the key `name`, in milliseconds. `example` is for the error message.
pub(super) fn check_duration(name: &str, value: &Spanned<Value>, example: &str) -> Result<u64, Refusal> {
    let Value::String(text) = value.get_ref() else {
        return refuse(value, format!("`{name}` is a duration in quotes, such as \"{example}\" or \"1h 30m\"."));
    };
    let duration = match humantime::parse_duration(text) {
        Ok(duration) => duration,
        Err(error) => {
            return refuse(value, format!("`{name}` is a duration such as \"{example}\" or \"1h 30m\": {error}."));
        }
    };
    match u64::try_from(duration.as_millis()) {
        Ok(milliseconds) => Ok(milliseconds),
        Err(_) => refuse(value, format!("`{name}` is too long. Leave it out if there is to be none.")),
    }
}
