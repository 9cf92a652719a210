//! The path prefix under which a reverse proxy serves Runtrail (`--public-url https://host/rt`).

use std::fmt;

/// A path such as `/rt` or `/tools/rt`, without a slash at its end; empty at the root of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

/// Why a path cannot be a base path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasePathError {
    /// A segment is empty, begins with a dot, or has characters that URLs percent-encode.
    #[error("the path `{0}` has a segment with other characters than letters, digits, `-`, `_`, `~` and inner dots")]
    Segment(String),
    /// It would collide with the API's routes.
    #[error("the path cannot begin with /api, where the server's own calls are; choose another one")]
    Reserved,
}

/// The first segments of the server's own routes. A path with another first segment can only be a request below a base
/// path.
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
    /// No base path.
    pub const ROOT: Self = Self(String::new());

    /// Parses the path of a URL: empty, `/`, `/rt` or `/rt/`.
    ///
    /// # Errors
    /// [`BasePathError`] if a segment is not allowed, or the path begins with `/api`.
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

    /// Parses the path of an absolute URL such as `https://host/rt`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_url(url: &str) -> Result<Self, BasePathError> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        Self::parse(rest.find('/').map_or("", |slash| &rest[slash..]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the server is at the root of its host.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path by which a browser requests the server's `path`, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Removes the base path from a request's path and query. Proxies pass the base path on or remove it; both are
    /// accepted.
    ///
    /// `None` if there is nothing to remove.
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.is_root() {
            return None;
        }
        // A proxy that replaces `/rt` by `/` turns `/rt/runs` into `//runs`.
        let single = with_one_slash(path);
        match single.strip_prefix(&self.0) {
            Some("") => Some("/"),
            Some(rest) if rest.starts_with('?') => Some(rest),
            // A base path such as `/runs` also begins one of the server's own routes.
            Some(rest) if rest.starts_with('/') && (is_own(rest) || !is_own(single)) => Some(with_one_slash(rest)),
            _ => (single.len() < path.len()).then_some(single),
        }
    }

    /// A name for what all pages of a host share (locks, channels, storage), distinct for each base path.
    pub fn name(&self, of: &str) -> String {
        if self.is_root() { of.to_owned() } else { format!("{self} {of}") }
    }
}

/// Reduces several leading slashes to one.
fn with_one_slash(path: &str) -> &str {
    let bare = path.trim_start_matches('/');
    &path[path.len() - bare.len() - usize::from(bare.len() < path.len())..]
}

/// Whether the path may be one of the server's own routes.
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
    fn base_path_parses_urls() {
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
    fn base_path_strips_requests_with_and_without_it() {
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
            // A host that serves other applications at its root.
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
    fn base_path_names_differ() {
        assert_eq!(base("/").name("runtrail-leader"), "runtrail-leader");
        assert_eq!(base("/rt").name("runtrail-leader"), "/rt runtrail-leader");
    }

    proptest! {
        /// `strip` undoes `join` for every base path, and its result needs no further stripping.
        #[test]
        fn base_path_strip_undoes_join(
            of in "(/(runs|events|fn|pkg|login|[a-z][a-z0-9_~-]{0,6})){0,3}",
            path in "/|/(runs|api/v1/runs|events|fn|pkg)/[a-z0-9-]{1,12}(\\?[a-z=/]{0,9})?",
        ) {
            let Ok(base) = BasePath::parse(&of) else { return Err(TestCaseError::reject("begins with /api")) };
            let joined = base.join(&path);
            prop_assert!(joined.starts_with(base.as_str()));
            prop_assert_eq!(base.strip(&joined).unwrap_or(&joined), path.as_str());
        }

        /// Stripping always gives a path of the server, and removes nothing but the base path.
        #[test]
        fn base_path_strip_gives_a_path(of in "(/[a-z]{1,4}){1,2}", path in "/{1,3}[a-z./]{0,12}(\\?[a-z/]{0,5})?") {
            let Ok(base) = BasePath::parse(&of) else { return Err(TestCaseError::reject("begins with /api")) };
            let stripped = base.strip(&path).unwrap_or(&path);
            prop_assert!(stripped.starts_with(['/', '?']) && !stripped.starts_with("//"), "{}", stripped);
            prop_assert!(path.ends_with(stripped) || stripped == "/");
        }
    }
}
