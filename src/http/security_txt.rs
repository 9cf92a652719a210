//! `/.well-known/security.txt` (RFC 9116): where to report security issues of this installation.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::model::{Problem, ProblemCode, Timestamp};

/// RFC 9116, section 3.
pub const PATH: &str = "/.well-known/security.txt";

/// How long the file is valid: less than the year that RFC 9116, section 2.5.5 recommends as the maximum.
const VALID_FOR_MS: i64 = 180 * 24 * 60 * 60 * 1000;

/// The route. Without contacts it answers 404.
pub fn routes(contacts: Vec<String>, public_url: Option<String>) -> Router {
    let respond = async move || -> Response {
        if contacts.is_empty() {
            return Problem::new(ProblemCode::NotFound, "This server names no contact; see --security-contact.")
                .into_response();
        }
        let text = write(&contacts, public_url.as_deref(), Timestamp::now());
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    };
    Router::new().route(PATH, get(respond))
}

fn write(contacts: &[String], public_url: Option<&str>, now: Timestamp) -> String {
    let mut text: String = contacts.iter().map(|contact| format!("Contact: {contact}\n")).collect();
    text += &format!("Expires: {}\n", Timestamp(now.0 + VALID_FOR_MS));
    if let Some(url) = public_url {
        text += &format!("Canonical: {url}{PATH}\n");
    }
    text
}

/// Checks that a contact is an https, mailto or tel URI (RFC 9116, section 2.5.3).
///
/// # Errors
/// The message for the command line.
pub fn parse_contact(text: &str) -> Result<String, String> {
    let has_rest = |scheme: &str| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty());
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    match ["https://", "mailto:", "tel:"].into_iter().any(has_rest) && is_plain {
        true => Ok(text.to_owned()),
        false => Err("must be an address such as mailto:security@example.com or https://example.com/report".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_txt_has_contacts_and_expiry() {
        let contacts = ["mailto:security@example.com".to_owned(), "https://example.com/report".to_owned()];
        assert_eq!(
            write(&contacts, Some("https://runs.example/rt"), Timestamp(0)),
            "Contact: mailto:security@example.com\nContact: https://example.com/report\n\
             Expires: 1970-06-30T00:00:00.000Z\nCanonical: https://runs.example/rt/.well-known/security.txt\n"
        );
    }

    #[test]
    fn security_contact_is_a_uri() {
        for good in ["mailto:a@b", "https://a/b", "tel:+1-201-555-0123"] {
            assert_eq!(parse_contact(good).as_deref(), Ok(good));
        }
        for bad in ["", "security@example.com", "http://a", "mailto:", "https://a\nb", "javascript:alert(1)"] {
            assert!(parse_contact(bad).is_err(), "{bad}");
        }
    }
}
