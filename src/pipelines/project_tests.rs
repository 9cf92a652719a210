//! Which paths are let in, on real folders and links.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::model::{Param, PhaseSpec};

/// `proj` is allowed; `project`, `secret` lie beside it; `proj` has a folder, a file and links to all sorts of places.
fn world() -> (TempDir, PathBuf, Projects) {
    let temp = tempfile::tempdir().unwrap();
    let top = temp.path().canonicalize().unwrap();
    for folder in ["proj/app/src", "proj/two words", "project", "secret/inner"] {
        fs::create_dir_all(top.join(folder)).unwrap();
    }
    fs::write(top.join("proj/file"), "").unwrap();
    symlink(top.join("secret"), top.join("proj/escape")).unwrap();
    symlink("../project", top.join("proj/sideways")).unwrap();
    symlink("app", top.join("proj/alias")).unwrap();
    symlink("loop", top.join("proj/loop")).unwrap();
    symlink("nowhere", top.join("proj/dangling")).unwrap();
    symlink(top.join("proj"), top.join("way-in")).unwrap();
    let projects = Projects::open(&[top.join("proj")]).unwrap();
    (temp, top, projects)
}

#[test]
fn projects_resolve_allowed_paths() {
    let (_temp, top, projects) = world();
    let cases = [
        ("proj", "proj"),
        ("proj/", "proj"),
        ("proj/app/src", "proj/app/src"),
        ("proj/./app/../app", "proj/app"),
        ("proj/alias/src", "proj/app/src"),
        ("way-in/app", "proj/app"),
        ("project/../proj/app", "proj/app"),
        ("proj/two words", "proj/two words"),
    ];
    for (given, expected) in cases {
        let given = top.join(given);
        assert_eq!(projects.resolve(given.to_str().unwrap()), Ok(top.join(expected)), "{given:?}");
    }
}

#[test]
fn projects_refuse_other_paths_with_a_reason() {
    let (_temp, top, projects) = world();
    fs::create_dir(top.join("proj").join(OsStr::from_bytes(b"\xff"))).unwrap();
    symlink(OsStr::from_bytes(b"\xff"), top.join("proj/bytes")).unwrap();
    let cases = [
        ("project", "not inside"), // begins like `proj`
        ("proj/escape", "not inside"),
        ("proj/escape/inner", "not inside"),
        ("proj/sideways", "not inside"),
        ("proj/..", "not inside"),
        ("proj/../secret", "not inside"),
        ("proj/../nothing", "not inside"),
        ("proj/escape/nothing", "not inside"),
        ("nothing/at/all", "not inside"),
        ("proj/nothing", "does not exist"),
        ("proj/dangling", "does not exist"),
        ("proj/file", "is not a folder"),
        ("proj/file/x", "is not a folder"),
        ("proj/loop", "cannot be looked at"),
        ("proj/bytes", "not UTF-8"),
    ];
    for (given, expected) in cases {
        let given = top.join(given);
        let refusal = projects.resolve(given.to_str().unwrap()).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{given:?}: {refusal}");
        assert!(refusal.contains(given.to_str().unwrap()), "{given:?}: {refusal}");
    }
    for given in ["", "app", "./proj", "~/proj"] {
        assert_eq!(projects.resolve(given), Err(PathRefusal::Relative(given.to_owned())));
    }
    let refusal = projects.resolve("/").unwrap_err().to_string();
    assert!(refusal.contains(&projects.roots()[0]), "{refusal}");
}

#[test]
fn projects_without_folders_allow_nothing() {
    let refusal = Projects::open(&[]).unwrap().resolve("/").unwrap_err();
    assert_eq!(refusal, PathRefusal::NoneAllowed);
    assert!(refusal.to_string().contains("--projects"));
}

#[test]
fn projects_must_be_folders() {
    let (_temp, top, _) = world();
    let open = |name: &str| Projects::open(&[top.join("project"), top.join(name)]);
    assert!(matches!(open("nothing"), Err(ProjectsError::Unreadable { .. })));
    assert!(matches!(open("proj/file"), Err(ProjectsError::NotAFolder(_))));
    let projects = Projects::open(&[top.join("way-in"), top.join("project"), top.join("proj")]).unwrap();
    assert_eq!(projects.roots(), [top.join("proj").to_str().unwrap(), top.join("project").to_str().unwrap()]);
    assert!(projects.resolve(top.join("proj/sideways").to_str().unwrap()).is_ok());
}

fn param(name: &str, kind: ParamKind, default: Option<String>) -> Param {
    let (title, help, choices) = (String::new(), String::new(), Vec::new());
    Param { name: name.into(), title, help, kind, required: false, default: default.map(ParamValue::Text), choices }
}

fn pipeline(params: Vec<Param>) -> Pipeline {
    Pipeline {
        name: "p".into(),
        title: "P".into(),
        params,
        phases: vec![PhaseSpec { name: "a".into(), run: "true".into(), ..PhaseSpec::default() }],
        ..Pipeline::default()
    }
}

#[test]
fn params_have_canonical_paths_or_errors() {
    let (_temp, top, projects) = world();
    let at = |name: &str| top.join(name).to_str().unwrap().to_owned();
    let pipeline = pipeline(vec![
        param("project", ParamKind::Path, None),
        param("other", ParamKind::Path, Some(at("proj/alias"))),
        param("unset", ParamKind::Path, None),
        param("note", ParamKind::String, None),
        param("count", ParamKind::Integer, None),
    ]);

    let given = ParamInput::from([("project".into(), json!(at("way-in/app"))), ("note".into(), json!(at("way-in")))]);
    let params = check_params(&pipeline, &given, &projects).unwrap();
    let expected = [("note", at("way-in")), ("other", at("proj/app")), ("project", at("proj/app"))];
    assert_eq!(params, expected.map(|(name, text)| (name.to_owned(), ParamValue::Text(text))).into());

    let given = ParamInput::from([
        ("count".into(), json!("many")),
        ("other".into(), json!(at("proj/escape"))),
        ("project".into(), json!(5)),
        ("unset".into(), json!(at("proj/nothing"))),
        ("a".into(), json!("?")),
    ]);
    let errors = check_params(&pipeline, &given, &projects).unwrap_err();
    let found: Vec<_> = errors.iter().map(|error| (error.param.as_str(), error.code.as_str())).collect();
    let expected = [
        ("project", "wrong_type"),
        ("other", "invalid_path"),
        ("unset", "invalid_path"),
        ("count", "wrong_type"),
        ("a", "unknown"),
    ];
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn projects_allow_only_paths_inside(parts in prop::collection::vec(
        prop_oneof![
            Just("."), Just(".."), Just("proj"), Just("project"), Just("app"), Just("escape"), Just("sideways"),
            Just("alias"), Just("way-in"), Just("file"), Just("loop"), Just(""), Just("\0"), Just("é"),
        ], 0..6)) {
        let (_temp, top, projects) = world();
        if let Ok(path) = projects.resolve(&format!("{}/{}", top.display(), parts.join("/"))) {
            prop_assert!(path.starts_with(top.join("proj")), "{:?}", path);
            prop_assert_eq!(path.canonicalize().unwrap(), path);
        }
    }
}

/// A path below a folder of a worker elsewhere is accepted as it is spelled; that worker resolves it.
#[test]
fn path_below_a_remote_root_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let projects = Projects::open(&[folder.path().to_owned()]).unwrap();
    let remote = "/nowhere/on/this/machine";
    let accepted = |text: &str| projects.clone().accept(text).ok().map(|path| path.to_str().unwrap().to_owned());
    assert_eq!(accepted(&format!("{remote}/a")), None);
    projects.set_remote_roots(vec![remote.to_owned(), projects.roots()[0].clone()]);
    assert_eq!(accepted(&format!("{remote}/a")).as_deref(), Some("/nowhere/on/this/machine/a"));
    assert_eq!(accepted("//nowhere//on/this/machine/").as_deref(), Some(remote));
    for bad in
        ["nowhere/on/this/machine/a", "/nowhere/on/this/machine-2", "/nowhere/on/this/machine/../x", "/nowhere", ""]
    {
        assert_eq!(accepted(bad), None, "{bad}");
    }
    // A folder of this machine is resolved here.
    let here = folder.path().canonicalize().unwrap();
    assert_eq!(accepted(folder.path().to_str().unwrap()).as_deref(), here.to_str());
    assert!(projects.resolve(&format!("{remote}/a")).is_err(), "it is not on this machine");
    assert_eq!(projects.all_roots(), [here.to_str().unwrap(), remote]);
    projects.set_remote_roots(Vec::new());
    assert_eq!(accepted(&format!("{remote}/a")), None);
}
