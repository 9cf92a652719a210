//! Which files locations resolve to.

use super::*;

#[test]
fn locations_resolve_to_project_files() {
    let cases = [
        (json!({"uri": "a/b.py"}), Ok("a/b.py")),
        (json!({"uri": "./x/../a/./b.py"}), Ok("a/b.py")),
        (json!({"uri": "a\\b.py"}), Ok("a/b.py")),
        (json!({"uri": "/p/a/b.py"}), Ok("a/b.py")),
        (json!({"uri": "../p/a/b.py"}), Ok("a/b.py")),
        (json!({"uri": "file:///p/q/../a/b.py"}), Ok("a/b.py")),
        (json!({"uri": "FILE://localhost/p/a/b.py"}), Ok("a/b.py")),
        (json!({"uri": "file:/p/a/b.py"}), Ok("a/b.py")),
        (json!({"uri": "file://a/b.py"}), Ok("a/b.py")),
        (json!({"uri": "a%2fb.py"}), Ok("a/b.py")),
        (json!({"uri": "%C3%A4 %.py"}), Ok("ä %.py")),
        (json!({"uri": "100%25.py"}), Ok("100%.py")),
        (json!({"uri": "b.py", "uriBaseId": "A"}), Ok("a/b.py")),
        (json!({"uri": "b.py", "uriBaseId": "NESTED"}), Ok("a/b.py")),
        (json!({"uri": "a/b.py", "uriBaseId": "%SRCROOT%"}), Ok("a/b.py")),
        (json!({"uri": "a/b.py", "uriBaseId": "HIDDEN"}), Ok("a/b.py")),
        (json!({"uri": "file:///p/a/b.py", "uriBaseId": "A"}), Ok("a/b.py")),
        (json!({"index": 1}), Ok("a/b.py")),
        (json!({"uri": null, "index": 1}), Ok("a/b.py")),
        (json!({"uri": "a/b.py", "index": 7}), Ok("a/b.py")),
        (json!({"uri": "b.py", "uriBaseId": "LOOP"}), Err("x/x/b.py is no file that is looked at")),
        (json!({"uri": "c.py"}), Err("c.py is no file that is looked at")),
        (json!({"uri": "../x.py"}), Err("../x.py is outside the project")),
        (json!({"uri": "a/%2e%2e/%2e%2e/x.py"}), Err("a/%2e%2e/%2e%2e/x.py is no file that is looked at")),
        (json!({"uri": "/etc/passwd"}), Err("/etc/passwd is outside the project")),
        (json!({"uri": "/pp/a/b.py"}), Err("/pp/a/b.py is outside the project")),
        (json!({"uri": "file:///p"}), Err("file:///p is outside the project")),
        (json!({"uri": "https://example.org/p/a/b.py"}), Err("https://example.org/p/a/b.py is no file")),
        (json!({"uri": "C:\\p\\a\\b.py"}), Err("C:\\p\\a\\b.py is no file")),
        (json!({"uri": "x\n::frame {}"}), Err("x ::frame {} is no file that is looked at")),
        (json!({"index": -1}), Err("it names no file")),
        (json!({}), Err("it names no file")),
    ];
    for (location, expected) in cases {
        let log = run(
            "x",
            json!({
                "originalUriBaseIds": {
                    "A": {"uri": "file:///p/a"}, "P": {"uri": "file:///p/"}, "NESTED": {"uri": "a/", "uriBaseId": "P"},
                    "HIDDEN": {"description": {"text": "…"}}, "LOOP": {"uri": "x/", "uriBaseId": "LOOP2"},
                    "LOOP2": {"uriBaseId": "LOOP"},
                },
                "artifacts": [{"location": {"uri": "c.py"}}, {"location": {"uri": "b.py", "uriBaseId": "A"}}],
                "results": [{"ruleId": "r", "message": {"text": "m"},
                             "locations": [{"physicalLocation": {"artifactLocation": location}}]}],
            }),
        );
        let (found, skipped) = read_with(&log, &[("a/b.py", ""), ("ä %.py", ""), ("100%.py", "")]);
        match expected {
            Ok(path) => {
                assert_eq!(skipped, Vec::<String>::new(), "{location}");
                assert_eq!((found[0].path.as_str(), found[0].line, found[0].column), (path, 1, 1), "{location}");
            }
            // The number of rounds in a cycle is not specified.
            Err(why) if why.starts_with("x/x") => assert_eq!((found, skipped.len()), (vec![], 1)),
            Err(why) => assert_eq!((found, skipped), (vec![], vec![format!("skipped findings of r: {why}")])),
        }
    }
}

#[test]
fn project_root_is_normalized() {
    for root in ["/p", "/p/", "/x/../p/.", "//p"] {
        let log = run("x", json!({"results": [result("file:///p/a", json!({}))]})).to_string();
        let (found, _) = read(&log, Path::new(root), |_| Some(String::new())).unwrap();
        assert_eq!(found[0].path, "a", "{root}");
    }
}
