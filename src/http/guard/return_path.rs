//! The path that a login leads to: the parameter `next`, which must not lead to another site. Pure.

/// No page of this server has a longer path.
const MAX_PATH_BYTES: usize = 2048;

/// `next` if it is a path of this server, else `/`.
///
/// By the URL standard browsers read `//evil`, `/\evil` and `/<tab>/evil` as another host. So the path must begin with
/// exactly one slash and contain no backslash, no control character, and nothing that a `Location` header cannot carry.
pub fn local_path(next: &str) -> &str {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= MAX_PATH_BYTES
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        // These lead back to the form, as if the token had been invalid.
        && !matches!(path, "/login" | "/logout");
    if is_local { next } else { "/" }
}

/// The login page, with `next` as its parameter.
pub fn login_url(next: &str) -> String {
    let mut url = "/login".to_owned();
    let next = local_path(next);
    if next != "/" {
        url.push_str("?next=");
        for byte in next.bytes() {
            if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                url.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::*;

    #[test]
    fn local_path_keeps_paths_of_this_server() {
        for next in
            ["/", "/runs/0199-a#f17", "/?status=failed&q=a%20b", "/a//b", "/x?next=https://evil.example", "/logins"]
        {
            assert_eq!(local_path(next), next);
        }
    }

    #[test]
    fn local_path_rejects_other_sites() {
        for next in [
            "",
            "runs",
            "https://evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/a b",
            "/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "data:text/html,x",
            "/bücher",
            "/\u{0}",
            "/login",
            "/login?next=/login",
            "/logout#x",
            "http:/\\evil.example",
            "@evil.example",
            ".evil.example",
            "/a\\b",
        ] {
            assert_eq!(local_path(next), "/", "{next:?}");
        }
        assert_eq!(local_path(&format!("/{}", "a".repeat(MAX_PATH_BYTES))), "/");
    }

    #[test]
    fn login_url_escapes_next() {
        assert_eq!(login_url("/"), "/login");
        assert_eq!(login_url("//evil.example"), "/login");
        assert_eq!(login_url("/runs/1?a=b&c=%20"), "/login?next=/runs/1%3Fa%3Db%26c%3D%2520");
    }

    proptest! {
        /// The url crate implements the URL standard, as browsers do.
        #[test]
        fn local_path_never_leaves_the_origin(next in "[/\\\\.\t\n\r a-z:@?#%\u{0}-\u{20}\u{80}-\u{200}]{0,12}|\\PC*") {
            let here = Url::parse("http://localhost:3000/login?next=x").unwrap();
            let there = here.join(local_path(&next)).unwrap();
            prop_assert_eq!(there.origin(), here.origin());
        }
    }
}
