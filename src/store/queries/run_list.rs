//! Pages of the list of runs, newest first.
//!
//! Each filter is a statement of its own, so that an index leads to its runs. No index serves a text that may be
//! anywhere in a run: a search looks through the newest runs a window at a time, up to a limit, and its page then ends
//! there, with fewer runs than were asked for and the place where the next page begins.

use super::containing;
use super::runs::{RUN, read_run};
use crate::model::{Run, RunFilter, RunId, Status};
use crate::store::StoreError;
use crate::store::statement::{Query, Statement, StatementBuilder, statement};
use crate::store::transaction::ReadSnapshot;

/// How far a search for text looks.
#[derive(Clone, Copy, Debug)]
pub struct SearchBounds {
    /// How many runs one statement looks through: some milliseconds.
    pub window_runs: u32,
    /// How many runs are looked through for one page.
    pub page_runs: u32,
}

impl Default for SearchBounds {
    fn default() -> Self {
        Self { window_runs: 5_000, page_runs: 50_000 }
    }
}

/// Up to `limit` runs that the filter wants, newest first, those before `before`; and the id after which the next page
/// begins. A page of a search may have fewer runs although there is a next one. `limit` and `before` are not taken from
/// the filter.
///
/// # Errors
/// The database could not be read. `before` may be a deleted run; if no run is older the page is empty.
pub async fn page(
    db: &mut impl ReadSnapshot,
    filter: &RunFilter,
    limit: u32,
    before: Option<&RunId>,
    bounds: SearchBounds,
) -> Result<(Vec<Run>, Option<RunId>), StoreError> {
    let below = match before {
        None => None,
        Some(id) => match db.fetch_optional(place(id)).await?.flatten() {
            None => return Ok((Vec::new(), None)),
            place => place,
        },
    };
    let narrow = Narrow {
        status: filter.status,
        pipeline: filter.pipeline.as_deref().filter(|name| !name.is_empty()),
        like: filter.q.as_deref().filter(|q| !q.is_empty()).map(containing),
    };
    let limit = limit as usize;
    let mut runs = Vec::new();
    let searched = match narrow.like {
        None => {
            runs = db.fetch_all(narrow.select(Window { below, from: None }, limit + 1).read(read_run)).await?;
            None
        }
        Some(_) => search(db, &narrow, below, limit + 1, bounds, &mut runs).await?,
    };
    let has_more = runs.len() > limit;
    runs.truncate(limit);
    let next = if has_more { runs.last().map(|run| run.id.clone()) } else { searched };
    Ok((runs, next))
}

/// Fills `runs` up to `wanted`. Returns the last run that was looked at, if the search ended before the list did.
async fn search(
    db: &mut impl ReadSnapshot,
    narrow: &Narrow<'_>,
    mut below: Option<i64>,
    wanted: usize,
    bounds: SearchBounds,
    runs: &mut Vec<Run>,
) -> Result<Option<RunId>, StoreError> {
    for window in 1.. {
        let last = narrow.select_last(below, bounds).read(|row| Ok((row.get::<i64>("key")?, row.get::<RunId>("id")?)));
        let last = db.fetch_optional(last).await?;
        let from = last.as_ref().map(|(key, _)| *key);
        let found = narrow.select(Window { below, from }, wanted - runs.len());
        runs.extend(db.fetch_all(found.read(read_run)).await?);
        let Some((key, id)) = last else { break };
        if runs.len() >= wanted {
            break;
        }
        if window * bounds.window_runs >= bounds.page_runs {
            return Ok(Some(id));
        }
        below = Some(key);
    }
    Ok(None)
}

/// The key below which the runs are that were created before this one, which may be deleted. NULL if there are none.
fn place(id: &RunId) -> Query<'_, Option<i64>> {
    statement!(
        "SELECT coalesce((SELECT key FROM runs WHERE id = $id),
                         (SELECT key + 1 FROM runs WHERE id < $id ORDER BY id DESC LIMIT 1)) AS place";
        id: id,
    )
    .read(|row| row.get("place"))
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
    fn push_indexed(&self, query: &mut StatementBuilder, window: Window) {
        if let Some(status) = self.status {
            query.push(" AND status = ").bind(status);
        }
        if let Some(pipeline) = self.pipeline {
            query.push(" AND pipeline = ").bind(pipeline.to_owned());
        }
        if let Some(below) = window.below {
            query.push(" AND key < ").bind(below);
        }
        if let Some(from) = window.from {
            query.push(" AND key >= ").bind(from);
        }
    }

    /// The runs of a window that match.
    fn select(&self, window: Window, limit: usize) -> Statement<'static> {
        let mut query = StatementBuilder::default();
        query.push("SELECT ").push(RUN).push(" FROM runs WHERE deleted_at IS NULL");
        self.push_indexed(&mut query, window);
        if let Some(like) = &self.like {
            // The parameters as the list shows them: name=value.
            for (index, column) in
                ["id", "pipeline", r#"replace(replace(params, '":', '='), '"', '')"#].iter().enumerate()
            {
                query.push(if index == 0 { " AND (" } else { " OR " });
                query.push(column).push(" LIKE ").bind(like.clone()).push(r" ESCAPE '\'");
            }
            query.push(")");
        }
        query.push(" ORDER BY key DESC LIMIT ").bind(limit);
        query.build()
    }

    /// The run with which a window ends that begins below this key, whether it matches the text or not.
    fn select_last(&self, below: Option<i64>, bounds: SearchBounds) -> Statement<'static> {
        let mut query = StatementBuilder::default();
        query.push("SELECT key, id FROM runs WHERE key = (SELECT key FROM runs WHERE 1 = 1");
        self.push_indexed(&mut query, Window { below, from: None });
        query.push(" ORDER BY key DESC LIMIT 1 OFFSET ").bind(bounds.window_runs - 1).push(")");
        query.build()
    }
}

/// The statements of all kinds of filters, for the test of their plans.
#[cfg(test)]
pub fn statements() -> Vec<String> {
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
        all.push(narrow.select(Window { below, from }, 51).sql.into_owned());
        all.push(narrow.select_last(below, SearchBounds::default()).sql.into_owned());
    }
    all
}
