//! JSON Pointers, which conditions and parameters of hooks use.

/// Whether the text is a JSON Pointer (RFC 6901, section 3).
pub fn is_json_pointer(text: &str) -> bool {
    let escapes = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.is_empty() || (text.starts_with('/') && escapes(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_pointer_follows_rfc_6901() {
        for good in ["", "/", "/ref", "/a~1b/m~0n/0", "/ ", "/a\"b", "//"] {
            assert!(is_json_pointer(good), "{good}");
        }
        for bad in ["ref", "#/ref", "/a~", "/a~2b", "$.ref", " /ref"] {
            assert!(!is_json_pointer(bad), "{bad}");
        }
    }
}
