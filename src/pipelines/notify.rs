//! A receiver of notifications in a pipeline file: what it may say, and the first fault with its place otherwise.

use serde::Deserialize;
use toml::Spanned;

use super::file::{Refusal, is_made_of, refuse};
use super::phase::OWN;
use super::secrets::{check_credential, check_secret_file};
use crate::model::hook::SecretLocation;
use crate::model::notify::{NotifyEvent, NotifyTarget, ReceiverAddress};

/// The most receivers of a pipeline.
const MOST: usize = 10;

/// A receiver as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNotify {
    url: Option<Spanned<String>>,
    url_env: Option<Spanned<String>>,
    url_file: Option<Spanned<String>>,
    url_credential: Option<Spanned<String>>,
    secret_env: Option<Spanned<String>>,
    secret_file: Option<Spanned<String>>,
    secret_credential: Option<Spanned<String>>,
    on: Option<Spanned<Vec<Spanned<String>>>>,
}

/// The receivers of a pipeline.
pub(super) fn check_receivers(given: Vec<Spanned<RawNotify>>) -> Result<Vec<NotifyTarget>, Refusal> {
    if let Some(one_more) = given.get(MOST) {
        return refuse(one_more, format!("A pipeline has at most {MOST} receivers of notifications."));
    }
    given.into_iter().map(RawNotify::check).collect()
}

impl RawNotify {
    fn check(raw: Spanned<Self>) -> Result<NotifyTarget, Refusal> {
        let header = Spanned::new(raw.span(), ());
        let raw = raw.into_inner();
        let to = match (raw.url, raw.url_env, raw.url_file, raw.url_credential) {
            (Some(url), None, None, None) => ReceiverAddress::Url(check_url(url)?),
            (None, Some(name), None, None) => ReceiverAddress::UrlEnv(check_variable(name)?),
            (None, None, Some(file), None) => ReceiverAddress::UrlFile(check_secret_file(file)?),
            (None, None, None, Some(name)) => ReceiverAddress::UrlCredential(check_credential(name)?),
            (None, None, None, None) => {
                return refuse(
                    &header,
                    "A receiver needs `url`, or `url_env` with the name of a variable that has it (or `url_file`, `url_credential`).",
                );
            }
            (_, Some(other), _, _) | (_, None, Some(other), _) | (_, None, None, Some(other)) => {
                return refuse(&other, "A receiver has one of `url`, `url_env`, `url_file` and `url_credential`.");
            }
        };
        let secret = match (raw.secret_env, raw.secret_file, raw.secret_credential) {
            (None, None, None) => None,
            (Some(name), None, None) => Some(SecretLocation::Env(check_variable(name)?)),
            (None, Some(file), None) => Some(SecretLocation::File(check_secret_file(file)?)),
            (None, None, Some(name)) => Some(SecretLocation::Credential(check_credential(name)?)),
            (_, Some(other), _) | (_, None, Some(other)) => {
                return refuse(&other, "A receiver has one of `secret_env`, `secret_file` and `secret_credential`.");
            }
        };
        let on = raw.on.map(check_occasions).transpose()?.unwrap_or_default();
        Ok(NotifyTarget { to, secret, on })
    }
}

/// What is wrong with it is said without it: it may hold a secret.
fn check_url(url: Spanned<String>) -> Result<String, Refusal> {
    if let Err(reason) = crate::model::notify::check_address(url.get_ref()) {
        return refuse(&url, format!("`url` {reason}."));
    }
    if let Err(error) = reqwest::Url::parse(url.get_ref()) {
        return refuse(&url, format!("`url` cannot be used: {error}."));
    }
    Ok(url.into_inner())
}

fn check_variable(name: Spanned<String>) -> Result<String, Refusal> {
    let starts_well = name.get_ref().starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !is_made_of(name.get_ref(), |c| c.is_ascii_alphanumeric() || c == '_') {
        return refuse(
            &name,
            "This is the name of a variable of the server's (letters, digits and `_`), never the secret itself.",
        );
    }
    if name.get_ref().starts_with(OWN) {
        return refuse(&name, format!("Variables that begin with `{OWN}` are the server's own. Choose another name."));
    }
    Ok(name.into_inner())
}

fn check_occasions(given: Spanned<Vec<Spanned<String>>>) -> Result<Vec<NotifyEvent>, Refusal> {
    let words = || NotifyEvent::ALL.map(NotifyEvent::as_str).join(", ");
    if given.get_ref().is_empty() {
        return refuse(
            &given,
            "`on` is empty: the receiver would be told of nothing. Leave it out for every end of a run.",
        );
    }
    let mut on = Vec::new();
    for word in given.into_inner() {
        let known = NotifyEvent::ALL.into_iter().find(|occasion| occasion.as_str() == word.get_ref());
        let Some(occasion) = known else {
            return refuse(&word, format!("`on` lists some of: {}.", words()));
        };
        if on.contains(&occasion) {
            return refuse(&word, format!("`{}` is there twice.", occasion.as_str()));
        }
        on.push(occasion);
    }
    Ok(on)
}
