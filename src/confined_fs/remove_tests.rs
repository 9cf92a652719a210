use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use super::super::Folder;
use super::*;

#[test]
fn remove_does_not_follow_links() {
    let world = tempfile::tempdir().unwrap();
    let at = |name: &str| world.path().join(name);
    fs::create_dir_all(at("outside/deep")).unwrap();
    fs::write(at("outside/deep/file"), "mine").unwrap();
    fs::create_dir_all(at("run/a/b")).unwrap();
    for link in ["run/link", "run/a/link", "run/a/b/link"] {
        symlink(at("outside"), at(link)).unwrap();
    }
    symlink(at("outside"), at("itself")).unwrap();
    nix::unistd::mkfifo(&at("run/a/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Left behind by a removal that was interrupted.
    fs::create_dir_all(at("run/.runtrail-moved-1/x/y")).unwrap();
    let folder = Folder::open(world.path()).unwrap();
    for name in ["run", "itself", "missing", "missing/below"] {
        folder.remove_tree(Path::new(name)).unwrap();
        assert!(at(name).symlink_metadata().is_err(), "{name}");
    }
    assert_eq!(fs::read(at("outside/deep/file")).unwrap(), b"mine");
    assert!(folder.remove_tree(Path::new("outside/../outside")).is_err());
}

/// Deeper than the longest path, the limit of descriptors and the size of the stack allow.
#[test]
fn remove_handles_any_depth() {
    let world = tempfile::tempdir().unwrap();
    let folder = Folder::open(world.path()).unwrap();
    let mut at = folder.make_folder(Path::new("run")).unwrap();
    for depth in 0..5000 {
        at = at.make_folder(Path::new("a_folder_with_a_long_name")).unwrap();
        if depth % 1000 == 0 {
            at.write(Path::new("file"), b"x", 0o600).unwrap();
            at.make_folder(Path::new("sibling/below")).unwrap();
        }
    }
    drop(at);
    folder.remove_tree(Path::new("run")).unwrap();
    assert_eq!(fs::read_dir(world.path()).unwrap().count(), 0);
}

/// Run as an ordinary user, for whom permissions apply.
#[test]
fn remove_overrides_permissions() {
    let world = tempfile::tempdir().unwrap();
    let at = |name: &str| world.path().join(name);
    for folder in ["run/none/deep", "run/read/deep", "outside"] {
        fs::create_dir_all(at(folder)).unwrap();
        fs::write(at(folder).join("file"), "").unwrap();
    }
    symlink(at("outside"), at("run/read/deep/link")).unwrap();
    let modes =
        [("run/none/deep", 0), ("run/none", 0), ("run/read/deep", 0o500), ("run/read", 0o500), ("outside", 0o500)];
    for (folder, mode) in modes {
        fs::set_permissions(at(folder), Permissions::from_mode(mode)).unwrap();
    }
    Folder::open(world.path()).unwrap().remove_tree(Path::new("run")).unwrap();
    assert!(!at("run").exists() && at("outside/file").exists());
    assert_eq!(fs::metadata(at("outside")).unwrap().permissions().mode() & 0o777, 0o500);
}

/// A bind mount of the same file system, so the device number is the same. Runs again in a process that may mount.
#[test]
fn remove_does_not_enter_mounts() {
    const INNER: &str = "RUNTRAIL_TEST_MOUNTS";
    if std::env::var_os(INNER).is_none() {
        let private = ["--map-root-user", "--mount"];
        if !Command::new("unshare").args(private).arg("true").status().is_ok_and(|done| done.success()) {
            return;
        }
        let mut again = Command::new("unshare");
        again.args(private).arg(std::env::current_exe().unwrap()).env(INNER, "1");
        let done = again.args(["--exact", "confined_fs::remove::tests::remove_does_not_enter_mounts"]).status();
        assert!(done.unwrap().success());
        return;
    }
    let world = tempfile::tempdir().unwrap();
    let at = |name: &str| world.path().join(name);
    fs::create_dir_all(at("run/a/mounted")).unwrap();
    fs::create_dir_all(at("run/b/c")).unwrap();
    fs::create_dir_all(at("outside/deep")).unwrap();
    fs::write(at("outside/deep/file"), "mine").unwrap();
    let mount = |args: &[&str]| assert!(Command::new(args[0]).args(&args[1..]).status().unwrap().success(), "{args:?}");
    mount(&["mount", "--bind", at("outside").to_str().unwrap(), at("run/a/mounted").to_str().unwrap()]);
    let folder = Folder::open(world.path()).unwrap();
    let error = folder.remove_tree(Path::new("run")).unwrap_err();
    assert!(error.to_string().contains("mounted"), "{error}");
    assert_eq!(fs::read(at("outside/deep/file")).unwrap(), b"mine");
    assert!(!at("run/b").exists(), "everything else is removed");
    mount(&["umount", at("run/a/mounted").to_str().unwrap()]);
    folder.remove_tree(Path::new("run")).unwrap();
    assert!(!at("run").exists());
}
