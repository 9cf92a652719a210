//! Parses the body of a delivery: JSON, or a form with JSON in its field `payload`, which GitHub can be configured to
//! send (docs.github.com, "Creating webhooks", "Content type").

use serde_json::Value;

/// Why a payload cannot be parsed. The text is shown to the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The body is no payload: {0}.")]
pub struct PayloadError(String);

/// Parses a body of this media type.
///
/// # Errors
/// The body is neither JSON nor a form with JSON.
pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Value, PayloadError> {
    let kind = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return json(body);
    }
    let field = form_urlencoded::parse(body).find(|(name, _)| name == "payload");
    let (_, text) = field.ok_or_else(|| PayloadError("the form has no field `payload`".to_owned()))?;
    json(text.as_bytes())
}

fn json(text: &[u8]) -> Result<Value, PayloadError> {
    serde_json::from_slice(text).map_err(|error| PayloadError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn payload_is_json_or_a_form_field() {
        const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(read(Some("application/json"), b"{\"a\": 1}"), Ok(json!({"a": 1})));
        assert_eq!(read(None, b"[]"), Ok(json!([])));
        assert_eq!(read(FORM, b"x=1&payload=%7B%22a%22%3A+%22b%2Bc%22%7D"), Ok(json!({"a": "b+c"})));
        for (kind, body) in
            [(None, &b""[..]), (None, b"payload=%7B%7D"), (FORM, b"{}"), (FORM, b"payload={"), (None, b"\xff")]
        {
            assert!(read(kind, body).is_err(), "{kind:?} {body:?}");
        }
        // Deep enough to overflow the stack of a recursive reader.
        assert!(read(None, "[".repeat(1_000_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn payload_takes_any_bytes(form in any::<bool>(), body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(form.then_some("application/x-www-form-urlencoded"), &body);
        }
    }
}
