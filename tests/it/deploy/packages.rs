//! Packages of a release, made of the tests' own program, really installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::file;

/// Executes a command, which succeeds. Returns its standard output.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The program without what debuggers need, which would make packages a hundred times larger.
fn stripped(folder: &Path) -> PathBuf {
    let program = folder.join("runtrail");
    run(Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_runtrail")));
    program
}

/// Makes a package twice, at different times. Its path; its bytes are the same.
fn package(script: &str, program: &Path, folder: &Path) -> PathBuf {
    let make = |name: &str| {
        let mut command = Command::new(file(script));
        command
            .arg(program)
            .arg(folder.join(name))
            .env("SOURCE_DATE_EPOCH", "1790000000")
            .env("RUNTRAIL_XZ_LEVEL", "0");
        PathBuf::from(run(&mut command).trim())
    };
    let first = make("first");
    let again = Command::new("touch").arg(program).status().unwrap().success().then(|| make("second")).unwrap();
    assert_eq!(first.file_name(), again.file_name());
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&again).unwrap(), "{script} makes the same package twice");
    first
}

fn assert_version(program: &Path) {
    let said = run(Command::new(program).arg("--version"));
    assert_eq!(said.trim(), concat!("runtrail ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn deploy_wheel_is_installed_by_pip() {
    let folder = tempfile::tempdir().unwrap();
    let wheel = package("scripts/package/wheel.sh", &stripped(folder.path()), folder.path());
    let python =
        std::env::var_os("RUNTRAIL_DEPLOY_PYTHON").map_or_else(|| file("target/deploy/bin/python"), PathBuf::from);
    let venv = folder.path().join("venv");
    run(Command::new(python).args(["-m", "venv"]).arg(&venv));
    let pip = |arguments: &[&str]| {
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]).args(arguments);
        pip
    };
    run(pip(&["install", "--no-index"]).arg(&wheel));
    assert_version(&venv.join("bin/runtrail"));
    assert!(run(&mut pip(&["show", "runtrail"])).contains(concat!("Version: ", env!("CARGO_PKG_VERSION"))));
    run(&mut pip(&["uninstall", "--yes", "runtrail"]));
    assert!(!venv.join("bin/runtrail").exists());
}

/// By dpkg in a folder of its own, with the scripts of the package, where root runs the tests; else only unpacked.
#[test]
fn deploy_deb_is_installed_by_dpkg() {
    let folder = tempfile::tempdir().unwrap();
    let deb = package("scripts/package/deb.sh", &stripped(folder.path()), folder.path());
    let root = folder.path().join("root");
    if rustix::process::geteuid().is_root() {
        for name in ["info", "updates"] {
            std::fs::create_dir_all(root.join("var/lib/dpkg").join(name)).unwrap();
        }
        std::fs::create_dir(root.join("etc")).unwrap();
        std::fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        let dpkg = |arguments: &[&str]| {
            let mut dpkg = Command::new("dpkg");
            // Its dependencies are not there; its scripts respect DPKG_ROOT.
            dpkg.arg(format!("--root={}", root.display())).args(["--force-depends", "--force-script-chrootless"]);
            dpkg.args(arguments);
            dpkg
        };
        run(dpkg(&["--install"]).arg(&deb));
        assert!(run(&mut dpkg(&["--verify", "runtrail"])).is_empty(), "every file is as in the package");
        let users = std::fs::read_to_string(root.join("etc/passwd")).unwrap();
        assert!(users.contains("\nruntrail:") || users.starts_with("runtrail:"), "{users}");
        assert_version(&root.join("usr/bin/runtrail"));
        // Settings survive the removal, and go with a purge.
        let settings = root.join("etc/runtrail/runtrail.env");
        run(&mut dpkg(&["--remove", "runtrail"]));
        assert!(settings.exists() && !root.join("usr/bin/runtrail").exists());
        run(&mut dpkg(&["--purge", "runtrail"]));
        assert!(!settings.exists());
    } else {
        run(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(&root));
        assert_version(&root.join("usr/bin/runtrail"));
    }
    let listed = run(Command::new("dpkg-deb").arg("--contents").arg(&deb));
    for line in listed.lines() {
        assert!(line.contains(" root/root "), "{line}");
        assert!(!line.contains("rws") && (line.starts_with("drwxr-xr-x") || line.starts_with('-')), "{line}");
    }
    assert!(listed.contains("./usr/lib/systemd/system/runtrail.service"), "{listed}");
}
