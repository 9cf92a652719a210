//! The composition root: opens the data folder and the store, builds the parts of the server, starts their background
//! tasks, serves, and shuts down in order.

mod confinement;
mod connection_limits;
mod data_dir;
mod database_probe;
mod error;
mod inherited_files;
mod instance;
mod listen_policy;
mod modes;
mod open_files;
mod signals;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::{self, Access, AuditFile};
use crate::base;
use crate::codemod;
use crate::config::{DATABASE_FILE, DatabaseLocation, ServeArgs};
use crate::engine::environment::PassedVariables;
use crate::engine::run_as::RunAs;
use crate::engine::{Engine, EngineOptions, EngineTask, ProcessLauncher, own_process};
use crate::http::{HttpOptions, HttpServer};
use crate::instances::InstanceTask;
use crate::journal::{GroupCommit, Journal, Relay};
use crate::model::BasePath;
use crate::model::workers::{InstanceRole, NewInstance};
use crate::notifications::{NotificationCounts, NotificationTask};
use crate::pipelines::{Catalog, Projects};
use crate::retention::{RetentionOptions, RetentionTask};
use crate::runs::Backend;
use crate::schedules::ScheduleTask;
use crate::store::{Claimant, Store};
use crate::workspaces::Workspaces;

pub use error::StartError;
pub use inherited_files::close_inherited_files_on_exec;
pub use modes::restrict_umask;

/// How many connections may wait to be accepted; the system may allow fewer. After a restart all clients reconnect
/// within seconds. One that finds the queue full is not rejected: TCP retries after one second, then after three.
const ACCEPT_BACKLOG: u32 = 4096;

/// How long connections may take to end after the grace time of the runs, before the program exits without them.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a request waits for a database that does not accept writes. Runs wait indefinitely.
const REQUEST_WRITE_TIMEOUT: Duration = Duration::from_secs(4);

/// Serves until the first stop signal, then shuts down: streams end at once, commands get the grace time.
///
/// # Errors
/// [`StartError`]: the server did not start.
pub async fn serve(args: ServeArgs, role: InstanceRole) -> Result<(), StartError> {
    let configured_token = match &args.token_file {
        Some(file) => Some(access::read_token_file(file)?),
        None => args.token.clone(),
    };
    listen_policy::check(args.addr, args.is_exposed(), configured_token.as_deref())?;
    let umask = modes::restrict_umask();
    let run_as = find_run_as(&args)?;
    let data_dir = data_dir::create(&args.data.data_dir()?)?;
    let store = open_store(&args, &data_dir).await.map_err(|error| error.for_role(role))?;
    // The store locks the database only. This lock protects the other files of the folder, and is held until the
    // program ends.
    let _lock = data_dir::lock(&data_dir)?;
    let named = args.checks_file.as_deref().map(codemod::checks::read).transpose()?.unwrap_or_default();
    let checks = codemod::Checks { named, allows_any_command: args.free_checks || args.no_token };
    let catalog = Catalog::open(args.pipelines.clone(), codemod::pipelines(checks))?;
    let projects = Arc::new(Projects::open(&args.projects)?);
    let instance = Arc::new(instance::describe(&args, role, &projects, &data_dir)?);
    let commands = CommandSetup {
        supervisor: own_process::own_program().map_err(StartError::OwnFile)?,
        // Commands cannot follow the /proc link of a hidden process, so they get the path.
        program: std::env::current_exe().map_err(StartError::OwnFile)?,
        umask,
        run_as,
    };
    let listener = listen(args.addr).map_err(|source| StartError::Listen { addr: args.addr, source })?;
    let addr = listener.local_addr().map_err(|source| StartError::Listen { addr: args.addr, source })?;
    let server = Server { args, addr, instance, data_dir, store, catalog, projects, stop: CancellationToken::new() };
    server.run(commands, configured_token, listener).await
}

/// How commands are started.
struct CommandSetup {
    /// The program that supervises commands.
    supervisor: PathBuf,
    /// This program's path, for commands that run it.
    program: PathBuf,
    /// The umask of the shell that started the server, restored for commands.
    umask: u32,
    run_as: Option<RunAs>,
}

/// What all parts of the server share.
struct Server {
    args: ServeArgs,
    /// The bound address, with the port that was chosen for port 0.
    addr: SocketAddr,
    instance: Arc<NewInstance>,
    data_dir: PathBuf,
    store: Store,
    catalog: Catalog,
    projects: Arc<Projects>,
    stop: CancellationToken,
}

impl Server {
    /// Builds the parts, starts their tasks, and serves until a stop signal.
    async fn run(
        self,
        commands: CommandSetup,
        configured_token: Option<String>,
        listener: TcpListener,
    ) -> Result<(), StartError> {
        let (args, stop) = (&self.args, &self.stop);
        let has_generated_token = configured_token.is_none();
        // Commands get the limit that the server was started with: some programs fail with a high one.
        let initial_open_files = open_files::raise_limit();
        let group = GroupCommit { disk_wait: args.disk_wait, ..GroupCommit::default() };
        let (journal, writer) = Journal::new(Arc::new(self.store.clone()), group);
        let (engine, engine_task, retention) = self.build_engine(&journal, commands, initial_open_files)?;
        let notify_task = NotificationTask::new(
            self.store.clone(),
            journal.clone(),
            args.public_url.clone(),
            args.egress(),
            stop.clone(),
        )?;
        let notification_counts = notify_task.counts();
        tokio::spawn(writer.run());
        self.start_relay(&journal, &engine);
        tokio::spawn(database_probe::run(self.store.clone(), journal.clone(), stop.clone()));
        let engine_task = tokio::spawn(engine_task.run());
        let retention =
            RetentionTask::new(self.store.clone(), journal.clone(), self.catalog.clone(), retention, stop.clone());
        let is_server = self.instance.role == InstanceRole::Serve;
        if is_server {
            // Not awaited at shutdown: the next server repeats deliveries that were in flight.
            tokio::spawn(notify_task.run());
            tokio::spawn(retention.run());
        }

        let journal = journal.with_patience(REQUEST_WRITE_TIMEOUT);
        let (access, has_strong_token) = self.build_access(configured_token, &journal)?;
        if let Some(file) = &args.audit_log {
            tokio::spawn(AuditFile::open(file, self.store.clone())?.run(stop.clone()));
        }
        let backend = Backend {
            store: self.store.clone(),
            journal,
            engine,
            instance: Arc::clone(&self.instance),
            catalog: self.catalog.clone(),
            projects: Arc::clone(&self.projects),
            max_queued: args.max_queued.get(),
            is_exposed: args.is_exposed(),
        };
        base::set(args.public_url.as_deref().map(BasePath::from_url).transpose()?.unwrap_or_default());
        let options = self.http_options(access.clone(), has_strong_token, notification_counts);
        let login_url = options.login_url.clone();
        let http = HttpServer::new(backend.clone(), options)?;

        // Last, because nothing below fails: a server that does not start must not create runs.
        let heartbeats = self.start_instance(&backend).await;
        // Scripts wait for this line. A closed standard output must not stop the server.
        let does = if is_server { "serves" } else { "executes runs; health checks and metrics:" };
        let _ = writeln!(std::io::stdout(), "Runtrail {does} http://{}", self.addr);
        if let Some(access) = access.filter(|_| has_generated_token && is_server) {
            tokio::spawn(print_login_link(access, login_url));
        }
        let http = tokio::spawn(http.serve(listener));
        self.wait_for_stop(&backend.engine).await;
        stop.cancel();
        // A second signal exits at once: then the supervisors kill the commands, and the next server recovers their
        // runs.
        tokio::select! {
            _ = async { tokio::join!(engine_task, tokio::time::timeout(CLOSE_TIMEOUT, http)) } => {}
            () = signals::stop_requested() => {}
            () = tokio::time::sleep(args.grace + CLOSE_TIMEOUT) => {}
        }
        heartbeats.abort();
        InstanceTask::end(&backend).await;
        Ok(())
    }

    /// Waits for a stop signal, or until the instance was drained.
    async fn wait_for_stop(&self, engine: &Engine) {
        tokio::select! {
            () = signals::stop_requested() => {
                tracing::info!(grace = ?self.args.grace, "stopping: streams end now, commands get the grace time");
            }
            () = engine.drained() => tracing::info!("drained: every run has finished; stopping"),
        }
    }

    /// Publishes what other instances on the same database commit.
    fn start_relay(&self, journal: &Journal, engine: &Engine) {
        if let Some(notices) = self.store.take_notices() {
            let engine = engine.clone();
            tokio::spawn(Relay::new(journal.clone(), notices, move |run| engine.observe(run)).run());
        }
    }

    /// Lets runs be placed on this instance, and a server start scheduled runs. Returns the task of the heartbeats.
    async fn start_instance(&self, backend: &Backend) -> JoinHandle<()> {
        if self.instance.role == InstanceRole::Serve {
            tokio::spawn(ScheduleTask::new(backend.clone(), self.stop.clone()).run());
            tokio::spawn(crate::hooks::warn_of_weak_secrets(backend.catalog.clone(), self.stop.clone()));
        }
        signals::drain_on_request(backend.engine.clone());
        let mut heartbeats = InstanceTask::new(backend.clone());
        heartbeats.register().await;
        tokio::spawn(heartbeats.run())
    }

    fn build_engine(
        &self,
        journal: &Journal,
        commands: CommandSetup,
        initial_open_files: Option<u64>,
    ) -> Result<(Engine, EngineTask, RetentionOptions), StartError> {
        let (args, data_dir) = (&self.args, &self.data_dir);
        let CommandSetup { supervisor, program, umask, run_as } = commands;
        let scratch = data_dir.join("scratch");
        let workspaces = Workspaces::new(data_dir.join("workspaces")).for_owner(run_as.as_ref().map(RunAs::owner));
        if let Some(run_as) = &run_as {
            let [first, second] = workspaces.roots();
            run_as.grant_folder_access(data_dir, &[scratch.clone(), first, second])?;
            run_as.check_program(&program)?;
        }
        let confinement = Arc::new(confinement::prepare(data_dir, &program, run_as));
        let retention = RetentionOptions {
            default_rule: args.default_retention(),
            scratch: scratch.clone(),
            workspaces: workspaces.clone(),
        };
        let options = EngineOptions {
            owner: self.instance.owner.clone(),
            claimant: Claimant {
                instance: self.instance.id.clone(),
                data_folder: self.instance.data_folder.clone(),
                is_only: self.store.is_exclusive(),
            },
            workers: args.workers,
            lease: args.lease,
            grace: args.grace,
            projects: Arc::clone(&self.projects),
            scratch,
            workspaces,
            program,
            commands: Arc::new(ProcessLauncher {
                program: supervisor,
                open_files: initial_open_files,
                umask: Some(umask),
                passed: PassedVariables::new(args.pass_env.clone()),
                confinement,
                catalog: self.catalog.clone(),
            }),
        };
        let (engine, task) = Engine::new(self.store.clone(), journal.clone(), options, self.stop.clone());
        Ok((engine, task, retention))
    }

    /// Access control, and whether the server's own token is too long to guess. `None` with `--no-token`.
    fn build_access(
        &self,
        configured_token: Option<String>,
        journal: &Journal,
    ) -> Result<(Option<Access>, bool), StartError> {
        let Some(token) = server_token(configured_token, self.args.no_token, &self.data_dir)? else {
            return Ok((None, true));
        };
        let access = Access::new(&token, Arc::new(self.store.clone()), Arc::new(journal.clone()), &self.stop);
        tokio::spawn(access.clone().watch(self.stop.clone()));
        Ok((Some(access), listen_policy::is_strong(&token)))
    }

    fn http_options(
        &self,
        access: Option<Access>,
        has_strong_token: bool,
        notification_counts: Arc<NotificationCounts>,
    ) -> HttpOptions {
        let args = &self.args;
        let public_url = args.public_url.clone();
        let origin = public_url.clone().unwrap_or_else(|| format!("http://{}", self.addr));
        HttpOptions {
            addr: self.addr,
            stop: self.stop.clone(),
            heartbeat: args.heartbeat,
            poll_interval: args.poll_interval,
            connection_limits: connection_limits::of(args),
            access,
            has_strong_token,
            login_url: format!("{origin}/login").into(),
            allowed_hosts: args.allowed_hosts(),
            trusted_proxies: args.trusted_proxies(),
            is_https_only: public_url.as_deref().is_some_and(|url| url.starts_with("https://")),
            public_url,
            security_contacts: args.security_contact.clone(),
            role: self.instance.role,
            notification_counts,
        }
    }
}

fn find_run_as(args: &ServeArgs) -> Result<Option<RunAs>, StartError> {
    let run_as = args.run_as.as_deref().map(RunAs::find).transpose()?;
    if run_as.is_none() && rustix::process::geteuid().is_root() {
        tracing::warn!(
            "running as root, so commands may do anything on this machine; start the server as its own user, or name one with --run-as"
        );
    }
    Ok(run_as)
}

/// The server's own token: the configured one, or else the one in the data folder. `None` with `--no-token`.
fn server_token(configured: Option<String>, no_token: bool, data_dir: &Path) -> Result<Option<String>, StartError> {
    let is_token_flag = |argument: std::ffi::OsString| {
        argument.as_encoded_bytes().split(|byte| *byte == b'=').next() == Some(b"--token")
    };
    if configured.is_some() && std::env::args_os().any(is_token_flag) {
        tracing::warn!(
            "--token is on the command line, which other accounts can read; use --token-file or RUNTRAIL_TOKEN"
        );
    }
    let token = match configured {
        Some(token) => token.trim().to_owned(),
        None if no_token => {
            tracing::warn!(
                "--no-token: every program and every account of this machine may run commands as this user, and approve"
            );
            return Ok(None);
        }
        None => access::read_or_create_token(data_dir)?,
    };
    if !listen_policy::is_strong(&token) {
        tracing::warn!(
            min_chars = listen_policy::MIN_STRONG_TOKEN_CHARS,
            "the token is short and can be guessed; a better one: `openssl rand -hex 16`"
        );
    }
    Ok(Some(token))
}

/// Prints a login link. Everyone who reads the terminal or the service's log may use the server anyway.
async fn print_login_link(access: Access, login_url: Arc<str>) {
    match access.admin().create_login_code(None).await {
        Ok((code, _)) => {
            let _ = writeln!(std::io::stdout(), "Log in, once and within 15 minutes: {login_url}#{code}");
        }
        Err(problem) => tracing::error!(%problem, "cannot create a login link; run `runtrail login` to get one"),
    }
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the previous server may still be in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(ACCEPT_BACKLOG)
}

async fn open_store(args: &ServeArgs, data_dir: &Path) -> Result<Store, StartError> {
    let (place, opened) = match args.data.database()? {
        DatabaseLocation::DataDir => {
            let file = data_dir.join(DATABASE_FILE);
            (file.display().to_string(), Store::open_sqlite(&file, args.durability).await)
        }
        DatabaseLocation::Sqlite(url) => {
            let opened = Store::open_url(&url, args.durability).await;
            (url, opened)
        }
        // Its errors name the server; the URL may contain a password.
        DatabaseLocation::Postgres(options) => ("PostgreSQL".to_owned(), Store::open_postgres(&options).await),
    };
    opened.map_err(|source| StartError::Database { place, source })
}
