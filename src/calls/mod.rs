//! Server functions: what the page asks the server for. Thin and typed; each is one line into the service.
//!
//! None of them carries activity: frames come by the stream and by the poll, from the journal alone.

pub mod access;
mod keyed_client;
pub mod triggers;

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::server_fn::codec::{GetUrl, JsonEncoding};
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};

use crate::calls::keyed_client::KeyedClient;
use crate::model::attempt::AttemptView;
use crate::model::compare::AttemptComparison;
use crate::model::queue::Queue;
use crate::model::review::{FindingFilter, FindingPage, PatchContent, PatchEntry};
use crate::model::{
    DatabaseHealth, DatabaseUsage, Problem, ProblemCode, Run, RunFilter, RunPage, RunView, StartOptions,
};

/// A failure on the way keeps its meaning: what the service answered stays what it is, all else is told apart by who failed.
impl FromServerFnError for Problem {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        // What comes back and cannot be read is not the server's answer, but that of something on the way to it.
        #[cfg(feature = "hydrate")]
        if matches!(
            error,
            ServerFnErrorErr::Request(_) | ServerFnErrorErr::Response(_) | ServerFnErrorErr::Deserialization(_)
        ) {
            leptos::logging::warn!("{error}");
            return Self::new(ProblemCode::Unreachable, UNREACHABLE);
        }
        let code = match &error {
            ServerFnErrorErr::Request(_) => ProblemCode::Unreachable,
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) | ServerFnErrorErr::Deserialization(_) => {
                ProblemCode::BadRequest
            }
            _ => ProblemCode::Internal,
        };
        let problem = Self::new(code, error.to_string());
        #[cfg(feature = "ssr")]
        let _ = server::answer_action::<()>(Err(problem.clone()));
        problem
    }
}

/// What is said of a question that the server has not answered.
#[cfg(feature = "hydrate")]
const UNREACHABLE: &str = "The server does not answer. The page keeps trying.";

/// What the start form is made from.
///
/// # Errors
/// Only failures on the way.
#[server(prefix = "/fn", endpoint = "offer", input = GetUrl)]
pub async fn read_offer() -> Result<StartOptions, Problem> {
    server::service()?.offer()
}

/// Runs, newest first.
///
/// # Errors
/// The filter is not one, or the database is not available.
#[server(prefix = "/fn", endpoint = "list_runs", input = GetUrl)]
pub async fn list_runs(
    /// Which runs are wanted. All of them, if nothing is said: an empty filter is nothing at all in a URL.
    #[server(default)]
    filter: RunFilter,
) -> Result<RunPage, Problem> {
    server::answer(server::service()?.list(&filter).await)
}

/// The runs that wait for a worker, in the order in which they are taken.
///
/// # Errors
/// The database is not available.
#[server(prefix = "/fn", endpoint = "queue", input = GetUrl)]
pub async fn read_queue() -> Result<Queue, Problem> {
    server::answer(server::service()?.queue().await)
}

/// A run and a part of its journal: what its page shows first.
///
/// # Errors
/// There is no such run, or the database is not available.
#[server(prefix = "/fn", endpoint = "view_run", input = GetUrl)]
pub async fn view_run(
    /// The run's id.
    id: String,
    /// The frames around this seq, if there is such a frame; the newest, if nothing is said.
    #[server(default)]
    at: Option<u64>,
) -> Result<RunView, Problem> {
    server::answer(server::service()?.view(&id, at).await)
}

/// An attempt of a run: what was asked of it and what became of it.
///
/// # Errors
/// There is no such run or attempt, or the database is not available.
#[server(prefix = "/fn", endpoint = "attempt", input = GetUrl)]
pub async fn view_attempt(
    /// The run's id.
    id: String,
    /// Which attempt.
    attempt: u32,
) -> Result<AttemptView, Problem> {
    server::answer(server::service()?.attempt(&id, attempt).await)
}

/// Two attempts of a run side by side.
///
/// # Errors
/// There is no such run or attempt, or only one, or the database is not available.
#[server(prefix = "/fn", endpoint = "compare", input = GetUrl)]
pub async fn compare_attempts(
    /// The run's id.
    id: String,
    /// The one; the attempt before the other, if nothing is said.
    #[server(default)]
    a: Option<u32>,
    /// The other; the newest, if nothing is said.
    #[server(default)]
    b: Option<u32>,
) -> Result<AttemptComparison, Problem> {
    server::answer(server::service()?.compare(&id, a, b).await)
}

/// Asks for a new run, and leads to its page.
///
/// # Errors
/// There is no such pipeline, the values do not fit it (one entry per parameter in `errors`), or the database is not available.
#[server(prefix = "/fn", endpoint = "start_run", client = KeyedClient)]
pub async fn start_run(
    /// The pipeline's name.
    pipeline: String,
    /// The values, as the form has them.
    #[server(default)]
    params: BTreeMap<String, String>,
    /// The form's own key: sending it twice starts one run.
    #[server(default)]
    key: String,
    /// The names of the form's boxes, with commas between them: one that is not ticked is false, which a form does not say.
    #[server(default)]
    boxes: String,
) -> Result<Run, Problem> {
    let key = Some(key).filter(|key| !key.is_empty());
    let form = SentForm { fields: params, boxes };
    let started = server::service()?.start_form(&pipeline, form, key.as_deref(), &server::actor()?).await;
    let (run, _) = server::answer_action(started)?;
    leptos_axum::redirect(&format!("/runs/{}", run.id));
    Ok(run)
}

/// Leads to the start form with the fields of this pipeline. Where no script runs, the form is sent here: by POST, so that nothing that was
/// typed stands in an address.
///
/// # Errors
/// None.
#[server(prefix = "/fn", endpoint = "show_fields", client = KeyedClient)]
pub async fn show_fields(
    /// The pipeline's name.
    pipeline: String,
) -> Result<(), Problem> {
    // A name that no pipeline can have is left out of the address.
    let is_name = pipeline.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    leptos_axum::redirect(&if is_name { format!("/?pipeline={pipeline}") } else { "/".to_owned() });
    Ok(())
}

/// Asks for a new attempt of a finished run.
///
/// # Errors
/// There is no such run, it is active again, its pipeline is gone, or the database is not available.
#[server(prefix = "/fn", endpoint = "rerun", client = KeyedClient)]
pub async fn rerun(
    /// The run's id.
    id: String,
    /// The attempt the operator saw. If another has begun since, nothing is done: two presses are one re-run.
    attempt: u32,
    /// Whether it goes on with the first phase that has not ended well.
    #[server(default)]
    failed: bool,
) -> Result<Run, Problem> {
    let from = if failed { Begin::Failed } else { Begin::Start };
    let asked = Asked { seen: Some(attempt), ..Asked::default() };
    server::answer_action(server::service()?.rerun(&id, from, asked, &server::actor()?).await)
}

/// Asks for a new attempt of a finished run with these parameters, and leads to it.
///
/// # Errors
/// As [`rerun`], and the values do not fit the pipeline (one entry per parameter in `errors`).
#[server(prefix = "/fn", endpoint = "rerun_edited", client = KeyedClient)]
pub async fn rerun_edited(
    /// The run's id.
    id: String,
    /// The attempt the operator saw. If another has begun since, nothing is done.
    attempt: u32,
    /// Whether it goes on with the first phase that has not ended well.
    #[server(default)]
    failed: bool,
    /// The values, as the form has them.
    #[server(default)]
    params: BTreeMap<String, String>,
    /// The names of the form's boxes, with commas between them: one that is not ticked is false, which a form does not say.
    #[server(default)]
    boxes: String,
    /// The attempt whose values filled the form.
    #[server(default)]
    shown: Option<u32>,
) -> Result<Run, Problem> {
    let from = if failed { Begin::Failed } else { Begin::Start };
    let form = SentForm { fields: params, boxes };
    let again = server::service()?.rerun_form(&id, from, form, shown, attempt, &server::actor()?).await;
    let run = server::answer_action(again)?;
    leptos_axum::redirect(&format!("/runs/{}", run.id));
    Ok(run)
}

/// Asks for the end of an active run.
///
/// # Errors
/// There is no such run, it is finished, or the database is not available.
#[server(prefix = "/fn", endpoint = "cancel", client = KeyedClient)]
pub async fn cancel(
    /// The run's id.
    id: String,
    /// Whether what runs is killed at once, without the time to end by itself.
    kill: bool,
) -> Result<Run, Problem> {
    let kill = if kill { Kill::AtOnce } else { Kill::AfterGrace };
    server::answer_action(server::service()?.cancel(&id, &server::actor()?, kill).await)
}

/// Has a run stay whatever the rules of retention say, or has it stay no longer.
///
/// # Errors
/// There is no such run, or the database is not available.
#[server(prefix = "/fn", endpoint = "pin_run", client = KeyedClient)]
pub async fn pin_run(
    /// The run's id.
    id: String,
    /// Whether it stays.
    pinned: bool,
) -> Result<Run, Problem> {
    server::answer_action(server::service()?.pin(&id, pinned, &server::actor()?).await)
}

/// Deletes a finished run, and leads to the list.
///
/// # Errors
/// There is no such run, it is active or pinned, or the database is not available.
#[server(prefix = "/fn", endpoint = "delete_run", client = KeyedClient)]
pub async fn delete_run(
    /// The run's id.
    id: String,
) -> Result<(), Problem> {
    server::answer_action(server::service()?.delete(&id, &server::actor()?).await)?;
    leptos_axum::redirect("/");
    Ok(())
}

/// How large the database is.
///
/// # Errors
/// The database is not available.
#[server(prefix = "/fn", endpoint = "database", input = GetUrl)]
pub async fn read_database() -> Result<DatabaseUsage, Problem> {
    server::service()?.database().await
}

/// Whether the database takes what is written.
///
/// # Errors
/// Only failures on the way.
#[server(prefix = "/fn", endpoint = "database_health", input = GetUrl)]
pub async fn read_database_health() -> Result<DatabaseHealth, Problem> {
    Ok(server::service()?.health())
}

/// Lets a run that waits for a person go on.
///
/// # Errors
/// There is no such run, it does not wait with this question, or the database is not available.
#[server(prefix = "/fn", endpoint = "approve", client = KeyedClient)]
pub async fn approve(
    /// The run's id.
    id: String,
    /// The question that the operator saw.
    seq: u64,
    /// The seqs of the patches that are left out, with commas between them.
    #[server(default)]
    exclude: String,
    /// Why, in the words of who answers.
    #[server(default)]
    note: String,
) -> Result<Run, Problem> {
    let service = server::service()?;
    let exclude = server::answer_action(service.paths_of(&id, &exclude).await)?;
    let reply = Reply { approved: true, exclude, note: Some(note) };
    server::answer_action(service.answer(&id, Some(seq), reply, &server::actor()?).await)
}

/// Ends a run that waits for a person.
///
/// # Errors
/// As [`approve`].
#[server(prefix = "/fn", endpoint = "reject", client = KeyedClient)]
pub async fn reject(
    /// The run's id.
    id: String,
    /// The question that the operator saw.
    seq: u64,
    /// Why, in the words of who answers.
    #[server(default)]
    note: String,
) -> Result<Run, Problem> {
    let reply = Reply { approved: false, exclude: Vec::new(), note: Some(note) };
    server::answer_action(server::service()?.answer(&id, Some(seq), reply, &server::actor()?).await)
}

/// Findings of an attempt.
///
/// # Errors
/// There is no such run, or the database is not available.
#[server(prefix = "/fn", endpoint = "findings", input = GetUrl)]
pub async fn read_findings(
    /// The run's id.
    id: String,
    /// Which attempt.
    attempt: u32,
    /// Which findings are wanted. All of them, if nothing is said.
    #[server(default)]
    filter: FindingFilter,
    /// How many at most.
    limit: u32,
) -> Result<FindingPage, Problem> {
    server::answer(server::service()?.findings(&id, attempt, &filter, limit).await)
}

/// The patches of an attempt.
///
/// # Errors
/// There is no such run, or the database is not available.
#[server(prefix = "/fn", endpoint = "patches", input = GetUrl)]
pub async fn read_patches(
    /// The run's id.
    id: String,
    /// Which attempt.
    attempt: u32,
) -> Result<Vec<PatchEntry>, Problem> {
    server::answer(server::service()?.patches(&id, attempt).await)
}

/// One patch.
///
/// # Errors
/// There is no such run or patch, or the database is not available.
#[server(prefix = "/fn", endpoint = "patch", input = GetUrl)]
pub async fn read_patch(
    /// The run's id.
    id: String,
    /// The seq of its frame.
    seq: u64,
) -> Result<PatchContent, Problem> {
    server::answer(server::service()?.patch(&id, seq).await)
}

/// What a server function needs of the request it serves.
#[cfg(feature = "ssr")]
use crate::runs::{Asked, Begin, Kill, Reply, SentForm};

#[cfg(feature = "ssr")]
pub(crate) mod server {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use axum::http::{StatusCode, header, request::Parts};
    use leptos::prelude::use_context;
    use leptos_axum::ResponseOptions;

    use crate::access::Granted;
    use crate::http::guard::forbidden;
    use crate::model::{Problem, ProblemCode, Role};
    use crate::runs::{Actor, Service};

    /// The service, which the router provides to every page and call.
    pub fn service() -> Result<Service, Problem> {
        use_context().ok_or_else(|| Problem::new(ProblemCode::Internal, "The page was rendered without its service."))
    }

    /// Who makes the request.
    pub fn granted() -> Result<Granted, Problem> {
        let granted = use_context::<Parts>().and_then(|parts| parts.extensions.get::<Granted>().cloned());
        granted.ok_or_else(|| Problem::new(ProblemCode::Internal, "The page was rendered past the guard."))
    }

    /// Who makes the request, as journals name them.
    pub fn actor() -> Result<Actor, Problem> {
        let parts = use_context::<Parts>();
        let peer = parts.and_then(|parts| parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0));
        Ok(granted()?.actor("the page", peer))
    }

    /// # Errors
    /// [`ProblemCode::Forbidden`], if the request is of somebody with a weaker role.
    pub fn require(needed: Role) -> Result<Actor, Problem> {
        let granted = granted()?;
        if granted.role.allows(needed) { actor() } else { Err(forbidden(&granted, needed)) }
    }

    /// Gives the page or the call the problem's status, if there is one.
    pub fn answer<T>(answer: Result<T, Problem>) -> Result<T, Problem> {
        if let Err(problem) = &answer
            && let Some(options) = use_context::<ResponseOptions>()
            && let Ok(status) = StatusCode::from_u16(problem.status)
        {
            options.set_status(status);
        }
        answer
    }

    /// The same for what a form sends. Where no script runs, the answer is a way back to the form, which tells the problem.
    pub fn answer_action<T>(action: Result<T, Problem>) -> Result<T, Problem> {
        let accept = use_context::<Parts>().and_then(|parts| parts.headers.get(header::ACCEPT).cloned());
        let by_script = accept.is_none_or(|accept| !accept.to_str().is_ok_and(|accept| accept.contains("text/html")));
        if by_script { answer(action) } else { action }
    }
}
