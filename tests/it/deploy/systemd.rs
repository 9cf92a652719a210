//! The unit of the server under a real systemd, booted in namespaces of its own.

use std::process::Command;

use super::file;
use crate::support::World;

/// What commands of runs need of the machine, each printed if it is there.
const TOOLS: &str = "
touch $HOME/cache && echo home
touch /srv/runtrail/file && echo project
touch /tmp/file /var/tmp/file && echo temporary files
git init -q /srv/runtrail/repository && git -C /srv/runtrail/repository status >/dev/null && echo git
touch file && test $(stat --format %a file) = 644 && echo umask
touch /usr/file || echo no system
ls /root || echo no home of others
sudo -n true || echo no rights";

/// Whether this is root on a machine with systemd that may make namespaces. Containers often may not.
fn can_boot() -> bool {
    let namespaces = ["--cgroup", "--mount", "--pid", "--fork", "--net", "true"];
    rustix::process::geteuid().is_root()
        && std::path::Path::new("/lib/systemd/systemd").exists()
        && Command::new("unshare").args(namespaces).status().is_ok_and(|done| done.success())
}

#[test]
fn deploy_unit_serves_under_a_real_systemd() {
    if !can_boot() {
        println!("skipped: needs root, systemd and namespaces");
        return;
    }
    let world = World::new();
    world.toml("tools", &format!("name = \"tools\"\n[[phases]]\nname = \"a\"\nrun = '''{TOOLS}'''\n"));
    let sandboxed = "sandbox = \"required\"\n[[phases]]\nname = \"a\"\nrun = 'echo from the sandbox'\n";
    world.toml("sandboxed", &format!("name = \"sandboxed\"\n{sandboxed}"));
    world.toml(
        "long",
        "name = \"long\"\n[[phases]]\nname = \"a\"\nrun = 'echo $$ >/srv/runtrail/long; exec sleep 1000'\n",
    );
    let program = world.data().join("runtrail");
    let stripped = Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_runtrail")).status();
    assert!(stripped.unwrap().success());
    let output = Command::new(file("tests/deploy/boot-systemd.sh"))
        .args([&program, &world.pipelines(), &file("tests/deploy/unit.sh")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
    for line in [
        "folders: 700 runtrail",
        "tools: completed",
        "home",
        "project",
        "temporary files",
        "git",
        "umask",
        "no system",
        "no home of others",
        "no rights",
        "sandboxed: completed",
        "from the sandbox",
        "restarted: active",
        "with limits.conf: run interrupted, command ended",
        "stopped: inactive",
    ] {
        assert!(said.lines().any(|printed| printed == line), "no line `{line}`:\n{said}");
    }
    // A run goes on exactly if its command does.
    let is_consistent = ["run running, command running", "run ended, command ended"]
        .iter()
        .any(|state| said.contains(&format!("after the restart: {state}")));
    assert!(is_consistent, "{said}");
}
