//! Files of the commit that cannot be read fail the run with one reason, within seconds.

use std::time::Instant;

use super::*;

fn many(world: &World) -> Repository {
    let repository = Repository::new(world, "source");
    repository.git(&["config", "uploadpack.allowFilter", "true"]);
    for file in 0..300 {
        repository.write(&format!("d{}/f{file}.py", file % 7), format!("x{file} = None\nif x{file} == None: pass\n"));
    }
    repository.commit(&[("a.py", "y = 1\n")]);
    repository
}

#[tokio::test]
async fn repository_partial_clone_names_the_remedy() {
    let world = World::new();
    let source = many(&world);
    let clone = world.file("clone");
    let url = format!("file://{}", source.path().display());
    source.git(&["clone", "--quiet", "--filter=blob:none", "--sparse", &url, clone.to_str().unwrap()]);
    let clone = Repository::at(clone);
    let away = world.file("away");
    std::fs::rename(source.path(), &away).unwrap();
    let server = world.serve();
    for params in [json!({ "rules": "python" }), json!({ "rules": "python", "check": "true" })] {
        let begun = Instant::now();
        let id = start_with(&server, "autofix", json!({ "project": clone.path() }), params).await;
        let run = finished(&server, &id).await;
        assert_eq!((&run["status"], &run["phases"][0]["state"]), (&json!("failed"), &json!("failed")), "{run}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        let error = told(&server, &id, "error").await.remove(0);
        assert_eq!(error["code"], "unreadable_files");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("the clone lacks 300 files of commit"), "{message}");
        assert!(message.contains("fetch --refetch --no-filter"), "{message}");
        assert!(server.lines(&id).await.len() < 20);
    }
    // The command in the message helps.
    std::fs::rename(&away, source.path()).unwrap();
    clone.git(&["fetch", "--quiet", "--refetch", "--no-filter"]);
    let id = start_with(
        &server,
        "autofix",
        json!({ "project": clone.path(), "rules": "python" }),
        json!({ "check": "true" }),
    )
    .await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    assert_eq!(told(&server, &id, "patch").await.len(), 300);
}

#[tokio::test]
async fn repository_damaged_object_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new();
    let source = many(&world);
    let object = source.git(&["rev-parse", "HEAD:d3/f3.py"]);
    let path = source.path().join(".git/objects").join(&object[..2]).join(object[2..].trim());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&path, "garbage").unwrap();
    let server = world.serve();
    let project = || json!({ "project": source.path(), "rules": "python" });
    // It lies in the working tree as it was committed, so nothing is missing.
    let id = start_with(&server, "autofix", project(), json!({ "dry_run": true })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    source.write("d3/f3.py", "changed = 1\n");
    for check in ["", "true"] {
        let id = start_with(&server, "autofix", project(), json!({ "dry_run": true, "check": check })).await;
        let run = finished(&server, &id).await;
        assert_eq!(run["status"], "failed", "{run}");
        let error = told(&server, &id, "error").await.remove(0);
        assert_eq!(error["code"], "unreadable_files");
        assert!(error["message"].as_str().unwrap().contains("d3/f3.py: "), "{error}");
    }
}
