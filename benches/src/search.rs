//! Searching code: the phases scanning and analyzing of Refactor, beside the `ast-grep` command on the same tree.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::ROUNDS;
use crate::http;
use crate::servers::{Programs, Running};
use crate::table::{medians, met, short, table};

/// The patterns to find. Each occurs in many files.
const PATTERNS: [(&str, &str); 3] =
    [("rust", "$A.unwrap()"), ("python", "isinstance($A, $B)"), ("javascript", "$A === $B")];

/// Goal: scanning and matching take at most this multiple of the command's time.
const GOAL: f64 = 1.2;

/// Measures; the part of the results.
pub fn measure(programs: &Programs) -> String {
    let environment =
        |name: &str| std::env::var_os(name).map(PathBuf::from).unwrap_or_else(|| panic!("{name} is not set"));
    let (samples, ast_grep) = (environment("RUNTRAIL_SAMPLES"), environment("RUNTRAIL_AST_GREP"));
    let folder = tempfile::tempdir_in(&programs.data).unwrap();
    let repository = folder.path().join("samples");
    assert!(Command::new("cp").arg("-r").arg(&samples).arg(&repository).status().unwrap().success());
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["add", "--all", "--force"]);
    git(&repository, &["commit", "--quiet", "--message", "samples"]);
    let server = Running::start(programs, &["--projects", repository.to_str().unwrap()]);

    let (mut rows, mut verdicts) = (Vec::new(), String::new());
    for (language, pattern) in PATTERNS {
        // Seconds of both phases and of the command; then files and matches.
        let mut rounds: Vec<[f64; 4]> = Vec::new();
        for round in 0..2 * ROUNDS {
            let (mut run, mut command) = ([0.0; 3], 0.0);
            for step in 0..2 {
                match (step + round) % 2 {
                    0 => run = refactor(&server.address, &repository, language, pattern),
                    _ => command = by_command(&ast_grep, &repository, language, pattern),
                }
            }
            let [seconds, files, matches] = run;
            rounds.push([seconds, command, files, matches]);
            eprintln!("  {language}: {:.2?}", rounds[rounds.len() - 1]);
        }
        let [search, command, files, matches] = medians(&rounds);
        let cells = [files, matches, search, command, search / command];
        rows.push([vec![format!("`{pattern}` in {language}")], cells.map(short).to_vec()].concat());
        verdicts += &format!(
            "- Goal: scanning and matching take at most {GOAL} of the command's time, {language}: {} ({}).\n",
            met(search <= GOAL * command),
            short(search / command),
        );
    }
    let head = ["pattern", "files", "matches", "Runtrail s", "ast-grep s", "ratio"];
    format!(
        "## Search\n\nThe phases scanning and analyzing of Refactor on a tree of real packages, from the start of the first to the end \
         of the second, with every match journaled: two processes, a linked worktree, git's list of the commit included. Beside it \
         `ast-grep run --json=stream` on the same tree, which is in memory for both. Medians of {} rounds.\n\n{}\n{verdicts}\n",
        2 * ROUNDS,
        table(&head, &rows)
    )
}

/// Runs the pipeline; seconds of its first two phases, files searched, matches.
fn refactor(address: &str, repository: &Path, language: &str, pattern: &str) -> [f64; 3] {
    let pattern = pattern.replace('"', "\\\"");
    let params =
        format!("{{\"project\":\"{}\",\"language\":\"{language}\",\"pattern\":\"{pattern}\"}}", repository.display());
    let body = format!("{{\"pipeline\":\"refactor\",\"params\":{params}}}");
    let answer = http::request(address, "POST", "/api/v1/runs", "application/json", &body);
    let id = http::member(answer.split_once("\r\n\r\n").unwrap().1, "id").to_owned();
    let run = loop {
        let run = http::request(address, "GET", &format!("/api/v1/runs/{id}"), "", "");
        match http::member(run.split_once("\r\n\r\n").unwrap().1, "status") {
            "completed" => break run,
            "pending" | "running" => std::thread::sleep(Duration::from_millis(20)),
            other => panic!("the run is {other}: {run}"),
        }
    };
    let phase = |name: &str| &run[run.find(&format!("\"name\":\"{name}\"")).unwrap()..];
    let began = seconds(http::member(phase("scanning"), "started_at"));
    let ended = seconds(http::member(phase("analyzing"), "finished_at"));
    let head: u64 = http::member(run.split_once("\r\n\r\n").unwrap().1, "head").parse().unwrap();
    let last =
        http::request(address, "GET", &format!("/api/v1/runs/{id}/frames?after={}", head.saturating_sub(20)), "", "");
    let outcome = &last[last.find("\"kind\":\"outcome\"").unwrap()..];
    let number = |name: &str| http::member(outcome, name).parse::<f64>().unwrap();
    [ended - began, number("files"), number("findings")]
}

/// Seconds of a time of day. Measurements do not cross midnight.
fn seconds(stamp: &str) -> f64 {
    let time = stamp.split_once('T').unwrap().1.trim_end_matches('Z');
    time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

fn by_command(program: &Path, repository: &Path, language: &str, pattern: &str) -> f64 {
    let began = Instant::now();
    let mut command = Command::new(program);
    command.args(["run", "--pattern", pattern, "--lang", language, "--json=stream"]).current_dir(repository);
    // Read as Runtrail reads its own: through a pipe.
    let done = command.stderr(Stdio::null()).output().unwrap();
    assert!(!done.stdout.is_empty());
    began.elapsed().as_secs_f64()
}

fn git(folder: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
    let done = Command::new("git").args(identity).args(args).current_dir(folder).status().unwrap();
    assert!(done.success(), "git {args:?}");
}
