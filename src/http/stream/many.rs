//! `GET /events?run={id}:{after}&run=…&list=1`: the streams of several runs, and the list, over one connection.
//!
//! A browser gives a host six connections, so all of its tabs share this one. Cursors are in the URL; a reader that wants
//! other runs comes back with another set.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll, unfold};
use tokio::sync::Semaphore;

use super::crowds::Listener;
use super::{App, Source, Told, answer};
use crate::access::Granted;
use crate::http::connections::LentSocket;
use crate::journal::{Form, ListReader, ListStep, Seat, Step};
use crate::model::sse::{MAX_STREAM_RUNS, StreamPosition};
use crate::model::{Cursor, Problem, ProblemCode, RunId, sse};
use crate::runs::run_id;
use crate::store::{JournalHead, StoreError};

/// `GET /events`
pub async fn many(
    State(app): State<App>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    Extension(socket): Extension<Arc<LentSocket>>,
    Extension(granted): Extension<Granted>,
) -> Result<Response, Problem> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let Wanted { runs, list } = Wanted::read(&query)?;
    // The list first: what changes from here on is told, whatever the runs' own streams take to begin.
    let list = list.then(|| app.service.journal.watch_list());
    let mut standings = Vec::with_capacity(runs.len());
    let mut readers = SelectAll::new();
    let mut heads = Vec::with_capacity(runs.len());
    let mut over = list.is_none();
    // A client that does not read costs a page of one run, not one of each.
    let turns = Arc::new(Semaphore::new(1));
    for (run, cursor) in runs {
        let (reader, JournalHead { head, status, attempt, .. }) =
            app.service.read(&run, cursor, Form::Named(run.clone())).await?;
        let listener = Listener::new(&app.crowds, &run, reader.by_turns(&turns), &socket);
        over &= status.is_finished() && cursor.0 == head;
        standings.push(StreamPosition { run: run.clone(), head, status, attempt });
        heads.push(Head { run, told: cursor.0, seat: listener.seat() });
        readers.push(steps(readers.len(), listener));
    }
    if over {
        // As in the stream of one run: there is nothing more to tell.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let ready = sse::multiplexed_ready_event(&standings, list.is_some());
    Ok(answer(&app, granted, socket, ready, Many { live: heads.len(), readers, heads, list: list.map(list_steps) }))
}

/// What a URL asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// Each run with its cursor.
    runs: Vec<(RunId, Cursor)>,
    list: bool,
}

impl Wanted {
    fn read(query: &[(String, String)]) -> Result<Self, Problem> {
        let bad = |detail: String| Problem::new(ProblemCode::BadRequest, detail);
        let mut wanted = Self { runs: Vec::new(), list: false };
        for (name, value) in query {
            match name.as_str() {
                "run" => {
                    let (id, after) = value
                        .rsplit_once(':')
                        .ok_or_else(|| bad(format!("`run={value}` names no cursor; give run={{id}}:{{after}}.")))?;
                    let (cursor, run) = (Cursor::parse(after)?, run_id(id)?);
                    if wanted.runs.iter().any(|(known, _)| *known == run) {
                        return Err(bad(format!("The run `{run}` is asked for twice.")));
                    }
                    wanted.runs.push((run, cursor));
                }
                "list" => {
                    wanted.list = match value.as_str() {
                        "1" => true,
                        "0" | "" => false,
                        _ => return Err(bad(format!("`list={value}` is neither 0 nor 1."))),
                    }
                }
                _ => {}
            }
        }
        match wanted.runs.len() {
            0 if !wanted.list => Err(bad("Nothing is asked for; give run={id}:{after}, list=1, or both.".to_owned())),
            count if count > MAX_STREAM_RUNS => {
                Err(bad(format!("{count} runs are asked for; at most {MAX_STREAM_RUNS} fit a stream.")))
            }
            _ => Ok(wanted),
        }
    }
}

/// What one of the runs tells: its index, the cursor after it, and the step.
type One = (usize, u64, Result<Step, StoreError>);

/// The steps of a listener, up to and with the last.
fn steps(index: usize, listener: Listener) -> BoxStream<'static, One> {
    let next = move |listener: Option<Listener>| async move {
        let mut listener = listener?;
        let step = listener.next().await;
        let cursor = listener.cursor();
        let more = matches!(step, Ok(Step::Frames(_)));
        Some(((index, cursor, step), more.then_some(listener)))
    };
    unfold(Some(listener), next).boxed()
}

/// What the list tells, without an end.
fn list_steps(list: ListReader) -> BoxStream<'static, Result<ListStep, StoreError>> {
    unfold(list, |mut list| async move { Some((list.next().await, list)) }).boxed()
}

/// How far a run was told.
struct Head {
    run: RunId,
    told: u64,
    /// Where it may have been told more.
    seat: Option<Arc<Seat<LentSocket>>>,
}

impl Head {
    fn seq(&self) -> u64 {
        self.seat.as_ref().map_or(0, |seat| seat.cursor()).max(self.told)
    }
}

struct Many {
    /// Each run takes its turn, however much another one has to tell.
    readers: SelectAll<BoxStream<'static, One>>,
    /// How many runs may have more to tell.
    live: usize,
    /// How far each run was told.
    heads: Vec<Head>,
    /// Kept between two turns, as the runs are, so that they cannot starve it.
    list: Option<BoxStream<'static, Result<ListStep, StoreError>>>,
}

impl Many {
    fn told(&mut self, (index, cursor, step): One) -> Result<Told, StoreError> {
        let Some(Head { run, told, .. }) = self.heads.get_mut(index) else { return Ok(Told::Events(Vec::new())) };
        *told = cursor;
        let last_of_run = match step {
            Ok(Step::Frames(pieces)) => return Ok(Told::Events(pieces)),
            Ok(Step::End(pulse)) => sse::multiplexed_end_event(run, pulse.status, pulse.head),
            // A deleted run is no reason to end the streams of the others.
            Err(StoreError::Gone) => sse::multiplexed_problem_event(run, &StoreError::Gone.into()),
            Err(error) => return Err(error),
        };
        self.live -= 1;
        let is_last = self.live == 0 && self.list.is_none();
        Ok(if is_last { Told::Last(last_of_run) } else { Told::Events(vec![last_of_run.into()]) })
    }
}

impl Source for Many {
    async fn next(&mut self) -> Result<Told, StoreError> {
        let Self { readers, list, .. } = self;
        let listed = async {
            match list {
                Some(list) => list.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(one) = readers.next() => self.told(one),
            Some(step) = listed => Ok(match step? {
                ListStep::Runs(runs) => Told::Events(runs.iter().map(|run| sse::list_event(run).into()).collect()),
                ListStep::Lagged => Told::Failed(Problem::new(
                    ProblemCode::Lagged,
                    "So much of the list has changed that it has to be read again.",
                )),
            }),
        }
    }

    fn heartbeat(&self) -> String {
        sse::multiplexed_heartbeat_event(self.heads.iter().map(|head| (&head.run, head.seq())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "01939f1c-8f2a-7c3e-9d5b-0123456789ab";

    fn id(n: usize) -> String {
        format!("01939f1c-8f2a-7c3e-9d5b-{n:012x}")
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Wanted, ProblemCode> {
        let query: Vec<_> = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Wanted::read(&query).map_err(|problem| problem.code)
    }

    #[test]
    fn reads_what_is_asked_for() {
        let wanted = |runs: &[(&str, u64)], list| {
            let runs = runs.iter().map(|&(id, after)| (id.parse().unwrap(), Cursor(after))).collect();
            Ok(Wanted { runs, list })
        };
        assert_eq!(read(&[("list", "1")]), wanted(&[], true));
        assert_eq!(read(&[("run", &format!("{RUN}:7")), ("x", "y")]), wanted(&[(RUN, 7)], false));
        let (x, y) = (id(1), id(2));
        let both = [("run", &*format!("{x}:0")), ("list", "0"), ("run", &*format!("{y}:1"))];
        assert_eq!(read(&both), wanted(&[(&x, 0), (&y, 1)], false));
    }

    #[test]
    fn refuses_what_cannot_be() {
        let upper = RUN.to_uppercase();
        let many: Vec<(&str, String)> = (0..=MAX_STREAM_RUNS).map(|n| ("run", format!("{}:0", id(n)))).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert!(read(&many[1..]).is_ok());
        for (pairs, code) in [
            (&[][..], ProblemCode::BadRequest),
            (&[("list", "0")], ProblemCode::BadRequest),
            (&[("list", "yes")], ProblemCode::BadRequest),
            (&[("run", RUN)], ProblemCode::BadRequest),
            (&[("run", "")], ProblemCode::BadRequest),
            (&[("run", "x:")], ProblemCode::BadCursor),
            (&[("run", "x:-1")], ProblemCode::BadCursor),
            (&[("run", "x:1")], ProblemCode::RunNotFound),
            (&[("run", &format!("{RUN}:1")), ("run", &format!("{upper}:2"))], ProblemCode::BadRequest),
            (&many, ProblemCode::BadRequest),
        ] {
            assert_eq!(read(pairs), Err(code), "{pairs:?}");
        }
    }
}
