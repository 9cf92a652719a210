//! Which folders a repository may be in: those that runs may work in. A `.git` file, an entry of `objects/info/alternates` or a link
//! may name any other.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::confined_fs::Folder;

/// How many folders of borrowed objects are looked at.
const MOST: usize = 1000;

/// The longest list of alternates, in bytes.
const LONGEST_LIST: u64 = 1 << 20;

/// What of a repository git reads or writes by name. Any of it may be a link.
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

/// The folders that runs may work in, canonical.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    roots: Vec<PathBuf>,
}

/// A part of a repository that is outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Which part.
    pub what: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

impl Allowed {
    /// These folders and what is in them.
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots }
    }

    /// The folders.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Whether a canonical path is inside.
    fn has(&self, canonical: &Path) -> bool {
        self.roots.iter().any(|root| canonical.starts_with(root))
    }

    /// Opens a folder, wherever links lead, if that is inside.
    ///
    /// # Errors
    /// The path that is outside. If it is not there, or cannot be opened, that is said inside.
    pub fn open(&self, path: &Path) -> Result<io::Result<Folder>, PathBuf> {
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) => return Ok(Err(error)),
        };
        let root = self.roots.iter().find(|root| canonical.starts_with(root));
        let below = root.and_then(|root| Some((root, canonical.strip_prefix(root).ok()?)));
        let Some((root, below)) = below else { return Err(canonical) };
        // No link may have come there since.
        Ok(Folder::open_canonical(root).and_then(|root| root.folder(below)))
    }

    /// That no part of a repository's folder is a link that leads out.
    ///
    /// # Errors
    /// [`Outside`].
    pub fn check_parts(&self, git_dir: &Path) -> Result<(), Outside> {
        PARTS.into_iter().try_for_each(|part| self.check_link(part, &git_dir.join(part)))
    }

    /// That the objects of a repository, and all that it borrows, are inside.
    ///
    /// # Errors
    /// [`Outside`].
    pub fn check_objects(&self, objects: &Path) -> Result<(), Outside> {
        let names = (0..=255).map(|byte| format!("{byte:02x}"));
        for name in names.chain(["info", "pack", "info/alternates"].map(str::to_owned)) {
            self.check_link("objects", &objects.join(name))?;
        }
        self.check_alternates(objects, &mut BTreeSet::new())
    }

    fn check_alternates(&self, objects: &Path, seen: &mut BTreeSet<PathBuf>) -> Result<(), Outside> {
        for path in alternates(objects) {
            // Git takes no notice of what is not there.
            let Ok(canonical) = path.canonicalize() else { continue };
            if !self.has(&canonical) {
                return Err(Outside { what: "borrowed objects (objects/info/alternates)", path: canonical });
            }
            if seen.len() == MOST {
                return Err(Outside { what: "too many borrowed objects (objects/info/alternates)", path: canonical });
            }
            if seen.insert(canonical.clone()) {
                self.check_alternates(&canonical, seen)?;
            }
        }
        Ok(())
    }

    /// That this is no link, or one that leads to something inside.
    fn check_link(&self, what: &'static str, path: &Path) -> Result<(), Outside> {
        if !path.symlink_metadata().is_ok_and(|facts| facts.is_symlink()) {
            return Ok(());
        }
        match path.canonicalize() {
            Ok(canonical) if self.has(&canonical) => Ok(()),
            Ok(path) => Err(Outside { what, path }),
            // What is written there would be made.
            Err(_) => Err(Outside { what, path: path.read_link().unwrap_or_else(|_| path.to_owned()) }),
        }
    }
}

/// The folders of objects that another one borrows (gitrepository-layout(5), `objects/info/alternates`).
fn alternates(objects: &Path) -> Vec<PathBuf> {
    let list = Folder::open(objects).and_then(|objects| objects.read(Path::new("info/alternates"), LONGEST_LIST));
    let list = list.unwrap_or_default();
    let lines = list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#');
    lines.map(|line| objects.join(PathBuf::from(OsString::from_vec(unquoted(line))))).collect()
}

/// A line of the list as a path. In quotes it has escapes, as C has them.
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
    fn borrowed_objects_and_links_that_lead_out_are_found() {
        let world = tempfile::tempdir().unwrap();
        let world = world.path().canonicalize().unwrap();
        let (objects, near, far) =
            (world.join("in/a/objects"), world.join("in/b/objects"), world.join("out \"x\"/objects"));
        for folder in [&objects, &near, &far] {
            std::fs::create_dir_all(folder.join("info")).unwrap();
        }
        let allowed = Allowed::new(vec![world.join("in")]);
        let list = |objects: &Path, text: &str| std::fs::write(objects.join("info/alternates"), text).unwrap();
        list(&objects, "# a comment\n\n../../b/objects\n/not/there\n");
        assert_eq!(allowed.check_objects(&objects), Ok(()));
        // Around in a circle, and then out by two ways of writing it.
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
