//! Confines repositories to the folders that runs may work in. A `.git` file, an entry of `objects/info/alternates` or
//! a link may lead to any other folder.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::confined_fs::Folder;

/// The most folders of borrowed objects.
const MAX_ALTERNATES: usize = 1000;

/// The longest list of alternates.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// The parts of a repository that git accesses by name. Any of them may be a link.
const PARTS: [&str; 16] = [
    "HEAD",
    "config",
    "index",
    "info",
    "logs",
    "logs/refs",
    "logs/refs/heads",
    "logs/refs/heads/runtrail",
    "modules",
    "objects",
    "packed-refs",
    "refs",
    "refs/heads",
    "refs/heads/runtrail",
    "reftable",
    "shallow",
];

/// The folders that runs may work in. Their paths are canonical.
#[derive(Clone, Debug, Default)]
pub struct AllowedFolders {
    roots: Vec<PathBuf>,
}

/// A part of a repository that is outside the allowed folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsidePart {
    pub what: &'static str,
    pub path: PathBuf,
}

impl AllowedFolders {
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots }
    }

    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    fn contains(&self, canonical: &Path) -> bool {
        self.roots.iter().any(|root| canonical.starts_with(root))
    }

    /// Opens a folder if its path resolves to inside the allowed folders. The inner error is that of opening it.
    ///
    /// # Errors
    /// The resolved path, which is outside.
    pub fn open(&self, path: &Path) -> Result<io::Result<Folder>, PathBuf> {
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) => return Ok(Err(error)),
        };
        let root = self.roots.iter().find(|root| canonical.starts_with(root));
        let below = root.and_then(|root| Some((root, canonical.strip_prefix(root).ok()?)));
        let Some((root, below)) = below else { return Err(canonical) };
        // Fails if a folder has become a link since it was resolved.
        Ok(Folder::open_canonical(root).and_then(|root| root.folder(below)))
    }

    /// Checks that no part of a repository is a link to outside.
    ///
    /// # Errors
    /// [`OutsidePart`].
    pub fn check_parts(&self, git_dir: &Path) -> Result<(), OutsidePart> {
        PARTS.into_iter().try_for_each(|part| self.check_link(part, &git_dir.join(part)))
    }

    /// Checks that the objects of a repository, and all that it borrows, are inside.
    ///
    /// # Errors
    /// [`OutsidePart`].
    pub fn check_objects(&self, objects: &Path) -> Result<(), OutsidePart> {
        let names = (0..=255).map(|byte| format!("{byte:02x}"));
        for name in names.chain(["info", "pack", "info/alternates"].map(str::to_owned)) {
            self.check_link("objects", &objects.join(name))?;
        }
        self.check_alternates(objects, &mut BTreeSet::new())
    }

    fn check_alternates(&self, objects: &Path, seen: &mut BTreeSet<PathBuf>) -> Result<(), OutsidePart> {
        for path in alternates(objects) {
            // Git ignores missing alternates.
            let Ok(canonical) = path.canonicalize() else { continue };
            if !self.contains(&canonical) {
                return Err(OutsidePart { what: "borrowed objects (objects/info/alternates)", path: canonical });
            }
            if seen.len() == MAX_ALTERNATES {
                return Err(OutsidePart {
                    what: "too many borrowed objects (objects/info/alternates)",
                    path: canonical,
                });
            }
            if seen.insert(canonical.clone()) {
                self.check_alternates(&canonical, seen)?;
            }
        }
        Ok(())
    }

    /// Checks that a path is not a link, or a link to inside.
    fn check_link(&self, what: &'static str, path: &Path) -> Result<(), OutsidePart> {
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            return Ok(());
        }
        match path.canonicalize() {
            Ok(canonical) if self.contains(&canonical) => Ok(()),
            Ok(path) => Err(OutsidePart { what, path }),
            // Writing through a dangling link would create its target.
            Err(_) => Err(OutsidePart { what, path: path.read_link().unwrap_or_else(|_| path.to_owned()) }),
        }
    }
}

/// The folders of objects that another one borrows (gitrepository-layout(5), `objects/info/alternates`).
fn alternates(objects: &Path) -> Vec<PathBuf> {
    let list = Folder::open(objects).and_then(|objects| objects.read(Path::new("info/alternates"), MAX_LIST_BYTES));
    let list = list.unwrap_or_default();
    let lines = list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#');
    lines.map(|line| objects.join(PathBuf::from(OsString::from_vec(unquoted(line))))).collect()
}

/// The path of a line. A quoted line has C escapes.
fn unquoted(line: &[u8]) -> Vec<u8> {
    let Some(inner) = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")) else { return line.to_vec() };
    let (mut path, mut rest) = (Vec::with_capacity(inner.len()), inner.iter().copied().peekable());
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            path.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'a') => path.push(7),
            Some(b'b') => path.push(8),
            Some(b't') => path.push(b'\t'),
            Some(b'n') => path.push(b'\n'),
            Some(b'v') => path.push(11),
            Some(b'f') => path.push(12),
            Some(b'r') => path.push(b'\r'),
            Some(first @ b'0'..=b'3') => {
                let mut value = first - b'0';
                while let Some(digit) = rest.next_if(|byte| matches!(byte, b'0'..=b'7')) {
                    value = value.wrapping_mul(8).wrapping_add(digit - b'0');
                }
                path.push(value);
            }
            Some(other) => path.push(other),
            None => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn allowed_folders_exclude_borrowed_objects_and_links_outside() {
        let world = tempfile::tempdir().unwrap();
        let world = world.path().canonicalize().unwrap();
        let (objects, near, far) =
            (world.join("in/a/objects"), world.join("in/b/objects"), world.join("out \"x\"/objects"));
        for folder in [&objects, &near, &far] {
            std::fs::create_dir_all(folder.join("info")).unwrap();
        }
        let allowed = AllowedFolders::new(vec![world.join("in")]);
        let list = |objects: &Path, text: &str| std::fs::write(objects.join("info/alternates"), text).unwrap();
        list(&objects, "# a comment\n\n../../b/objects\n/not/there\n");
        assert_eq!(allowed.check_objects(&objects), Ok(()));
        // First a cycle of alternates, then one to outside, plain and quoted.
        list(&near, "../../a/objects\n");
        assert_eq!(allowed.check_objects(&objects), Ok(()));
        let quoted = format!("\"{}/out\\040\\\"x\\\"/objects\"\n", world.display());
        for text in [&format!("{}\n", far.display()), &quoted] {
            list(&near, text);
            assert_eq!(allowed.check_objects(&objects).unwrap_err().path, far);
        }
        list(&near, "");
        symlink(&far, objects.join("ab")).unwrap();
        assert_eq!(allowed.check_objects(&objects).unwrap_err().path, far);

        let git_dir = world.join("in/a");
        symlink("objects", git_dir.join("refs")).unwrap();
        assert_eq!(allowed.check_parts(&git_dir), Ok(()));
        symlink("/nowhere/logs", git_dir.join("logs")).unwrap();
        assert_eq!(allowed.check_parts(&git_dir).unwrap_err().path, Path::new("/nowhere/logs"));
        assert!(matches!(allowed.open(&git_dir.join("refs")), Ok(Ok(_))));
        assert!(matches!(allowed.open(&git_dir.join("none")), Ok(Err(_))));
        assert_eq!(allowed.open(&world).unwrap_err(), world);
    }
}
