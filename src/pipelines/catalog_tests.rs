//! The catalog on real folders. No test sleeps: each waits for a notification of the catalog.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;

fn pipeline(name: &str, title: &str) -> String {
    format!("name = '{name}'\ntitle = '{title}'\n[[phases]]\nname = 'a'\nrun = 'true'\n")
}

/// Waits until the catalog's pipelines have these titles, by name, and as many files are refused.
async fn shows(catalog: &Catalog, titles: &[&str], refused: usize) {
    let mut changes = catalog.subscribe();
    let shown = changes.wait_for(|snapshot| {
        snapshot.pipelines.values().map(|pipeline| pipeline.title.as_str()).eq(titles.iter().copied())
            && snapshot.faults.len() == refused
    });
    let in_time = tokio::time::timeout(Duration::from_secs(20), shown).await.is_ok();
    assert!(in_time, "wanted {titles:?} and {refused} refused, have {:?}", catalog.snapshot());
}

#[test]
fn catalog_without_folder_is_empty_and_missing_folder_fails() {
    let catalog = Catalog::open(None, Vec::new()).unwrap();
    assert!(catalog.all().is_empty() && catalog.faults().is_empty() && catalog.get("x").is_none());

    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = Catalog::open(Some(missing.clone()), Vec::new()).unwrap_err().to_string();
    assert!(error.contains(missing.to_str().unwrap()) && error.contains("--pipelines"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Catalog::open(Some(file), Vec::new()), Err(CatalogError::Folder { .. })));
}

#[test]
fn catalog_is_sorted_by_title() {
    let folder = tempfile::tempdir().unwrap();
    for (name, title) in [("a", "zebra"), ("b", "Apple"), ("c", "apple"), ("d", "Mango")] {
        fs::write(folder.path().join(format!("{name}.toml")), pipeline(name, title)).unwrap();
    }
    let catalog = Catalog::open(Some(folder.path().to_owned()), Vec::new()).unwrap();
    let names: Vec<_> = catalog.all().into_iter().map(|pipeline| pipeline.name).collect();
    assert_eq!(names, ["b", "c", "d", "a"]);
    assert_eq!(catalog.get("d").unwrap().title, "Mango");
}

#[tokio::test]
async fn catalog_notices_every_kind_of_file_change() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("one.toml"), pipeline("one", "1")).unwrap();
    let catalog = Catalog::open(Some(folder.path().to_owned()), Vec::new()).unwrap();
    shows(&catalog, &["1"], 0).await;
    let held = catalog.get("one").unwrap();

    fs::write(at("two.toml"), pipeline("two", "2")).unwrap(); // created
    shows(&catalog, &["1", "2"], 0).await;
    fs::write(at("two.toml"), "name = ").unwrap(); // broken in place: the other one stays
    shows(&catalog, &["1"], 1).await;
    fs::write(at("two.toml"), pipeline("two", "2b")).unwrap(); // repaired
    shows(&catalog, &["1", "2b"], 0).await;
    fs::write(at("one.toml.tmp"), pipeline("one", "1b")).unwrap(); // saved as editors do
    fs::rename(at("one.toml.tmp"), at("one.toml")).unwrap();
    shows(&catalog, &["1b", "2b"], 0).await;
    fs::rename(at("two.toml"), at("two.off")).unwrap(); // renamed away
    shows(&catalog, &["1b"], 0).await;
    fs::remove_file(at("one.toml")).unwrap(); // removed
    shows(&catalog, &[], 0).await;
    assert_eq!(held.title, "1");
}

#[tokio::test]
async fn catalog_survives_a_missing_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("pipelines");
    let make = |title: &str| {
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("one.toml"), pipeline("one", title)).unwrap();
    };
    make("1");
    let catalog = Catalog::open(Some(folder.clone()), Vec::new()).unwrap();

    fs::remove_dir_all(&folder).unwrap();
    make("2"); // at once, perhaps on the same inode
    shows(&catalog, &["2"], 0).await;
    fs::rename(&folder, parent.path().join("old")).unwrap();
    shows(&catalog, &["2"], 1).await; // served on, and said so
    assert!(catalog.faults()[0].reason.contains("until it is back"));
    make("3");
    shows(&catalog, &["3"], 0).await;
    fs::write(folder.join("one.toml"), pipeline("one", "4")).unwrap(); // and is watched again
    shows(&catalog, &["4"], 0).await;
    fs::remove_dir_all(&folder).unwrap();
    shows(&catalog, &["4"], 1).await;
}

#[tokio::test]
async fn catalog_follows_a_link_to_another_folder() {
    let parent = tempfile::tempdir().unwrap();
    for version in ["v1", "v2"] {
        fs::create_dir(parent.path().join(version)).unwrap();
        fs::write(parent.path().join(version).join("one.toml"), pipeline("one", version)).unwrap();
    }
    let link = parent.path().join("current");
    symlink("v1", &link).unwrap();
    let catalog = Catalog::open(Some(link.clone()), Vec::new()).unwrap();
    shows(&catalog, &["v1"], 0).await;
    symlink("v2", parent.path().join("next")).unwrap();
    fs::rename(parent.path().join("next"), &link).unwrap();
    shows(&catalog, &["v2"], 0).await;
    fs::write(link.join("one.toml"), pipeline("one", "v3")).unwrap();
    shows(&catalog, &["v3"], 0).await;
}

#[test]
fn catalog_thread_ends_with_the_last_clone() {
    let folder = tempfile::tempdir().unwrap();
    let (catalog, thread) = follow(folder.path(), Vec::new()).unwrap();
    let clone = catalog.clone();
    drop(catalog);
    assert!(!thread.is_finished());
    drop(clone);
    let (ended, end) = std::sync::mpsc::channel();
    thread::spawn(move || ended.send(thread.join().is_ok()));
    assert_eq!(end.recv_timeout(Duration::from_secs(20)), Ok(true));
}
