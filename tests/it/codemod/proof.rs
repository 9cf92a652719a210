//! Every pack on well-known projects with their tests: what passes before AutoFix passes after it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::real::copy;
use super::suite::Results;
use super::*;

const NEEDS: &str = "set by scripts/nightly.sh packs";

/// A project of `tests/proof/projects.toml`.
#[derive(Deserialize)]
struct Project {
    pack: String,
    name: String,
    /// Path of its sources below the folder of downloads.
    source: String,
    /// The files that the pack checks, as git pathspecs.
    files: String,
    /// Runs its tests and prints the result of each.
    test: String,
}

#[derive(Deserialize)]
struct Projects {
    project: Vec<Project>,
}

/// AutoFix's result: its branch, if there is one, the number of fixes, and all findings.
struct Fixed {
    branch: Option<String>,
    fixed: u64,
    findings: Vec<Value>,
}

async fn fix(server: &Server, repository: &Repository, pack: &str, review: bool) -> Result<Fixed, String> {
    let params = json!({ "project": repository.path(), "rules": pack, "severity": "hint", "approval": review });
    let id = start_with(server, "autofix", params, json!({})).await;
    let run = until_within(LONG, "the run ends or asks", async || {
        let run = server.run(&id).await;
        let has_ended = run["status"] != "pending" && run["status"] != "running";
        (has_ended || run["approval"].is_object()).then_some(run)
    })
    .await;
    if run["approval"].is_object() {
        server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
    }
    let run = finished(server, &id).await;
    if run["status"] != "completed" {
        return Err(format!("AutoFix did not complete: {run}"));
    }
    let outcome = told(server, &id, "outcome").await.remove(0);
    let branch = outcome["branch"].as_str().map(str::to_owned);
    Ok(Fixed { branch, fixed: outcome["fixed"].as_u64().unwrap(), findings: told(server, &id, "finding").await })
}

/// The tests of a project with the fixes of this branch, and those that fail each time of two: some tests fail by
/// chance.
fn tested(
    project: &Project,
    repository: &Repository,
    branch: Option<&str>,
    before: &Results,
) -> Result<(String, Vec<String>), String> {
    let Some(branch) = branch else { return Ok(("no fix".to_owned(), Vec::new())) };
    repository.git(&["checkout", "--quiet", "--force", branch]);
    let mut after = Results::of(&project.test, repository.path())?;
    let mut broken = before.broken(&after);
    if !broken.is_empty() {
        after = Results::of(&project.test, repository.path())?;
        broken.retain(|name| before.broken(&after).contains(name));
    }
    let broken = broken.into_iter().map(str::to_owned).collect();
    repository.git(&["checkout", "--quiet", "--force", "main"]);
    Ok((counts(&after), broken))
}

fn counts(results: &Results) -> String {
    match results.failed() {
        0 => format!("{} pass", results.passed()),
        failed => format!("{} pass, {failed} fail", results.passed()),
    }
}

/// Each finding with its line, for people to judge.
fn listed(project: &Project, repository: &Repository, findings: &[Value]) -> String {
    let mut list = String::new();
    for finding in findings {
        let path = finding["path"].as_str().unwrap();
        let text = std::fs::read(repository.path().join(path)).unwrap();
        let text = String::from_utf8_lossy(&text);
        let line = finding["line"].as_u64().unwrap_or(1);
        let code = text.lines().nth(usize::try_from(line).unwrap() - 1).unwrap_or_default().trim();
        let (rule, name) = (finding["rule"].as_str().unwrap(), &project.name);
        writeln!(list, "{}\t{rule}\t{name}\t{path}:{line}\t{code}", project.pack).unwrap();
    }
    list
}

/// The result for one project.
struct Proof {
    /// Its row of the table, without its pack and name.
    row: String,
    findings: String,
    has_fixes: bool,
    /// Tests that the fixes break.
    faults: Vec<String>,
}

async fn prove(project: &Project, sources: &Path) -> Result<Proof, String> {
    let world = World::new();
    let repository = Repository::new(&world, "project");
    copy(&sources.join(&project.source), repository.path());
    // Files created by its tests and by npm are excluded.
    repository.write(".git/info/exclude", "node_modules\n__pycache__\n.hypothesis\n");
    repository.commit(&[]);
    let before = Results::of(&project.test, repository.path())?;
    let server = world.serve();
    let safe = fix(&server, &repository, &project.pack, false).await?;
    let all = fix(&server, &repository, &project.pack, true).await?;
    let files = repository.git(&["ls-files", "--", &project.files]).lines().count();
    let review = all.fixed.saturating_sub(safe.fixed);
    let mut cells = vec![files.to_string(), all.findings.len().to_string(), safe.fixed.to_string()];
    cells.extend([review.to_string(), counts(&before)]);
    let mut faults = Vec::new();
    for (what, fixed) in [("safe fixes", &safe), ("all fixes", &all)] {
        // Without one to review, both branches are the same.
        let (count, broken) = match what == "all fixes" && review == 0 {
            true => ("the same".to_owned(), Vec::new()),
            false => tested(project, &repository, fixed.branch.as_deref(), &before)?,
        };
        cells.push(count);
        if !broken.is_empty() {
            let branch = fixed.branch.as_deref().unwrap_or_default();
            let patch = repository.git(&["diff", "--unified=1", "main", branch]);
            faults.push(format!("the {what} break {broken:#?}\n{patch}"));
        }
    }
    let findings = listed(project, &repository, &all.findings);
    Ok(Proof { row: cells.join(" | "), findings, has_fixes: all.fixed > 0, faults })
}

#[tokio::test]
#[ignore = "needs the projects of scripts/nightly.sh packs, and an hour"]
async fn packs_break_no_tests_of_real_projects() {
    let Ok(folder) = std::env::var("RUNTRAIL_PROOF").map(PathBuf::from) else {
        return println!("RUNTRAIL_PROOF is {NEEDS}");
    };
    let only = std::env::var("RUNTRAIL_PROOF_ONLY").unwrap_or_default();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proof/projects.toml");
    let projects: Projects = toml::from_str(&std::fs::read_to_string(list).unwrap()).unwrap();
    let chosen = projects.project.iter().filter(|project| format!("{} {}", project.pack, project.name).contains(&only));
    let (mut table, mut findings, mut faults) = (String::new(), String::new(), Vec::new());
    let mut proved: BTreeMap<&str, usize> = BTreeMap::new();
    for project in chosen {
        let Project { pack, name, .. } = project;
        // One that cannot be measured keeps no other from it.
        let proof = prove(project, &folder).await.unwrap_or_else(|fault| Proof {
            row: "not measured | | | | | |".to_owned(),
            findings: String::new(),
            has_fixes: false,
            faults: vec![fault],
        });
        let row = format!("| {pack} | {name} | {} |\n", proof.row);
        print!("{row}");
        table += &row;
        findings += &proof.findings;
        for fault in proof.faults {
            println!("{name}: {fault}");
            faults.push(format!("{name}: {fault}"));
        }
        *proved.entry(pack).or_default() += usize::from(proof.has_fixes);
        std::fs::write(folder.join("table.md"), &table).unwrap();
        std::fs::write(folder.join("findings.tsv"), &findings).unwrap();
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(!proved.is_empty(), "no project is named {only}");
    if only.is_empty() {
        assert!(proved.len() == 4 && proved.values().all(|projects| *projects >= 4), "projects with fixes: {proved:?}");
    }
}
