use std::os::unix::fs::symlink;

use super::*;

#[test]
fn folder_handle_survives_a_move() {
    let world = tempfile::tempdir().unwrap();
    let (inside, outside) = (world.path().join("inside"), world.path().join("outside"));
    std::fs::create_dir_all(inside.join("a")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    let folder = Folder::open(&inside).unwrap();
    std::fs::rename(&inside, world.path().join("moved")).unwrap();
    symlink(&outside, &inside).unwrap();
    folder.make_folder(Path::new("b/c")).unwrap();
    assert!(world.path().join("moved/b/c").is_dir() && !outside.join("b").exists());
    assert!(Folder::open_canonical(&inside).is_err());
    let entered = std::process::Command::new("pwd").arg("-P").current_dir(folder.as_child_sees_it()).output().unwrap();
    assert!(String::from_utf8(entered.stdout).unwrap().trim_end().ends_with("/moved"));
}

#[test]
fn links_in_a_path_are_refused_or_replaced() {
    let world = tempfile::tempdir().unwrap();
    let (inside, outside) = (world.path().join("inside"), world.path().join("outside"));
    std::fs::create_dir(&inside).unwrap();
    std::fs::create_dir_all(outside.join("c")).unwrap();
    symlink(&outside, inside.join("b")).unwrap();
    let folder = Folder::open(&inside).unwrap();
    assert!(folder.folder(Path::new("b")).is_err() && folder.make_folder(Path::new("b/c")).is_err());
    folder.clear_folder(Path::new("b/c/d")).unwrap();
    assert!(inside.join("b").symlink_metadata().unwrap().is_dir() && inside.join("b/c/d").is_dir());
    assert!(!outside.join("c/d").exists());
}

#[test]
fn read_takes_regular_files_up_to_the_limit() {
    let world = tempfile::tempdir().unwrap();
    let (folder, at) = (Folder::open(world.path()).unwrap(), |name: &str| world.path().join(name));
    std::fs::write(at("file"), "12345").unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("file", at("link")).unwrap();
    symlink("/dev/zero", at("zero")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    assert_eq!(folder.read(Path::new("file"), 5).unwrap(), b"12345");
    assert_eq!(folder.read(Path::new("file"), 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    for other in ["pipe", "link", "zero", "folder", "socket", "missing", "../file", "/etc/hostname", ""] {
        assert!(folder.read(Path::new(other), 100).is_err(), "{other}");
    }
}

#[test]
fn write_replaces_anything_and_follows_no_link() {
    let world = tempfile::tempdir().unwrap();
    let (folder, at) = (Folder::open(world.path()).unwrap(), |name: &str| world.path().join(name));
    std::fs::write(at("outside"), "mine").unwrap();
    symlink("outside", at("link")).unwrap();
    symlink("missing", at("dangling")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir_all(at("folder/full")).unwrap();
    for name in ["link", "dangling", "pipe", "folder", "new"] {
        folder.write(Path::new(name), b"text", 0o644).unwrap();
        assert!(at(name).symlink_metadata().unwrap().is_file(), "{name}");
        assert_eq!(std::fs::read(at(name)).unwrap(), b"text");
    }
    assert_eq!(std::fs::read(at("outside")).unwrap(), b"mine");
    assert!(!at("missing").exists());
    assert!(folder.write(Path::new("../x"), b"", 0o600).is_err());
    let failed = folder.write_with(Path::new("new"), 0o644, |_| Err(io::Error::other("full")));
    assert_eq!((failed.unwrap_err().to_string(), std::fs::read(at("new")).unwrap()), ("full".into(), b"text".into()));
    assert_eq!(std::fs::read_dir(world.path()).unwrap().count(), 6);
}
