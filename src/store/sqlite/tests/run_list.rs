use proptest::prelude::*;

use crate::model::{RunFilter, Status};
use crate::store::Durability;
use crate::store::queries::run_list::{SearchBounds, page};
use crate::store::sqlite::{SqliteDatabase, fixtures};

/// So small that a list of some hundred runs has many windows.
const BOUNDS: SearchBounds = SearchBounds { window_runs: 7, page_runs: 70 };

const PIPELINES: [&str; 3] = ["alpha", "beta", "50%_x"];

fn filter() -> impl Strategy<Value = RunFilter> {
    let status = prop::option::of(prop::sample::select(vec![Status::Completed, Status::Failed, Status::Pending]));
    let pipeline = prop::option::of(prop::sample::select(PIPELINES.to_vec()));
    let q = prop::option::of(prop::sample::select(vec!["alpha", "A", "%", "_x", "zzz"]));
    (status, pipeline, q).prop_map(|(status, pipeline, q)| RunFilter {
        status,
        pipeline: pipeline.map(str::to_owned),
        q: q.map(str::to_owned),
        ..RunFilter::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Page after page gives each run that matches once, newest first, and pages get somewhere even where nothing
    /// matches.
    #[test]
    fn run_list_pages_give_each_match_once_in_order(
        runs in prop::collection::vec((0usize..3, 0usize..3, prop::bool::weighted(0.1)), 0..300),
        filter in filter(),
        limit in 1u32..40,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("x.db");
            let database = SqliteDatabase::open(&file, Durability::Normal).await.unwrap();
            let mut db = rusqlite::Connection::open(&file).unwrap();
            let tx = db.transaction().unwrap();
            let mut expected = Vec::new();
            for (pipeline, status, deleted) in runs {
                let status = [Status::Completed, Status::Failed, Status::Pending][status];
                let key = fixtures::run(&tx, PIPELINES[pipeline], status, 1);
                let deleted = deleted && status.is_finished();
                if deleted {
                    tx.execute("UPDATE runs SET deleted_at = 1 WHERE key = ?", [key]).unwrap();
                }
                let q = filter.q.as_ref().is_none_or(|q| PIPELINES[pipeline].contains(&q.to_lowercase()));
                let named = filter.pipeline.as_ref().is_none_or(|name| name == PIPELINES[pipeline]);
                let id: String = tx.query_row("SELECT id FROM runs WHERE key = ?", [key], |row| row.get(0)).unwrap();
                // Ids are hexadecimal, so `A` is in most of them.
                let q = q || filter.q.as_ref().is_some_and(|q| id.contains(&q.to_lowercase()));
                if !deleted && q && named && filter.status.is_none_or(|wanted| wanted == status) {
                    expected.push(id);
                }
            }
            tx.commit().unwrap();
            expected.reverse();
            let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
            loop {
                let mut db = database.single().await.unwrap();
                let (runs, next) = page(&mut db, &filter, limit, before.as_ref(), BOUNDS).await.unwrap();
                prop_assert!(runs.len() <= limit as usize);
                found.extend(runs.into_iter().map(|run| run.id.to_string()));
                pages += 1;
                let Some(next) = next else { break };
                before = Some(next);
            }
            prop_assert_eq!(&found, &expected);
            prop_assert!(pages <= expected.len() / limit as usize + 300 / BOUNDS.page_runs as usize + 2);
            Ok(())
        })?;
    }
}
