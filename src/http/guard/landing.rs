//! Where a login leads: `next`, which must not lead away from here.

/// Longer addresses than this no page of ours has.
const LONGEST: usize = 2048;

/// The path a login may lead to: `next` if it is one of ours, else the first page.
///
/// By the URL standard a browser takes `//evil`, `/\evil` and `/<tab>/evil` for another host. So it is a slash, then no
/// second one, and nowhere a backslash, a control character, or what a Location header cannot carry.
pub fn local(next: &str) -> &str {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= LONGEST
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        // Leads back to the form, as if the token had been wrong.
        && !matches!(path, "/login" | "/logout");
    if ours { next } else { "/" }
}

/// The login page that leads to `next` afterwards.
pub fn login_url(next: &str) -> String {
    let mut url = "/login".to_owned();
    let next = local(next);
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
    fn own_paths_stay() {
        for next in
            ["/", "/runs/0199-a#f17", "/?status=failed&q=a%20b", "/a//b", "/x?next=https://evil.example", "/logins"]
        {
            assert_eq!(local(next), next);
        }
    }

    #[test]
    fn nothing_leads_away() {
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
            assert_eq!(local(next), "/", "{next:?}");
        }
        assert_eq!(local(&format!("/{}", "a".repeat(LONGEST))), "/");
    }

    #[test]
    fn the_way_back_is_one_parameter() {
        assert_eq!(login_url("/"), "/login");
        assert_eq!(login_url("//evil.example"), "/login");
        assert_eq!(login_url("/runs/1?a=b&c=%20"), "/login?next=/runs/1%3Fa%3Db%26c%3D%2520");
    }

    proptest! {
        /// Asked of the parser that browsers' behaviour is specified by.
        #[test]
        fn a_browser_stays_here(next in "[/\\\\.\t\n\r a-z:@?#%\u{0}-\u{20}\u{80}-\u{200}]{0,12}|\\PC*") {
            let here = Url::parse("http://localhost:3000/login?next=x").unwrap();
            let there = here.join(local(&next)).unwrap();
            prop_assert_eq!(there.origin(), here.origin());
        }
    }
}
