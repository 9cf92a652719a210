//! The oldest version of a language that a project says it supports: a fix that needs a later one is not made. Pure.

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
    /// Reads `MAJOR.MINOR`.
    pub fn read(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// What runs the code of a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// The compiler of Rust.
    Rust,
    /// Python 3 or 2.
    Python,
    /// Node.js.
    Node,
    /// The compiler of Go.
    Go,
}

impl Tool {
    /// That of a language, if versions of it are known.
    pub const fn of(grammar: Grammar) -> Option<Self> {
        match grammar {
            Grammar::Rust => Some(Self::Rust),
            Grammar::Python => Some(Self::Python),
            Grammar::JavaScript | Grammar::TypeScript | Grammar::Tsx => Some(Self::Node),
            Grammar::Go => Some(Self::Go),
            _ => None,
        }
    }

    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Node => "Node.js",
            Self::Go => "Go",
        }
    }
}

/// The manifests of a project that say which version they support.
#[derive(Debug, Default)]
pub struct Declared {
    /// By tool and folder: the version, and the manifest's path.
    manifests: BTreeMap<(Tool, String), (Version, String)>,
}

impl Declared {
    /// What the manifests of these tools among these files say. Those that cannot be read say nothing.
    pub fn read<'a>(
        tools: &[Tool],
        paths: impl Iterator<Item = &'a str>,
        text: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut manifests = BTreeMap::new();
        for path in paths {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let Some((tool, read)) = reader(name).filter(|(tool, _)| tools.contains(tool)) else { continue };
            let Some(version) = text(path).and_then(|text| read(&text)) else { continue };
            let entry = manifests.entry((tool, folder.to_owned())).or_insert_with(|| (version, path.to_owned()));
            // Two manifests of a folder: what the older one says holds.
            if version < entry.0 {
                *entry = (version, path.to_owned());
            }
        }
        Self { manifests }
    }

    /// What the nearest manifest around a file says that says something.
    pub fn of(&self, grammar: Grammar, path: &str) -> Option<Version> {
        let tool = Tool::of(grammar)?;
        let mut folder = path;
        while !folder.is_empty() {
            folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            if let Some((version, _)) = self.manifests.get(&(tool, folder.to_owned())) {
                return Some(*version);
            }
        }
        None
    }

    /// All of them: tool, version, path of the manifest.
    pub fn all(&self) -> impl Iterator<Item = (Tool, Version, &str)> {
        self.manifests.iter().map(|((tool, _), (version, path))| (*tool, *version, path.as_str()))
    }
}

/// Reads a manifest.
type Reader = fn(&str) -> Option<Version>;

/// How a file of this name is read, if it is a manifest.
fn reader(name: &str) -> Option<(Tool, Reader)> {
    match name {
        "Cargo.toml" => Some((Tool::Rust, of_cargo)),
        "pyproject.toml" => Some((Tool::Python, of_pyproject)),
        "setup.cfg" | "setup.py" => Some((Tool::Python, of_setup)),
        "package.json" => Some((Tool::Node, of_package)),
        "go.mod" => Some((Tool::Go, of_go_mod)),
        _ => None,
    }
}

/// `rust-version` of a package, or what a workspace gives to its packages. An edition says which compilers know it, not which ones the
/// project supports.
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

/// `python_requires` of setuptools: the rest of the line in `setup.cfg`, a text in `setup.py`.
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

/// The oldest version that fits a requirement, as Cargo, Python, Poetry and npm write them. `None` if it asks for nothing.
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
    fn requirements_are_read_as_the_oldest_version_that_fits() {
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
            assert_eq!(oldest(requirement), Version::read(expected), "{requirement}");
        }
        for nothing in ["", "*", "* || >=4", "lts/*"] {
            assert_eq!(oldest(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn nearest_manifest_that_says_something_holds() {
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
        let all = [Tool::Rust, Tool::Python, Tool::Node, Tool::Go];
        let declared = Declared::read(&all, files.iter().map(|(path, _)| *path), text);
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
            assert_eq!(declared.of(grammar, path), expected.map(|version| Version::read(version).unwrap()), "{path}");
        }
        let others = Declared::read(&[Tool::Go], files.iter().map(|(path, _)| *path), text);
        assert_eq!(others.all().map(|(_, _, path)| path).collect::<Vec<_>>(), ["go/go.mod"]);
    }
}
