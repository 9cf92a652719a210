//! Unified diffs in the format of `git diff`. Pure.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use crate::model::kinds::Patch;

/// Unchanged lines around a change.
const CONTEXT_LINES: usize = 3;

/// The diff of the file at this path, with which `git apply` turns `old` into `new`, including line ends.
pub fn patch(path: &str, old: &str, new: &str) -> Patch {
    // Git ends lines only at LF; the library's own line splitting ends them at CR too.
    let [old, new] = [old, new].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let changes = TextDiff::from_slices(&old, &new);
    let (a, b) = (quoted("a/", path), quoted("b/", path));
    let mut diff = format!("diff --git {a} {b}\n--- {a}\n+++ {b}\n");
    let (mut added, mut removed) = (0, 0);
    for hunk in changes.unified_diff().context_radius(CONTEXT_LINES).iter_hunks() {
        diff.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Insert => {
                    added += 1;
                    '+'
                }
                ChangeTag::Delete => {
                    removed += 1;
                    '-'
                }
            };
            diff.push(sign);
            diff.push_str(change.value());
            if !change.value().ends_with('\n') {
                diff.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    Patch { path: path.to_owned(), diff, added, removed, fix: None }
}

/// The path as git writes it in a header: quoted and escaped if it has special characters (git-config(1),
/// `core.quotePath`).
fn quoted(side: &str, path: &str) -> String {
    if !path.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
        return format!("{side}{path}");
    }
    let mut out = format!("\"{side}");
    for c in path.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                for byte in c.to_string().bytes() {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\{byte:03o}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    /// The file after `git apply`.
    fn applied(path: &str, old: &str, diff: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, old).unwrap();
        let mut git = Command::new("git");
        git.args(["apply", "--whitespace=nowarn", "-"]).current_dir(folder.path()).stdin(Stdio::piped());
        let mut git = git.env("GIT_CEILING_DIRECTORIES", folder.path()).stderr(Stdio::piped()).spawn().unwrap();
        git.stdin.take().unwrap().write_all(diff.as_bytes()).unwrap();
        let done = git.wait_with_output().unwrap();
        assert!(done.status.success(), "{}{diff}", String::from_utf8_lossy(&done.stderr));
        std::fs::read_to_string(&file).unwrap()
    }

    #[test]
    fn diff_headers_quote_paths_like_git() {
        for path in [
            "a.rs",
            "with blank/b.rs",
            "ü/ß.rs",
            "quote\".rs",
            "back\\slash.rs",
            "new\nline.rs",
            "tab\t.rs",
            "\u{1}.rs",
        ] {
            assert_eq!(applied(path, "old\n", &patch(path, "old\n", "new\n").diff), "new\n");
        }
    }

    #[test]
    fn diff_counts_lines() {
        let patch = patch("a", "1\n2\n3\n", "1\nzwei\n3\n4\n");
        assert_eq!((patch.added, patch.removed), (2, 1));
        assert_eq!(patch.diff, "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,3 +1,4 @@\n 1\n-2\n+zwei\n 3\n+4\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn git_applies_diffs_with_any_line_ends(
            old in prop::collection::vec("[ab]{0,2}(\n|\r\n|\r)?", 1..20),
            new in prop::collection::vec("[ab]{0,2}(\n|\r\n|\r)?", 1..20),
        ) {
            let (old, new) = (old.concat(), new.concat());
            prop_assume!(old != new && !old.is_empty() && !new.is_empty());
            prop_assert_eq!(applied("x.txt", &old, &patch("x.txt", &old, &new).diff), new);
        }
    }
}
