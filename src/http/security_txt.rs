//! `/.well-known/security.txt` (RFC 9116): where to report a fault in the security of this installation.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::model::{Problem, ProblemCode, Timestamp};

/// Where the file is (RFC 9116, section 3).
pub const PATH: &str = "/.well-known/security.txt";

/// How long what the file says is current, in milliseconds: well under the year of RFC 9116, section 2.5.5.
const CURRENT_MS: i64 = 180 * 24 * 60 * 60 * 1000;

/// The file with these contacts, each a URI. Without any there is no file.
pub fn routes(contacts: Vec<String>, public_url: Option<String>) -> Router {
    let answer = async move || -> Response {
        if contacts.is_empty() {
            return Problem::new(ProblemCode::NotFound, "This server names no contact; see --security-contact.")
                .into_response();
        }
        let text = write(&contacts, public_url.as_deref(), Timestamp::now());
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    };
    Router::new().route(PATH, get(answer))
}

fn write(contacts: &[String], public_url: Option<&str>, now: Timestamp) -> String {
    let mut text: String = contacts.iter().map(|contact| format!("Contact: {contact}\n")).collect();
    text += &format!("Expires: {}\n", Timestamp(now.0 + CURRENT_MS));
    if let Some(url) = public_url {
        text += &format!("Canonical: {url}{PATH}\n");
    }
    text
}

/// A contact as RFC 9116, section 2.5.3 wants it: an address of the web, of mail, or a telephone number.
///
/// # Errors
/// It is none of these; the text says what to write.
pub fn contact(text: &str) -> Result<String, String> {
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
    fn file_names_contacts_and_when_it_expires() {
        let contacts = ["mailto:security@example.com".to_owned(), "https://example.com/report".to_owned()];
        assert_eq!(
            write(&contacts, Some("https://runs.example/rt"), Timestamp(0)),
            "Contact: mailto:security@example.com\nContact: https://example.com/report\n\
             Expires: 1970-06-30T00:00:00.000Z\nCanonical: https://runs.example/rt/.well-known/security.txt\n"
        );
    }

    #[test]
    fn contact_is_a_uri() {
        for good in ["mailto:a@b", "https://a/b", "tel:+1-201-555-0123"] {
            assert_eq!(contact(good).as_deref(), Ok(good));
        }
        for bad in ["", "security@example.com", "http://a", "mailto:", "https://a\nb", "javascript:alert(1)"] {
            assert!(contact(bad).is_err(), "{bad}");
        }
    }
}
