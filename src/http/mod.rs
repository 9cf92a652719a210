//! The only code that knows axum: flags in, requests answered, an orderly end.
//!
//! [`router`] puts the parts together and [`connections`] serves it; [`api`] is the JSON API, [`stream`] tells live journals,
//! [`pages`] is the dashboard, [`guard`] decides who may come in. None of them starts work: they ask the service.

mod access_api;
mod api;
mod assets;
mod body;
pub mod config;
mod confinement;
mod connections;
pub mod guard;
mod health;
mod hook_body;
mod hooks;
mod inherited;
mod limits;
mod modes;
mod mount;
mod pages;
mod problem;
mod refusals;
mod router;
mod security_txt;
mod stream;
mod triggers;
pub mod vacuum;

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::access::{self, Access, AuditFile};
use crate::base;
use crate::codemod;
use crate::engine::environment::Passed;
use crate::engine::run_as::{BadRunAs, RunAs};
use crate::engine::{Engine, EngineOptions, Processes, Workspaces, own_process};
use crate::file_lock;
use crate::journal::{GroupCommit, Journal};
use crate::model::{BasePath, BasePathError};
use crate::notifications::{Counts, NotifyTask};
use crate::pipelines::{Catalog, Projects};
use crate::retention::{RetentionOptions, RetentionTask};
use crate::runs::{ScheduleTask, Service};
use crate::store::Store;
pub use access_api::lasts_ms;
use config::ServeArgs;
pub use inherited::keep_inherited_files;
pub use router::addresses;

/// How many connections may wait to be accepted; the system may allow fewer. After a restart all readers come back within
/// seconds, and one that finds no room is not told so: it tries again after a second, then after three.
const BACKLOG: u32 = 4096;

/// Past the grace time of the runs, how long connections may take to end before the program exits without them.
const CLOSE: Duration = Duration::from_secs(2);

/// How long a request waits for a database that does not take what is written. Runs wait for as long as it takes.
const REQUEST_PATIENCE: Duration = Duration::from_secs(4);

/// The database's file in the data folder.
const DATABASE: &str = "runtrail.db";

/// Why the server did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address must not be served like this.
    #[error(transparent)]
    Bind(#[from] guard::bind::BindError),
    /// An `--allow-host` is no host.
    #[error(transparent)]
    Host(#[from] guard::BadHost),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] access::TokenFileError),
    /// The file of checks cannot be used.
    #[error(transparent)]
    Checks(#[from] codemod::ChecksError),
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] access::AuditFileError),
    /// See [`BasePath`].
    #[error("cannot serve below --public-url: {0}")]
    BasePath(#[from] BasePathError),
    /// The address is in use, or not this machine's.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data folder cannot be made or used.
    #[error("cannot use the data folder {}: {source}. Name another with --data-dir", .folder.display())]
    DataDir {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The platform names no data folder.
    #[error("this system names no data folder; name one with --data-dir")]
    NoDataDir,
    /// The address of the database is of a kind this version does not know.
    #[error(
        "cannot use the database `{0}`: this version keeps its runs in SQLite; give sqlite://FILE, or leave --database-url out"
    )]
    DatabaseUrl(String),
    /// The database cannot be opened.
    #[error("cannot open the database {place}: {source}")]
    Database {
        /// Where it is.
        place: String,
        /// Why.
        source: crate::store::StoreError,
    },
    /// The folder of pipelines cannot be read.
    #[error(transparent)]
    Catalog(#[from] crate::pipelines::CatalogError),
    /// A project folder cannot be used.
    #[error(transparent)]
    Projects(#[from] crate::pipelines::ProjectsError),
    /// Commands cannot run as somebody else.
    #[error(transparent)]
    RunAs(#[from] BadRunAs),
    /// Notifications cannot be sent.
    #[error("cannot prepare to send notifications: {0}")]
    Notify(#[from] reqwest::Error),
    /// The program cannot be found again to watch over commands.
    #[error("cannot find this program's own file: {0}")]
    OwnFile(std::io::Error),
}

/// What every request can reach.
#[derive(Clone)]
pub struct App {
    /// What can be asked for.
    pub service: Service,
    /// Cancelled when the server stops; streams end then.
    pub stop: CancellationToken,
    /// After how much silence a stream says that it lives.
    pub heartbeat: Duration,
    /// How often the page polls.
    pub poll_interval: Duration,
    /// How many streams are open.
    pub streams: Arc<AtomicU64>,
    /// The readers that are told together.
    pub crowds: stream::Crowds,
    /// What calls of hooks share.
    pub hooks: Arc<hooks::Door>,
    /// What became of notifications.
    pub deliveries: Arc<Counts>,
    /// The connections there are.
    pub connections: Arc<connections::Register>,
    /// Who may use the server; everybody if `None`.
    pub access: Option<Access>,
    /// The address of the login page.
    pub login_url: Arc<str>,
}

/// Serves until SIGTERM or Ctrl-C, then ends in order: streams at once, runs within the grace time.
///
/// # Errors
/// [`StartError`]: it did not start.
pub async fn serve(args: ServeArgs) -> Result<(), StartError> {
    let given = match &args.token_file {
        Some(file) => Some(access::read_token_file(file)?),
        None => args.token.clone(),
    };
    guard::bind::check(args.addr, args.is_exposed(), given.as_deref())?;
    let umask = modes::restrict_umask();
    let run_as = args.run_as.as_deref().map(RunAs::find).transpose()?;
    if run_as.is_none() && rustix::process::geteuid().is_root() {
        tracing::warn!(
            "running as root, so commands may do anything on this machine; start the server as a user of its own, or name one with --run-as"
        );
    }
    let data_dir = data_dir(args.data.data_dir.as_deref())?;
    let store = open_store(&args, &data_dir).await?;
    // As long as it serves: what is in the folder besides the database has one server, too.
    let _lock = lock(&data_dir)?;
    let named = args.checks_file.as_deref().map(codemod::checks::read).transpose()?.unwrap_or_default();
    codemod::checks::set(codemod::Checks { named, free: args.free_checks || args.no_token });
    let catalog = Catalog::open(args.pipelines.clone())?.with_built_in(codemod::pipelines());
    let projects = Arc::new(Projects::open(&args.projects)?);
    let supervisor = own_process::own_program().map_err(StartError::OwnFile)?;
    // Commands cannot follow a link of a hidden process, so they get the path.
    let program = std::env::current_exe().map_err(StartError::OwnFile)?;
    let listener = listen(args.addr).map_err(|source| StartError::Listen { addr: args.addr, source })?;
    let addr = listener.local_addr().map_err(|source| StartError::Listen { addr: args.addr, source })?;

    let open_files = limits::raise_open_files();
    let stop = CancellationToken::new();
    let group = GroupCommit { disk_wait: args.disk_wait, ..GroupCommit::default() };
    let (journal, writer) = Journal::new(Arc::new(store.clone()), group);
    let (scratch, workspaces) = (data_dir.join("scratch"), Workspaces::new(data_dir.join("workspaces")));
    let workspaces = workspaces.for_owner(run_as.as_ref().map(RunAs::owner));
    if let Some(run_as) = &run_as {
        let [first, second] = workspaces.roots();
        run_as.open_way(&data_dir, &[scratch.clone(), first, second])?;
        run_as.check_program(&program)?;
    }
    let confinement = Arc::new(confinement::prepare(&data_dir, &program, run_as));
    let retention =
        RetentionOptions { usual: args.usual_retention(), scratch: scratch.clone(), workspaces: workspaces.clone() };
    let options = EngineOptions {
        owner: format!("worker {}@{addr}", std::process::id()),
        workers: args.workers.get(),
        lease: args.lease,
        grace: args.grace,
        projects: Arc::clone(&projects),
        scratch,
        workspaces,
        program,
        commands: Arc::new(Processes {
            program: supervisor,
            open_files,
            umask: Some(umask),
            passed: Passed::new(args.pass_env.clone()),
            confinement,
            catalog: catalog.clone(),
        }),
    };
    let (engine, engine_task) = Engine::new(store.clone(), journal.clone(), options, stop.clone());
    let notify_task =
        NotifyTask::new(store.clone(), journal.clone(), args.public_url.clone(), args.egress(), stop.clone())?;
    let deliveries = notify_task.counts();
    tokio::spawn(writer.run());
    tokio::spawn(health::watch(store.clone(), journal.clone(), stop.clone()));
    // Not waited for at the end: what is under way then is made again by the next server.
    tokio::spawn(notify_task.run());
    let engine_task = tokio::spawn(engine_task.run());
    let retention = RetentionTask::new(store.clone(), journal.clone(), catalog.clone(), retention, stop.clone());
    tokio::spawn(retention.run());

    let journal = journal.with_patience(REQUEST_PATIENCE);
    let is_own_token = given.is_none();
    let (access, is_strong) = match token(given, args.no_token, &data_dir)? {
        None => (None, true),
        Some(token) => {
            let access = Access::new(&token, Arc::new(store.clone()), Arc::new(journal.clone()), &stop);
            tokio::spawn(access.clone().watch(stop.clone()));
            (Some(access), guard::bind::is_strong(&token))
        }
    };
    if let Some(file) = &args.audit_log {
        tokio::spawn(AuditFile::open(file, store.clone())?.run(stop.clone()));
    }
    let register = Arc::new(connections::Register::new(args.connections()));
    let app = App {
        service: Service {
            store,
            journal,
            engine,
            catalog,
            projects,
            max_queued: args.max_queued.get(),
            is_exposed: args.is_exposed(),
        },
        stop: stop.clone(),
        heartbeat: args.heartbeat,
        poll_interval: args.poll_interval,
        streams: Arc::default(),
        crowds: stream::Crowds::default(),
        hooks: Arc::default(),
        deliveries,
        connections: Arc::clone(&register),
        access: access.clone(),
        login_url: format!("{}/login", args.public_url.clone().unwrap_or_else(|| format!("http://{addr}"))).into(),
    };
    let secrets = app.service.clone();
    let schedules = ScheduleTask::new(app.service.clone(), stop.clone());
    let public = args.public_url.as_deref();
    base::set(public.map(BasePath::from_url).transpose()?.unwrap_or_default());
    let guard = guard::GuardConfig {
        addr,
        allow_hosts: args.allow_host.iter().cloned().chain(public.map(config::host_of)).collect(),
        access: access.clone(),
        is_strong,
        proxies: args.proxies(),
        stop: stop.clone(),
        secure: public.is_some_and(|url| url.starts_with("https://")),
    };
    let security_txt = security_txt::routes(args.security_contact.clone(), args.public_url.clone());
    let login_url = Arc::clone(&app.login_url);
    let router = router::router(app, addr).merge(security_txt);
    let router = guard::protect(router, Arc::new(guard::Guard::new(guard)?));
    let router = mount::below(base::current(), router);

    // Not before it is sure that this server serves.
    tokio::spawn(schedules.run());
    tokio::spawn(secrets.watch_secrets(stop.clone()));

    // The one line a script may wait for. A closed standard output is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "Runtrail serves http://{addr}");
    if let Some(access) = access.filter(|_| is_own_token) {
        tokio::spawn(print_login_link(access, login_url));
    }
    let served = tokio::spawn(connections::serve(listener, router, register, stop.clone()));
    stop_signal().await;
    tracing::info!("stopping: streams end now, runs within the grace time");
    stop.cancel();
    // A second signal is immediate: children die with this program, and recovery says what became of their runs.
    tokio::select! {
        _ = async { tokio::join!(engine_task, tokio::time::timeout(CLOSE, served)) } => {}
        () = stop_signal() => {}
        () = tokio::time::sleep(args.grace + CLOSE) => {}
    }
    Ok(())
}

/// The server's own token: what the operator gave, or else the one in the data folder. `None` if nobody is asked for one.
fn token(given: Option<String>, no_token: bool, data_dir: &std::path::Path) -> Result<Option<String>, StartError> {
    let is_flag = |argument: std::ffi::OsString| {
        argument.as_encoded_bytes().split(|byte| *byte == b'=').next() == Some(b"--token")
    };
    if given.is_some() && std::env::args_os().any(is_flag) {
        tracing::warn!(
            "--token is on the command line, which other accounts can read; use --token-file or RUNTRAIL_TOKEN"
        );
    }
    let token = match given {
        Some(token) => token.trim().to_owned(),
        None if no_token => {
            tracing::warn!(
                "--no-token: every program and every account of this machine may run commands as this user, and approve"
            );
            return Ok(None);
        }
        None => access::read_or_create_token(data_dir)?,
    };
    if !guard::bind::is_strong(&token) {
        tracing::warn!("the token is short and can be guessed; a better one: `openssl rand -hex 16`");
    }
    Ok(Some(token))
}

/// Prints a link that logs one browser in: who reads the terminal, or the service's log, may use the server anyway.
async fn print_login_link(access: Access, login_url: Arc<str>) {
    match access.create_code(None).await {
        Ok((code, _)) => {
            let _ = writeln!(std::io::stdout(), "Log in, once and within 15 minutes: {login_url}#{code}");
        }
        Err(problem) => tracing::error!(%problem, "there is no login link; `runtrail login` makes one"),
    }
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The connections of the server before this one may still be on their way out.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// The data folder, whether it is there or not.
fn named_data_dir(given: Option<&std::path::Path>) -> Result<PathBuf, StartError> {
    match given {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(dirs::data_dir().ok_or(StartError::NoDataDir)?.join("runtrail")),
    }
}

fn data_dir(given: Option<&std::path::Path>) -> Result<PathBuf, StartError> {
    let folder = named_data_dir(given)?;
    std::fs::create_dir_all(&folder)
        .and_then(|()| modes::tighten(&folder))
        .and_then(|()| folder.canonicalize())
        .map_err(|source| StartError::DataDir { folder, source })
}

/// What has to stay open. A file in the folder, and the folder itself, since the file may be taken away. Blocks, for a moment if somebody
/// has it.
fn lock(folder: &std::path::Path) -> Result<[Option<File>; 2], StartError> {
    let failed = |source| StartError::DataDir { folder: folder.to_owned(), source };
    let taken = |file: File| match file_lock::take(&file)? {
        true => Ok(file),
        false => Err(std::io::Error::from(ErrorKind::WouldBlock)),
    };
    let in_use = |error: std::io::Error| match error.kind() {
        ErrorKind::WouldBlock => failed(std::io::Error::other("another server uses it")),
        _ => failed(error),
    };
    let file = File::options().create(true).truncate(false).write(true).open(folder.join("server.lock"));
    let file = file.and_then(taken).map_err(in_use)?;
    let itself = match File::open(folder).and_then(taken) {
        Ok(folder) => Some(folder),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(in_use(error)),
        // Some file systems lock no folders.
        Err(_) => None,
    };
    Ok([Some(file), itself])
}

async fn open_store(args: &ServeArgs, data_dir: &std::path::Path) -> Result<Store, StartError> {
    let (place, opened) = match &args.data.database_url {
        None => {
            let file = data_dir.join(DATABASE);
            (file.display().to_string(), Store::open_sqlite(&file, args.durability).await)
        }
        Some(url) if url.starts_with("sqlite:") => (url.clone(), Store::open_url(url, args.durability).await),
        Some(url) => return Err(unknown_database(url)),
    };
    opened.map_err(|source| StartError::Database { place, source })
}

fn unknown_database(url: &str) -> StartError {
    // Without what may be a password.
    let shown = url.split_once("://").map_or("", |(scheme, _)| scheme);
    StartError::DatabaseUrl(format!("{shown}://…"))
}

/// Waits for SIGTERM, Ctrl-C, or the end of the terminal it was started from (SIGHUP), unless it is to outlive that (`nohup`).
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let hangup = async {
        match signal(SignalKind::hangup()) {
            Ok(mut hangup) => hangup.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    let interrupt = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = hangup, if !limits::ignores_hangup() => {}
        }
    };
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt => {}
            }
        }
        // Without a handler the signal ends the program by itself, which recovery handles.
        Err(_) => {
            interrupt.await;
        }
    }
}
