//! Which of the folders that runs need this instance has. Only where several instances share the database.

use std::collections::BTreeSet;

use crate::pipelines::Projects;

/// The most folders that are offered at once. Beyond that, those that no pending run needs are dropped.
const MAX_OFFERED: usize = 500;

/// The folders that this instance has, of those that runs have needed so far.
#[derive(Debug, Default)]
pub struct OfferedFolders {
    offered: BTreeSet<String>,
}

impl OfferedFolders {
    /// Looks for the folders that pending runs need, and for the offered ones again. Returns whether the offers have
    /// changed.
    pub async fn update(&mut self, projects: &Projects, needed: Vec<String>) -> bool {
        let needed: BTreeSet<String> = needed.into_iter().collect();
        let mut candidates = needed.clone();
        if self.offered.len() <= MAX_OFFERED {
            candidates.extend(self.offered.iter().cloned());
        }
        let projects = projects.clone();
        let look = move || candidates.into_iter().filter(|folder| projects.resolve(folder).is_ok()).collect();
        // It fails only while the program ends.
        let Ok(found) = tokio::task::spawn_blocking(look).await else { return false };
        let found: BTreeSet<String> = found;
        let is_changed = found != self.offered;
        self.offered = found;
        is_changed
    }

    pub fn iter(&self) -> impl Iterator<Item = &String> {
        self.offered.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn offered_folders_exist_below_the_allowed_ones() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let projects = Projects::open(&[root.path().to_owned()]).unwrap();
        let path = |name: &str| root.path().canonicalize().unwrap().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(path("a")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), path("link")).unwrap();
        let outside = elsewhere.path().to_str().unwrap().to_owned();
        let mut folders = OfferedFolders::default();
        let needed = vec![path("a"), path("missing"), path("link"), outside];
        assert!(folders.update(&projects, needed.clone()).await);
        assert_eq!(folders.iter().collect::<Vec<_>>(), [&path("a")]);
        assert!(!folders.update(&projects, Vec::new()).await, "it is still offered when no run needs it");
        std::fs::create_dir(path("missing")).unwrap();
        assert!(folders.update(&projects, needed).await);
        assert_eq!(folders.iter().collect::<Vec<_>>(), [&path("a"), &path("missing")]);
        std::fs::remove_dir(path("a")).unwrap();
        assert!(folders.update(&projects, Vec::new()).await);
        assert_eq!(folders.iter().collect::<Vec<_>>(), [&path("missing")]);
    }
}
