//! What a delivery says: JSON, or a form whose field `payload` is JSON, which GitHub sends if it is told to
//! (docs.github.com, "Creating webhooks", "Content type").

use serde_json::Value;

/// The payload cannot be read, for this reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The body is no payload: {0}.")]
pub struct BadPayload(String);

/// Reads a body of this media type.
///
/// # Errors
/// [`BadPayload`]: it is no JSON, or a form without it.
pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Value, BadPayload> {
    let kind = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return json(body);
    }
    let field = form_urlencoded::parse(body).find(|(name, _)| name == "payload");
    let (_, text) = field.ok_or_else(|| BadPayload("the form has no field `payload`".to_owned()))?;
    json(text.as_bytes())
}

fn json(text: &[u8]) -> Result<Value, BadPayload> {
    serde_json::from_slice(text).map_err(|error| BadPayload(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_is_json_or_in_a_form() {
        const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(read(Some("application/json"), b"{\"a\": 1}"), Ok(json!({"a": 1})));
        assert_eq!(read(None, b"[]"), Ok(json!([])));
        assert_eq!(read(FORM, b"x=1&payload=%7B%22a%22%3A+%22b%2Bc%22%7D"), Ok(json!({"a": "b+c"})));
        for (kind, body) in
            [(None, &b""[..]), (None, b"payload=%7B%7D"), (FORM, b"{}"), (FORM, b"payload={"), (None, b"\xff")]
        {
            assert!(read(kind, body).is_err(), "{kind:?} {body:?}");
        }
        // Deep enough to overflow the stack of whoever follows it down.
        assert!(read(None, "[".repeat(1_000_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(form in any::<bool>(), body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(form.then_some("application/x-www-form-urlencoded"), &body);
        }
    }
}
