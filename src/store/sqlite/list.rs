//! Pages of the list of runs, newest first.
//!
//! Each filter is a statement of its own, so that an index leads to its runs. No index serves a text that may stand
//! anywhere in a run: a search looks through the newest runs a window at a time, up to [`SEARCHED`] of them, and its
//! page then ends there, with fewer runs than were asked for and with the place where the next page goes on.

use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::classify;
use super::rows::{self, RUN};
use crate::model::{Run, RunFilter, RunId, Status};
use crate::store::StoreError;

/// How many runs a search looks through in one statement: some milliseconds.
const WINDOW: u32 = if cfg!(test) { 7 } else { 5_000 };

/// How many runs a search looks through for one page.
pub(super) const SEARCHED: u32 = WINDOW * 10;

/// See [`crate::store::RunStore::list`].
pub(super) async fn page(
    reads: &SqlitePool,
    filter: &RunFilter,
    limit: u32,
    before: Option<&RunId>,
) -> Result<(Vec<Run>, Option<RunId>), StoreError> {
    let below = match before {
        None => None,
        Some(id) => match place(reads, id).await? {
            None => return Ok((Vec::new(), None)),
            place => place,
        },
    };
    let narrow = Narrow {
        status: filter.status,
        pipeline: filter.pipeline.as_deref().filter(|name| !name.is_empty()),
        like: filter.q.as_deref().filter(|q| !q.is_empty()).map(rows::containing),
    };
    let limit = limit as usize;
    let mut runs = Vec::new();
    let searched = match narrow.like {
        None => {
            runs = narrow.runs(reads, Window { below, from: None }, limit + 1).await?;
            None
        }
        Some(_) => search(reads, &narrow, below, limit + 1, &mut runs).await?,
    };
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = if more { runs.last().map(|run| run.id.clone()) } else { searched };
    Ok((runs, next))
}

/// Fills `runs` up to `wanted`. The last run that was looked at, if the search ended before the list did.
async fn search(
    reads: &SqlitePool,
    narrow: &Narrow<'_>,
    mut below: Option<i64>,
    wanted: usize,
    runs: &mut Vec<Run>,
) -> Result<Option<RunId>, StoreError> {
    for window in 1.. {
        let last = narrow.last_of_window(reads, below).await?;
        let from = last.as_ref().map(|(key, _)| *key);
        runs.extend(narrow.runs(reads, Window { below, from }, wanted - runs.len()).await?);
        let Some((key, id)) = last else { break };
        if runs.len() >= wanted {
            break;
        }
        if window * WINDOW >= SEARCHED {
            return Ok(Some(id));
        }
        below = Some(key);
    }
    Ok(None)
}

/// The key below which the runs are that were asked for before this one, which may be deleted. `None` if there are
/// none.
async fn place(reads: &SqlitePool, id: &RunId) -> Result<Option<i64>, StoreError> {
    let query = sqlx::query_scalar(
        "SELECT coalesce((SELECT key FROM runs WHERE id = ?1),
                         (SELECT key + 1 FROM runs WHERE id < ?1 ORDER BY id DESC LIMIT 1))",
    );
    query.bind(id.as_str()).fetch_one(reads).await.map_err(classify)
}

/// Which runs are wanted.
struct Narrow<'a> {
    status: Option<Status>,
    pipeline: Option<&'a str>,
    /// A pattern of `LIKE`.
    like: Option<String>,
}

/// Runs with keys below one and from another on.
#[derive(Clone, Copy, Default)]
struct Window {
    below: Option<i64>,
    from: Option<i64>,
}

impl Narrow<'_> {
    /// Appends what an index serves, newest first being its order.
    fn push_indexed(&self, query: &mut QueryBuilder<Sqlite>, window: Window) {
        if let Some(status) = self.status {
            query.push(" AND status = ").push_bind(status.as_str());
        }
        if let Some(pipeline) = self.pipeline {
            query.push(" AND pipeline = ").push_bind(pipeline.to_owned());
        }
        if let Some(below) = window.below {
            query.push(" AND key < ").push_bind(below);
        }
        if let Some(from) = window.from {
            query.push(" AND key >= ").push_bind(from);
        }
    }

    /// The runs of a window that match.
    fn select(&self, window: Window, limit: usize) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::new(format!("SELECT {RUN} FROM runs WHERE deleted_at IS NULL"));
        self.push_indexed(&mut query, window);
        if let Some(like) = &self.like {
            // The parameters as the list shows them: name=value.
            for (index, column) in
                ["id", "pipeline", r#"replace(replace(params, '":', '='), '"', '')"#].iter().enumerate()
            {
                query.push(if index == 0 { " AND (" } else { " OR " });
                query.push(column).push(" LIKE ").push_bind(like.clone()).push(r" ESCAPE '\'");
            }
            query.push(")");
        }
        query.push(" ORDER BY key DESC LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        query
    }

    /// The run with which a window ends that begins below this key, whether it matches the text or not.
    fn select_last(&self, below: Option<i64>) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::new("SELECT key, id FROM runs WHERE key = (SELECT key FROM runs WHERE 1");
        self.push_indexed(&mut query, Window { below, from: None });
        query.push(" ORDER BY key DESC LIMIT 1 OFFSET ").push_bind(WINDOW - 1).push(")");
        query
    }

    async fn runs(&self, reads: &SqlitePool, window: Window, limit: usize) -> Result<Vec<Run>, StoreError> {
        let found = self.select(window, limit).build().fetch_all(reads).await.map_err(classify)?;
        found.iter().map(rows::run).collect::<Result<_, _>>().map_err(classify)
    }

    async fn last_of_window(&self, reads: &SqlitePool, below: Option<i64>) -> Result<Option<(i64, RunId)>, StoreError> {
        let found = self.select_last(below).build().fetch_optional(reads).await.map_err(classify)?;
        let read = |row: sqlx::sqlite::SqliteRow| {
            use sqlx::Row;
            Ok((row.try_get("key")?, rows::id(row.try_get("id")?, "id")?))
        };
        found.map(read).transpose().map_err(classify)
    }
}

/// The statements of all kinds of filters, for the test of their plans.
#[cfg(test)]
pub(super) fn statements() -> Vec<String> {
    let mut all = Vec::new();
    for bits in 0..16u8 {
        let is = |bit: u8| bits & (1 << bit) != 0;
        let narrow = Narrow {
            status: is(0).then_some(Status::Failed),
            pipeline: is(1).then_some("p"),
            like: is(2).then(|| "%x%".to_owned()),
        };
        let below = is(3).then_some(9);
        let from = narrow.like.is_some().then_some(5);
        all.push(narrow.select(Window { below, from }, 51).into_string());
        all.push(narrow.select_last(below).into_string());
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::sqlite::{Durability, SqliteStore, by_hand};

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
        fn pages_give_what_matches_once_and_in_order(
            runs in prop::collection::vec((0usize..3, 0usize..3, prop::bool::weighted(0.1)), 0..300),
            filter in filter(),
            limit in 1u32..40,
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("x.db");
                let store = SqliteStore::open(&file, Durability::Normal).await.unwrap();
                let mut db = rusqlite::Connection::open(&file).unwrap();
                let tx = db.transaction().unwrap();
                let mut expected = Vec::new();
                for (pipeline, status, deleted) in runs {
                    let status = [Status::Completed, Status::Failed, Status::Pending][status];
                    let key = by_hand::run(&tx, PIPELINES[pipeline], status, 1);
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
                    let (runs, next) = page(&store.reads, &filter, limit, before.as_ref()).await.unwrap();
                    prop_assert!(runs.len() <= limit as usize);
                    found.extend(runs.into_iter().map(|run| run.id.to_string()));
                    pages += 1;
                    let Some(next) = next else { break };
                    before = Some(next);
                }
                prop_assert_eq!(&found, &expected);
                prop_assert!(pages <= expected.len() / limit as usize + 300 / SEARCHED as usize + 2);
                Ok(())
            })?;
        }
    }
}
