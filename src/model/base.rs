//! The path below which a server is reached, if a proxy serves it below a part of its host (`--public-url https://host/rt`).

use std::fmt;

/// A path such as `/rt` or `/tools/rt`, without a slash at its end; empty if the server has its host to itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

/// Why a path cannot be a base path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasePathError {
    /// A segment is empty, `.` or `..`, or has characters that a URL writes in another way.
    #[error(
        "the path `{0}` has a part that is not made of letters, digits, `-`, `_`, `~` and single dots between them"
    )]
    Segment(String),
    /// Its addresses could be those of the API.
    #[error("the path cannot begin with /api, where the server's own calls are; choose another one")]
    Reserved,
}

/// The first parts of the paths that the server answers. A path of which the first part is another one is only known below a base.
const OWN_SEGMENTS: [&str; 12] = [
    "runs",
    "api",
    "fn",
    "pkg",
    "events",
    "login",
    "logout",
    "healthz",
    "readyz",
    "metrics",
    "favicon.svg",
    "favicon.ico",
];

impl BasePath {
    /// No base path, as a constant.
    pub const ROOT: Self = Self(String::new());

    /// Reads the path of an address: empty, `/`, `/rt` or `/rt/`.
    ///
    /// # Errors
    /// [`BasePathError`].
    pub fn parse(path: &str) -> Result<Self, BasePathError> {
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Ok(Self::ROOT);
        }
        let bad = || BasePathError::Segment(path.to_owned());
        let segments = path.strip_prefix('/').ok_or_else(bad)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte);
        let is_sound =
            |segment: &str| !segment.is_empty() && segment.bytes().all(is_plain) && !segment.starts_with('.');
        if !segments.split('/').all(is_sound) {
            return Err(bad());
        }
        if segments.split('/').next() == Some("api") {
            return Err(BasePathError::Reserved);
        }
        Ok(Self(path.to_owned()))
    }

    /// Reads the path of an absolute address, such as `https://host/rt`.
    ///
    /// # Errors
    /// [`BasePathError`].
    pub fn from_url(url: &str) -> Result<Self, BasePathError> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        Self::parse(rest.find('/').map_or("", |slash| &rest[slash..]))
    }

    /// Without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the server has its host to itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path by which a browser reaches this path of the server, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The server's own path, with or without a query, of the one that a request asks for. Proxies pass the base path on, or
    /// take it away: both are understood. `None` if it is that already.
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.is_root() {
            return None;
        }
        // A proxy that puts `/` in the place of `/rt` makes `//runs` of `/rt/runs`.
        let single = with_one_slash(path);
        match single.strip_prefix(&self.0) {
            Some("") => Some("/"),
            Some(rest) if rest.starts_with('?') => Some(rest),
            // A base path such as `/runs` begins like a path of the server's.
            Some(rest) if rest.starts_with('/') && (is_own(rest) || !is_own(single)) => Some(with_one_slash(rest)),
            _ => (single.len() < path.len()).then_some(single),
        }
    }

    /// A name for what all pages of a host share (locks, channels, storage), which pages below another base path do not have.
    pub fn name(&self, of: &str) -> String {
        if self.is_root() { of.to_owned() } else { format!("{self} {of}") }
    }
}

/// The path with one slash in the place of those that it begins with.
fn with_one_slash(path: &str) -> &str {
    let bare = path.trim_start_matches('/');
    &path[path.len() - bare.len() - usize::from(bare.len() < path.len())..]
}

/// Whether the server may have this path.
fn is_own(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.trim_start_matches('/').split('/');
    segments.next().is_none_or(|first| first.is_empty() || OWN_SEGMENTS.contains(&first))
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base(path: &str) -> BasePath {
        BasePath::parse(path).unwrap()
    }

    #[test]
    fn base_path_is_read_from_an_address() {
        for (url, expected) in [
            ("https://host", ""),
            ("https://host/", ""),
            ("https://host/rt", "/rt"),
            ("https://host:8443/tools/rt-1.2//", "/tools/rt-1.2"),
            ("http://[::1]:80/~me", "/~me"),
        ] {
            assert_eq!(BasePath::from_url(url).unwrap().as_str(), expected, "{url}");
        }
        for bad in
            ["https://h//rt", "https://h/a b", "https://h/a%2fb", "https://h/a/../b", "https://h/.", "https://h/ü"]
        {
            assert!(matches!(BasePath::from_url(bad), Err(BasePathError::Segment(_))), "{bad}");
        }
        assert_eq!(BasePath::from_url("https://h/api/v1"), Err(BasePathError::Reserved));
        assert!(BasePath::from_url("https://h/apis").is_ok());
    }

    #[test]
    fn requests_with_and_without_the_base_path_are_understood() {
        for (of, path, expected) in [
            ("/rt", "/rt", Some("/")),
            ("/rt", "/rt/", Some("/")),
            ("/rt", "/rt/runs/1?x=/rt/", Some("/runs/1?x=/rt/")),
            ("/rt", "/rt/nowhere", Some("/nowhere")),
            ("/rt", "/rt?status=failed", Some("?status=failed")),
            ("/rt", "/runs/1", None),
            ("/rt", "/", None),
            ("/rt", "/rtx", None),
            ("/rt", "//", Some("/")),
            ("/rt", "//runs/1", Some("/runs/1")),
            ("/rt", "//rt/runs/1", Some("/runs/1")),
            ("/a/b", "/a/b/events", Some("/events")),
            ("/a/b", "/a", None),
            // The example of a host that serves other things at its root.
            ("/runs", "/runs", Some("/")),
            ("/runs", "/runs/", Some("/")),
            ("/runs", "/runs/0199", None),
            ("/runs", "/runs/runs/0199", Some("/runs/0199")),
            ("/runs", "/runs/api/v1/runs", Some("/api/v1/runs")),
            ("/runs", "/api/v1/runs", None),
            ("/runs", "/runs/0199/events", None),
            ("/", "/rt/runs", None),
            ("/", "//runs", None),
        ] {
            assert_eq!(base(of).strip(path), expected, "{path} below {of}");
        }
    }

    #[test]
    fn names_of_two_base_paths_differ() {
        assert_eq!(base("/").name("runtrail-leader"), "runtrail-leader");
        assert_eq!(base("/rt").name("runtrail-leader"), "/rt runtrail-leader");
    }

    proptest! {
        /// What is joined is stripped again, whatever the base path is called, and what is stripped needs no more stripping.
        #[test]
        fn strip_undoes_join(
            of in "(/(runs|events|fn|pkg|login|[a-z][a-z0-9_~-]{0,6})){0,3}",
            path in "/|/(runs|api/v1/runs|events|fn|pkg)/[a-z0-9-]{1,12}(\\?[a-z=/]{0,9})?",
        ) {
            let Ok(base) = BasePath::parse(&of) else { return Err(TestCaseError::reject("begins with /api")) };
            let joined = base.join(&path);
            prop_assert!(joined.starts_with(base.as_str()));
            prop_assert_eq!(base.strip(&joined).unwrap_or(&joined), path.as_str());
        }

        /// Any path is one of the server's afterwards, and no part of it is lost but the base path.
        #[test]
        fn any_path_is_stripped_to_a_path(of in "(/[a-z]{1,4}){1,2}", path in "/{1,3}[a-z./]{0,12}(\\?[a-z/]{0,5})?") {
            let Ok(base) = BasePath::parse(&of) else { return Err(TestCaseError::reject("begins with /api")) };
            let stripped = base.strip(&path).unwrap_or(&path);
            prop_assert!(stripped.starts_with(['/', '?']) && !stripped.starts_with("//"), "{}", stripped);
            prop_assert!(path.ends_with(stripped) || stripped == "/");
        }
    }
}
