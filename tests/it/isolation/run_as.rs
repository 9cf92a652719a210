//! Commands run as another user than the server (`--run-as`).

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{is_root, printed};
use crate::codemod::repository::Repository;
use crate::support::{World, alive, pids, until};

/// The name and the id of a user that every system has.
const NOBODY: (&str, u32) = ("nobody", 65534);

fn owner(path: &Path) -> u32 {
    path.metadata().unwrap().uid()
}

#[tokio::test]
async fn run_as_keeps_commands_out_of_the_data_folder() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let data = world.data().canonicalize().unwrap();
    let script = format!(
        "id -u; id -G; echo \"$USER $LOGNAME\"; grep NoNewPrivs /proc/self/status | tr -dc 01; echo
         echo named > /dev/stdout; : > \"$RUNTRAIL_WORKSPACE/made\"; : > in-project
         ls '{0}' '{0}/workspaces' '{0}/attempts'; cat '{0}/runtrail.db'; kill -0 $PPID
         read pid name state parent rest < /proc/$PPID/stat; kill -9 $parent; echo end",
        data.display()
    );
    world.pipeline("who", &[&script]).phase("tty", "id -u; echo x > $(readlink /proc/$$/fd/1)", "output = \"tty\"");
    world.toml("scratch", "name = \"scratch\"\n[[phases]]\nname = \"a\"\nrun = \": > made; id -u; pwd\"\n");
    let server = world.serve_open(&[], &["--run-as", NOBODY.0]);
    let lines = printed(&world, &server, "who").await;
    let uid = NOBODY.1.to_string();
    let refused = |line: &&String| line.contains("denied") || line.contains("not permitted");
    let plain: Vec<_> = lines.iter().filter(|line| !line.is_empty() && !refused(line)).map(String::as_str).collect();
    assert_eq!(plain, [&uid, &uid, "nobody nobody", "1", "named", "end"], "{lines:?}");
    assert_eq!(lines.iter().filter(refused).count(), 6, "{lines:?}");
    assert_eq!(owner(&world.file("in-project")), NOBODY.1);
    assert_eq!(printed(&world, &server, "tty").await, [&uid, "x"]);
    // A folder of the run's own.
    let started = server.post("/api/v1/runs", json!({ "pipeline": "scratch" })).await.json::<Value>().await.unwrap();
    let id = started["id"].as_str().unwrap();
    server.until_status(id, "completed").await;
    let scratch = data.join("scratch").join(id);
    assert_eq!(server.lines(id).await, [uid, scratch.display().to_string()]);
    assert_eq!((owner(&scratch), owner(&scratch.join("made"))), (NOBODY.1, NOBODY.1));
    assert_eq!((owner(&data), owner(&data.join("scratch"))), (0, 0), "nothing else is handed over");
}

/// The supervisor stays root's, so it may end them.
#[tokio::test]
async fn run_as_commands_are_ended() {
    if !is_root() {
        return;
    }
    let world = World::new();
    world.pipeline(
        "stubborn",
        &["trap '' TERM HUP; (trap '' TERM; sleep 1000) & echo $$ $! | tr ' ' '\\n' > pids; echo up; wait; sleep 1000"],
    );
    let server = world.serve_open(&[], &["--run-as", NOBODY.0, "--grace", "1s"]);
    let id = server.start(&world, "stubborn").await;
    server.until_line(&id, "up").await;
    let first = pids(&world.file("pids"));
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    server.until_status(&id, "cancelled").await;
    assert!(first.len() == 2 && first.iter().all(|pid| !alive(*pid)));
    // Also when the server dies.
    let id = server.start(&world, "stubborn").await;
    server.until_line(&id, "up").await;
    let second = pids(&world.file("pids"));
    server.kill();
    until("they have ended", async || second.iter().all(|pid| !alive(*pid)).then_some(())).await;
}

/// The command that reads a secret runs as the server, so its file is closed to commands; the decision of an approval
/// is readable to them.
#[tokio::test]
async fn run_as_commands_read_decisions_but_no_secret_files() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let head = "name = \"p\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n[secrets]\nWHO = { command = \"echo user $(id -u)\" }\n";
    let first = "[[phases]]\nname = \"a\"\nrun = \"echo kept > $RUNTRAIL_WORKSPACE/kept; test \\\"$WHO\\\" = 'user 0' && echo server\"\n";
    let second = "[[phases]]\nname = \"b\"\napproval = true\nrun = \"cat $RUNTRAIL_WORKSPACE/kept; grep -c approved $RUNTRAIL_WORKSPACE/approval.json; echo more >> $RUNTRAIL_WORKSPACE/kept\"\n";
    world.toml("p", &format!("{head}{first}{second}"));
    let server = world.serve_open(&[], &["--run-as", NOBODY.0]);
    let id = server.start(&world, "p").await;
    server.until_awaiting_approval(&id).await;
    server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["server", "kept", "1"]);
}

/// A built-in pipeline works as the user, to whom the repository belongs.
#[tokio::test]
async fn run_as_linter_fixes_are_committed() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.py", "x = 1\n")]);
    let replacement = json!({ "deletedRegion": { "startLine": 1, "startColumn": 5, "endColumn": 6 }, "insertedContent": { "text": "2" } });
    let location = json!({ "physicalLocation": { "artifactLocation": { "uri": "a.py" }, "region": { "startLine": 1, "startColumn": 5 } } });
    let fix =
        json!([{ "artifactChanges": [{ "artifactLocation": { "uri": "a.py" }, "replacements": [replacement] }] }]);
    let result = json!({ "ruleId": "two", "level": "error", "message": { "text": "two" }, "locations": [location], "fixes": fix });
    let log = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "own" } }, "results": [result] }] });
    let seen = world.file("seen");
    let run = format!(
        "id -u > '{}'; grep -q 'x = 1' a.py && echo '{log}' || echo '{}'",
        seen.display(),
        json!({"version": "2.1.0", "runs": []})
    );
    world.toml(
        "lint",
        &format!("name = \"lint\"\nextends = \"autofix\"\n[[linters]]\nname = \"own\"\nrun = '''\n{run}\n'''\n"),
    );
    let server = world.serve_open(&[], &["--run-as", &NOBODY.1.to_string()]);
    let given = Command::new("chown").args(["-R", "65534:65534"]).arg(repository.path()).status().unwrap();
    assert!(given.success());
    let params = json!({ "project": repository.path(), "rules": "none" });
    let started = server.post("/api/v1/runs", json!({ "pipeline": "lint", "params": params })).await;
    let id = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let run = until("the run ends", async || {
        let run = server.run(&id).await;
        (run["finished_at"] != Value::Null).then_some(run)
    })
    .await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(std::fs::read_to_string(seen).unwrap().trim(), "65534");
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "cat-file", "blob", &format!("runtrail/{id}-1:a.py")])
        .current_dir(repository.path());
    assert_eq!(String::from_utf8(git.output().unwrap().stdout).unwrap(), "x = 2\n");
    assert!(owner(&repository.path().join(".git/refs/heads/runtrail")) == NOBODY.1, "the branch is the user's");
}

#[tokio::test]
async fn run_as_rejects_unusable_users_at_start() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let program = world.open_to_others();
    let refused = |uid: u32, data: &Path, user: &str| {
        let mut server = Command::new("setpriv");
        server.args(["--reuid", &uid.to_string(), "--regid", &uid.to_string(), "--clear-groups"]).arg(&program);
        server.args(["serve", "--addr", "127.0.0.1:0", "--run-as", user, "--data-dir"]).arg(data);
        let done = server.output().unwrap();
        assert!(!done.status.success());
        String::from_utf8(done.stderr).unwrap()
    };
    let data = world.data();
    for (uid, user, reason) in [
        (NOBODY.1, NOBODY.0, "needs a server that root has started"),
        (0, "nobody-of-this-name", "no user nobody-of-this-name"),
        (0, "4242424", "no user 4242424"),
        (0, "root", "is root"),
    ] {
        let said = refused(uid, &data, user);
        assert!(said.contains(reason), "{user}: {said}");
    }
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let said = refused(0, &closed.path().join("data"), NOBODY.0);
    assert!(said.contains("nobody cannot enter") && said.contains("chmod o+x"), "{said}");
}
