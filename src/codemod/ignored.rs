//! Applies the ignore files of a commit like a walk over its folders would, so that the files are those of `ast-grep`.
//! Pure.

use std::collections::HashMap;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The names of ignore files. Those of the first kind take precedence, wherever they are.
pub const NAMES: [&str; 2] = [".ignore", ".gitignore"];

/// The ignore files of a commit.
#[derive(Default)]
pub struct IgnoreFiles {
    /// By folder, which is empty for the top; in the order of [`NAMES`].
    by_folder: HashMap<String, [Option<Gitignore>; 2]>,
}

impl IgnoreFiles {
    /// Adds an ignore file. Like git, it skips invalid patterns.
    pub fn add(&mut self, path: &str, text: &str) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(kind) = NAMES.iter().position(|known| *known == name) else { return };
        let mut builder = GitignoreBuilder::new(folder);
        for line in text.lines() {
            let _ = builder.add_line(None, line);
        }
        if let Ok(built) = builder.build() {
            self.by_folder.entry(folder.to_owned()).or_default()[kind] = Some(built);
        }
    }

    /// Whether a file is skipped: it or a folder above it is ignored, or is hidden and not whitelisted.
    pub fn skips(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| (at, true)).chain([(path.len(), false)]);
        ends.into_iter().any(|(end, is_folder)| self.skips_entry(&path[..end], is_folder))
    }

    fn skips_entry(&self, path: &str, is_folder: bool) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        for kind in 0..NAMES.len() {
            match self.nearest_match(kind, path, is_folder) {
                Match::Ignore(()) => return true,
                Match::Whitelist(()) => return false,
                Match::None => {}
            }
        }
        name.starts_with('.')
    }

    /// The match of the nearest ignore file of this kind that has one.
    fn nearest_match(&self, kind: usize, path: &str, is_folder: bool) -> Match<()> {
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/').or_else(|| (!folder.is_empty()).then_some(("", ""))) {
            folder = above;
            let found = self.by_folder.get(folder).and_then(|files| files[kind].as_ref());
            let matched = found.map(|file| file.matched(Path::new(path), is_folder).map(|_| ()));
            if let Some(matched) = matched
                && !matched.is_none()
            {
                return matched;
            }
        }
        Match::None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ignore::WalkBuilder;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn ignore_files_match_a_directory_walk(
            files in prop::collection::btree_set("(a|b|\\.h)(/(a|b|\\.h|c\\.rs)){0,3}", 1..12),
            rules in prop::collection::btree_map(
                ("((a|b|\\.h)/){0,2}", prop::sample::select(NAMES.to_vec())),
                prop::collection::vec("!?/?(a|b|\\.h|\\*|c\\.rs|\\*\\.rs|a/b|\\*\\*/c\\.rs|\\.\\*)/?", 1..4),
                0..4,
            ),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut ignored = IgnoreFiles::default();
            let mut made = Vec::new();
            for file in &files {
                let path = folder.path().join(file);
                // A file may be in the place of a folder, or the other way round.
                if std::fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.exists() && std::fs::write(&path, "").is_ok() {
                    made.push(file.clone());
                }
            }
            for ((under, name), lines) in &rules {
                let place = folder.path().join(under);
                if place.is_dir() {
                    std::fs::write(place.join(name), lines.join("\n")).unwrap();
                    ignored.add(&format!("{under}{name}"), &lines.join("\n"));
                }
            }
            let walk = WalkBuilder::new(folder.path()).parents(false).require_git(false).git_global(false).build();
            let found = walk.flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
            let relative = |path: &Path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
            let mut walked: Vec<String> = found.map(|entry| relative(entry.path())).collect();
            walked.retain(|path| made.contains(path));
            walked.sort();
            made.retain(|path| !ignored.skips(path));
            made.sort();
            prop_assert_eq!(made, walked);
        }
    }
}
