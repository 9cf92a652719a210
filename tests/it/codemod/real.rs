//! Both pipelines on real code: a few thousand files of crates, PyPI and npm packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::support::rng;

const NEEDS: &str = "set by scripts/test.sh";

/// Every third file of the samples in one repository: `make nightly` takes all of them.
fn samples(world: &World) -> Repository {
    let repository = Repository::new(world, "samples");
    let every = rng::number("RUNTRAIL_SAMPLES_EVERY").unwrap_or(3);
    let mut number = 0;
    copy_some(Path::new(&std::env::var("RUNTRAIL_SAMPLES").expect(NEEDS)), repository.path(), &mut || {
        number += 1;
        number % every == 0
    });
    // Whatever the packages themselves ignore.
    repository.git(&["add", "--all", "--force"]);
    repository.git(&["-c", "core.autocrlf=false", "commit", "--quiet", "--message", "samples"]);
    repository
}

pub fn copy(from: &Path, to: &Path) {
    copy_some(from, to, &mut || true);
}

/// Copies the files that are chosen, in the order of their names, with their folders.
fn copy_some(from: &Path, to: &Path, choose: &mut dyn FnMut() -> bool) {
    std::fs::create_dir_all(to).unwrap();
    let mut entries: Vec<_> = std::fs::read_dir(from).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().unwrap();
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_some(&entry.path(), &target, choose);
        } else if kind.is_file() && choose() {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// How many matches the ast-grep command finds in each file.
fn by_command(repository: &Repository, language: &str, pattern: &str) -> BTreeMap<String, usize> {
    let mut command = Command::new(std::env::var("RUNTRAIL_AST_GREP").expect(NEEDS));
    command.args(["run", "--pattern", pattern, "--lang", language, "--json=stream"]).current_dir(repository.path());
    let done = command.output().unwrap();
    let mut files = BTreeMap::new();
    for line in String::from_utf8(done.stdout).unwrap().lines() {
        let found: Value = serde_json::from_str(line).unwrap();
        *files.entry(found["file"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    files
}

async fn by_run(server: &Server, id: &str) -> BTreeMap<String, usize> {
    let mut files = BTreeMap::new();
    for finding in told(server, id, "finding").await {
        *files.entry(finding["path"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    files
}

/// The files of a branch, in a folder.
fn checked_out(world: &World, repository: &Repository, branch: &str) -> PathBuf {
    let folder = world.file("checked-out");
    repository.git(&["worktree", "add", "--quiet", "--detach", folder.to_str().unwrap(), branch]);
    folder
}

/// Python itself confirms that everything still parses.
fn assert_python_parses(folder: &Path) {
    let compiled = Command::new("python3").args(["-m", "compileall", "-q", "-j", "2"]).arg(folder).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
}

#[tokio::test]
#[ignore = "needs the samples of scripts/test.sh"]
async fn real_refactor_agrees_with_ast_grep() {
    let world = World::new();
    let repository = samples(&world);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    let mut branches = Vec::new();
    for (language, pattern, rewrite) in [
        ("rust", "$A.unwrap()", Some("$A.expect(\"it is there\")")),
        ("rust", "if let Some($A) = $B { $$$C }", None),
        ("python", "isinstance($A, $B)", Some("isinstance($A, ($B))")),
        ("python", "raise $E($$$A)", None),
        ("javascript", "$A === $B", Some("Object.is($A, $B)")),
        ("typescript", "this.$A($$$B)", None),
    ] {
        let mut params = json!({ "project": repository.path(), "language": language, "pattern": pattern });
        if let Some(rewrite) = rewrite {
            params["rewrite"] = rewrite.into();
        }
        let id = start_with(&server, "refactor", params, json!({})).await;
        let run = finished(&server, &id).await;
        assert_eq!(run["status"], "completed", "{run}");
        let (expected, found) = (by_command(&repository, language, pattern), by_run(&server, &id).await);
        assert!(expected.len() > 10, "{pattern} is too rare to say something: {expected:?}");
        assert!(found == expected, "{pattern} in {language}: {found:?}\nand not\n{expected:?}");
        if rewrite.is_some() {
            let branch = format!("runtrail/{id}-1");
            let patches = told(&server, &id, "patch").await;
            assert!(patches.len() > expected.len() / 2);
            assert!(repository.applied("HEAD", &patches) == repository.tree(&branch), "the branch holds the patches");
            branches.push(branch);
        }
    }
    before.assert_untouched(&repository, &branches.iter().map(String::as_str).collect::<Vec<_>>());
    // Python itself confirms that everything still parses.
    let folder = checked_out(&world, &repository, &branches[1]);
    assert_python_parses(&folder.join("python"));
}

#[tokio::test]
#[ignore = "needs the samples of scripts/test.sh"]
async fn real_autofix_branch_has_the_shown_patches() {
    let world = World::new();
    let repository = samples(&world);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    let params = json!({ "project": repository.path(), "severity": "hint" });
    let id = start_with(&server, "autofix", params, json!({})).await;
    let run = finished(&server, &id).await;
    assert_eq!(run["status"], "completed", "{run}");
    let branch = format!("runtrail/{id}-1");
    let patches = told(&server, &id, "patch").await;
    assert!(patches.len() > 20, "{} patches", patches.len());
    assert!(repository.applied("HEAD", &patches) == repository.tree(&branch), "the branch holds the patches");
    before.assert_untouched(&repository, &[&branch]);
    let folder = checked_out(&world, &repository, &branch);
    assert_python_parses(&folder.join("python"));
}

/// A linter as operators use it: its findings and its fixes.
#[tokio::test]
#[ignore = "needs the samples of scripts/test.sh"]
async fn real_ruff_findings_are_fixed() {
    let world = World::new();
    let repository = samples(&world);
    let before = Snapshot::of(&repository);
    let ruff = std::env::var("RUNTRAIL_RUFF").expect(NEEDS);
    // Comparisons, f-strings without fields, imports, old forms: a few edits each, some of which overlap.
    let check = format!(
        "'{ruff}' check --isolated --no-cache --exit-zero --select E711,E712,E713,F541,F811,I001,UP,PIE --output-format"
    );
    let text =
        format!("name = \"ruff\"\nextends = \"autofix\"\n[[linters]]\nname = \"ruff\"\nrun = \"{check} sarif .\"\n");
    world.toml("ruff", &text);
    let server = world.serve();
    let params = json!({ "project": repository.path(), "rules": "none" });
    let id = start_with(&server, "ruff", params, json!({})).await;
    let run = finished(&server, &id).await;
    assert_eq!(run["status"], "completed", "{run}");

    // The same findings in its own format, without duplicates.
    let mut shell = Command::new("sh");
    let said = shell.arg("-c").arg(format!("{check} json .")).current_dir(repository.path()).output().unwrap().stdout;
    let said: BTreeSet<(String, [String; 3])> = serde_json::from_slice::<Vec<Value>>(&said)
        .unwrap()
        .iter()
        .map(|found| {
            let path = Path::new(found["filename"].as_str().unwrap()).strip_prefix(repository.path()).unwrap();
            let rest = ["location", "code", "message"].map(|field| found[field].to_string());
            (path.to_str().unwrap().to_owned(), rest)
        })
        .collect();
    let mut expected = BTreeMap::new();
    for (path, _) in said {
        *expected.entry(path).or_insert(0_usize) += 1;
    }
    let found = by_run(&server, &id).await;
    assert!(found.values().sum::<usize>() > 1000, "{found:?}");
    assert_eq!(found, expected);

    let branch = format!("runtrail/{id}-1");
    let outcome = told(&server, &id, "outcome").await.remove(0);
    println!("ruff: {outcome}");
    assert!(outcome["fixed"].as_u64().unwrap() * 2 > outcome["findings"].as_u64().unwrap(), "{outcome}");
    assert_eq!(repository.applied("HEAD", &told(&server, &id, "patch").await), repository.tree(&branch));
    before.assert_untouched(&repository, &[&branch]);
    let folder = checked_out(&world, &repository, &branch);
    assert_python_parses(&folder.join("python"));
}
