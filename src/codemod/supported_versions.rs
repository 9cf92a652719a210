//! The oldest language versions that a project supports, according to its manifests: fixes that need later ones are
//! omitted. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::language::Grammar;

/// A version of a language or its runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    /// Parses `MAJOR.MINOR`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// The compiler or runtime of a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Toolchain {
    Rust,
    Python,
    Node,
    Go,
}

impl Toolchain {
    pub const fn of(grammar: Grammar) -> Option<Self> {
        match grammar {
            Grammar::Rust => Some(Self::Rust),
            Grammar::Python => Some(Self::Python),
            Grammar::JavaScript | Grammar::TypeScript | Grammar::Tsx => Some(Self::Node),
            Grammar::Go => Some(Self::Go),
            _ => None,
        }
    }

    /// The name for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Node => "Node.js",
            Self::Go => "Go",
        }
    }
}

/// The versions that the manifests of a project declare.
#[derive(Debug, Default)]
pub struct SupportedVersions {
    /// By toolchain and folder: the version, and the path of the manifest.
    manifests: BTreeMap<(Toolchain, String), (Version, String)>,
}

impl SupportedVersions {
    /// Reads the manifests of these toolchains among these files. Unreadable ones are skipped.
    pub fn read<'a>(
        toolchains: &[Toolchain],
        paths: impl Iterator<Item = &'a str>,
        text: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut manifests = BTreeMap::new();
        for path in paths {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let Some((toolchain, read)) = manifest_reader(name).filter(|(toolchain, _)| toolchains.contains(toolchain))
            else {
                continue;
            };
            let Some(version) = text(path).and_then(|text| read(&text)) else { continue };
            let entry = manifests.entry((toolchain, folder.to_owned())).or_insert_with(|| (version, path.to_owned()));
            // Of two manifests in a folder the older version counts.
            if version < entry.0 {
                *entry = (version, path.to_owned());
            }
        }
        Self { manifests }
    }

    /// The version for a file: that of the nearest manifest in a folder above it.
    pub fn of(&self, grammar: Grammar, path: &str) -> Option<Version> {
        let toolchain = Toolchain::of(grammar)?;
        let mut folder = path;
        while !folder.is_empty() {
            folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            if let Some((version, _)) = self.manifests.get(&(toolchain, folder.to_owned())) {
                return Some(*version);
            }
        }
        None
    }

    /// All versions: toolchain, version, path of the manifest.
    pub fn all(&self) -> impl Iterator<Item = (Toolchain, Version, &str)> {
        self.manifests.iter().map(|((toolchain, _), (version, path))| (*toolchain, *version, path.as_str()))
    }
}

type ReadManifest = fn(&str) -> Option<Version>;

/// The reader of a manifest with this file name.
fn manifest_reader(name: &str) -> Option<(Toolchain, ReadManifest)> {
    match name {
        "Cargo.toml" => Some((Toolchain::Rust, of_cargo)),
        "pyproject.toml" => Some((Toolchain::Python, of_pyproject)),
        "setup.cfg" | "setup.py" => Some((Toolchain::Python, of_setup)),
        "package.json" => Some((Toolchain::Node, of_package)),
        "go.mod" => Some((Toolchain::Go, of_go_mod)),
        _ => None,
    }
}

/// `rust-version` of a package, or the one that a workspace defines for its packages. The edition is not considered: a
/// project may support only much newer compilers.
fn of_cargo(text: &str) -> Option<Version> {
    let manifest: toml::Table = toml::from_str(text).ok()?;
    let of = |package: &toml::Value| package.get("rust-version")?.as_str().and_then(oldest);
    let own = manifest.get("package").and_then(of);
    own.or_else(|| manifest.get("workspace")?.get("package").and_then(of))
}

fn of_pyproject(text: &str) -> Option<Version> {
    let manifest: toml::Table = toml::from_str(text).ok()?;
    let poetry = || {
        let python = manifest.get("tool")?.get("poetry")?.get("dependencies")?.get("python")?;
        python.as_str().or_else(|| python.get("version")?.as_str())
    };
    let project = manifest.get("project").and_then(|project| project.get("requires-python")?.as_str());
    project.or_else(poetry).and_then(oldest)
}

/// `python_requires` of setuptools, in `setup.cfg` or `setup.py`.
fn of_setup(text: &str) -> Option<Version> {
    static REQUIRES: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(?m)^[^#\n]*\bpython_requires\s*=\s*["']?([^"'\n]+)"#).ok());
    oldest(REQUIRES.as_ref()?.captures(text)?.get(1)?.as_str())
}

fn of_package(text: &str) -> Option<Version> {
    #[derive(Deserialize)]
    struct Package {
        engines: Option<Engines>,
    }
    #[derive(Deserialize)]
    struct Engines {
        node: Option<String>,
    }
    oldest(&serde_json::from_str::<Package>(text).ok()?.engines?.node?)
}

fn of_go_mod(text: &str) -> Option<Version> {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    lines.find_map(|mut words| (words.next() == Some("go")).then(|| words.next()).flatten()).and_then(oldest)
}

/// The oldest version that meets a requirement of Cargo, Python, Poetry or npm. `None` if it has no lower bound.
fn oldest(requirement: &str) -> Option<Version> {
    static BOUNDS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"([<>=!~^]*)\s*\bv?(\d+)(?:\.(\d+))?[\w.*+]*(?:-[\w.]+)?(\s+-\s+\S+)?").ok());
    let bounds = BOUNDS.as_ref()?;
    let of_one = |alternative: &str| {
        let mut oldest: Option<Version> = None;
        for bound in bounds.captures_iter(alternative) {
            let number = |group: usize| bound.get(group).map_or(Some(0), |number| number.as_str().parse().ok());
            let version = match &bound[1] {
                "!=" => continue,
                "<" | "<=" => Version { major: 0, minor: 0 },
                _ => Version { major: number(2)?, minor: number(3)? },
            };
            oldest = oldest.max(Some(version));
        }
        oldest
    };
    let mut oldest: Option<Version> = None;
    for alternative in requirement.split("||") {
        let one = of_one(alternative)?;
        oldest = Some(oldest.map_or(one, |oldest| oldest.min(one)));
    }
    oldest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn requirements_yield_their_oldest_version() {
        for (requirement, expected) in [
            (">=3.8", "3.8"),
            (">= 3.8, <4", "3.8"),
            ("<4,>=3.10.2", "3.10"),
            ("~=3.7", "3.7"),
            ("==3.9.*", "3.9"),
            (">=2.7, !=3.0.*, !=3.1.*", "2.7"),
            ("^3.8", "3.8"),
            ("1.56.1", "1.56"),
            ("1", "1.0"),
            (">=0.10.40", "0.10"),
            ("^4.5.0 || >=6", "4.5"),
            (">= 6 || ^4.5", "4.5"),
            ("4 - 6", "4.0"),
            ("v14.x", "14.0"),
            ("<5", "0.0"),
            (">=20.0.0-rc.1", "20.0"),
        ] {
            assert_eq!(oldest(requirement), Version::parse(expected), "{requirement}");
        }
        for nothing in ["", "*", "* || >=4", "lts/*"] {
            assert_eq!(oldest(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn nearest_manifest_with_a_version_counts() {
        let files = [
            ("Cargo.toml", "[workspace.package]\nrust-version = \"1.40\"\n"),
            ("new/Cargo.toml", "[package]\nname = \"new\"\nrust-version = \"1.85\"\nedition = \"2024\"\n"),
            ("old/Cargo.toml", "[package]\nname = \"old\"\nrust-version.workspace = true\n"),
            ("py/pyproject.toml", "[project]\nrequires-python = \">=3.11\"\n"),
            ("py/setup.py", "setup(\n    # python_requires='>=3.1',\n    python_requires='>=3.6',\n)\n"),
            ("poetry/pyproject.toml", "[tool.poetry.dependencies]\npython = {version = \"^3.9\"}\n"),
            ("cfg/setup.cfg", "[options]\npython_requires = >=3.7\n"),
            ("package.json", "{\"engines\": {\"node\": \">=18\", \"npm\": \">=9\"}}"),
            ("web/package.json", "{\"name\": \"web\"}"),
            ("go/go.mod", "module example.org/m\n\ngo 1.21.3 // or later\n"),
            ("broken/go.mod", "go\n"),
        ];
        let text = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        let all = [Toolchain::Rust, Toolchain::Python, Toolchain::Node, Toolchain::Go];
        let declared = SupportedVersions::read(&all, files.iter().map(|(path, _)| *path), text);
        for (grammar, path, expected) in [
            (Grammar::Rust, "src/main.rs", Some("1.40")),
            (Grammar::Rust, "build.rs", Some("1.40")),
            (Grammar::Rust, "new/src/deep/main.rs", Some("1.85")),
            (Grammar::Rust, "old/src/main.rs", Some("1.40")),
            (Grammar::Python, "py/a.py", Some("3.6")),
            (Grammar::Python, "poetry/a.py", Some("3.9")),
            (Grammar::Python, "cfg/a.py", Some("3.7")),
            (Grammar::Python, "a.py", None),
            (Grammar::TypeScript, "web/a.ts", Some("18.0")),
            (Grammar::Go, "go/a.go", Some("1.21")),
            (Grammar::Go, "broken/a.go", None),
        ] {
            assert_eq!(declared.of(grammar, path), expected.map(|version| Version::parse(version).unwrap()), "{path}");
        }
        let others = SupportedVersions::read(&[Toolchain::Go], files.iter().map(|(path, _)| *path), text);
        assert_eq!(others.all().map(|(_, _, path)| path).collect::<Vec<_>>(), ["go/go.mod"]);
    }
}
