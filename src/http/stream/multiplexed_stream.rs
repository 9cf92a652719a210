//! `GET /events?run={id}:{after}&run=…&list=1`: the events of several runs, and of the run list, on one connection.
//!
//! A browser opens six connections to a host, so all of its tabs share this stream. The cursors are in the URL: a
//! client that needs other runs opens another stream.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll, unfold};
use tokio::sync::Semaphore;

use super::broadcast_registry::GroupReader;
use super::{AppState, EventBatch, EventSource, respond};
use crate::access::Principal;
use crate::http::connections::SharedSocket;
use crate::journal::{FrameEncoding, ListReader, ListStep, Member, ReadStep};
use crate::model::sse::{MAX_STREAM_RUNS, StreamPosition};
use crate::model::{Cursor, Problem, ProblemCode, RunId, sse};
use crate::runs::run_id;
use crate::store::{JournalHead, StoreError};

/// `GET /events`
pub async fn multiplexed_events(
    State(app): State<AppState>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    Extension(socket): Extension<Arc<SharedSocket>>,
    Extension(principal): Extension<Principal>,
) -> Result<Response, Problem> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let StreamRequest { runs, list } = StreamRequest::read(&query)?;
    // The list first, so that no change is missed while the runs are looked up.
    let list = list.then(|| app.backend.journal.watch_list());
    let mut positions = Vec::with_capacity(runs.len());
    let mut readers = SelectAll::new();
    let mut progress = Vec::with_capacity(runs.len());
    let mut is_over = list.is_none();
    // With one read permit, a client that does not read costs the memory of one page, not of one per run.
    let read_permit = Arc::new(Semaphore::new(1));
    for (run, cursor) in runs {
        let (alone, JournalHead { head, status, attempt, .. }) =
            crate::runs::open_reader(&app.backend, &run, cursor, FrameEncoding::Multiplexed(run.clone())).await?;
        let reader = GroupReader::new(&app.broadcasts, &run, alone.share_read_permit(&read_permit), &socket);
        is_over &= status.is_finished() && cursor.0 == head;
        positions.push(StreamPosition { run: run.clone(), head, status, attempt });
        progress.push(RunProgress { run, sent: cursor.0, member: reader.member() });
        readers.push(steps(readers.len(), reader));
    }
    if is_over {
        // As in the stream of one run: there are no more events.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let ready = sse::multiplexed_ready_event(&positions, list.is_some());
    Ok(respond(
        &app,
        principal,
        socket,
        ready,
        MultiplexedSource { live: progress.len(), readers, progress, list: list.map(list_steps) },
    ))
}

/// What a URL requests.
#[derive(Debug, PartialEq, Eq)]
struct StreamRequest {
    /// Each run with its cursor.
    runs: Vec<(RunId, Cursor)>,
    list: bool,
}

impl StreamRequest {
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

/// A step of one run: its index, the cursor after the step, and the step.
type RunStep = (usize, u64, Result<ReadStep, StoreError>);

/// The steps of a reader, up to its last one.
fn steps(index: usize, reader: GroupReader) -> BoxStream<'static, RunStep> {
    let next = move |reader: Option<GroupReader>| async move {
        let mut reader = reader?;
        let step = reader.next().await;
        let cursor = reader.cursor();
        let more = matches!(step, Ok(ReadStep::Frames(_)));
        Some(((index, cursor, step), more.then_some(reader)))
    };
    unfold(Some(reader), next).boxed()
}

/// The steps of the list. They have no end.
fn list_steps(list: ListReader) -> BoxStream<'static, Result<ListStep, StoreError>> {
    unfold(list, |mut list| async move { Some((list.next().await, list)) }).boxed()
}

/// How far a run has been sent.
struct RunProgress {
    run: RunId,
    sent: u64,
    /// Its cursor also counts broadcast frames.
    member: Option<Arc<Member<SharedSocket>>>,
}

impl RunProgress {
    fn seq(&self) -> u64 {
        self.member.as_ref().map_or(0, |member| member.cursor()).max(self.sent)
    }
}

struct MultiplexedSource {
    /// Runs take turns, however many frames one of them has.
    readers: SelectAll<BoxStream<'static, RunStep>>,
    /// How many runs may have more events.
    live: usize,
    /// The progress of each run.
    progress: Vec<RunProgress>,
    /// Kept from one call to the next, as the runs are, so that they cannot starve it.
    list: Option<BoxStream<'static, Result<ListStep, StoreError>>>,
}

impl MultiplexedSource {
    fn on_run_step(&mut self, (index, cursor, step): RunStep) -> Result<EventBatch, StoreError> {
        let Some(RunProgress { run, sent, .. }) = self.progress.get_mut(index) else {
            return Ok(EventBatch::Events(Vec::new()));
        };
        *sent = cursor;
        let last_event = match step {
            Ok(ReadStep::Frames(frames)) => return Ok(EventBatch::Events(frames)),
            Ok(ReadStep::End(head)) => sse::multiplexed_end_event(run, head.status, head.head),
            // A deleted run does not end the streams of the others.
            Err(StoreError::Gone) => sse::multiplexed_problem_event(run, &StoreError::Gone.into()),
            Err(error) => return Err(error),
        };
        self.live -= 1;
        let is_last = self.live == 0 && self.list.is_none();
        Ok(if is_last { EventBatch::Last(last_event) } else { EventBatch::Events(vec![last_event.into()]) })
    }
}

impl EventSource for MultiplexedSource {
    async fn next(&mut self) -> Result<EventBatch, StoreError> {
        let Self { readers, list, .. } = self;
        let listed = async {
            match list {
                Some(list) => list.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(step) = readers.next() => self.on_run_step(step),
            Some(step) = listed => Ok(match step? {
                ListStep::Runs(runs) => EventBatch::Events(runs.iter().map(|run| sse::list_event(run).into()).collect()),
                ListStep::Lagged => EventBatch::Failed(Problem::new(
                    ProblemCode::Lagged,
                    "So much of the list has changed that it has to be read again.",
                )),
            }),
        }
    }

    fn heartbeat(&self) -> String {
        sse::multiplexed_heartbeat_event(self.progress.iter().map(|progress| (&progress.run, progress.seq())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "01939f1c-8f2a-7c3e-9d5b-0123456789ab";

    fn id(n: usize) -> String {
        format!("01939f1c-8f2a-7c3e-9d5b-{n:012x}")
    }

    fn read(pairs: &[(&str, &str)]) -> Result<StreamRequest, ProblemCode> {
        let query: Vec<_> = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        StreamRequest::read(&query).map_err(|problem| problem.code)
    }

    #[test]
    fn stream_request_is_parsed() {
        let wanted = |runs: &[(&str, u64)], list| {
            let runs = runs.iter().map(|&(id, after)| (id.parse().unwrap(), Cursor(after))).collect();
            Ok(StreamRequest { runs, list })
        };
        assert_eq!(read(&[("list", "1")]), wanted(&[], true));
        assert_eq!(read(&[("run", &format!("{RUN}:7")), ("x", "y")]), wanted(&[(RUN, 7)], false));
        let (x, y) = (id(1), id(2));
        let both = [("run", &*format!("{x}:0")), ("list", "0"), ("run", &*format!("{y}:1"))];
        assert_eq!(read(&both), wanted(&[(&x, 0), (&y, 1)], false));
    }

    #[test]
    fn stream_request_rejects_invalid_queries() {
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
