//! What an attempt sets up before its first phase: its folders, limits, confinement and secrets.

use std::path::PathBuf;
use std::sync::Arc;

use super::attempt::Attempt;
use super::command::confinement::{CommandConfinement, ConfinementRequest};
use super::command::sandbox::SandboxAccess;
use super::disk_monitor::DiskMonitor;
use super::meter::{Meter, Usage};
use super::secrets::{AttemptSecrets, SecretLoader};
use super::shortage_retry::{RetryResult, retry_while_short};
use super::work_folder::{WorkFolder, WorkFolderError, open_workspace};
use crate::confined_fs::Folder;
use crate::journal::WriteError;
use crate::model::kinds::Failure;
use crate::model::{AttemptInfo, FramePayload, Pipeline, Run};
use crate::store::{Assignment, NewFrame};
use crate::workspaces::folder_name;

/// An attempt that is ready for its phases.
pub(super) struct PreparedAttempt {
    pub(super) work_folder: WorkFolder,
    pub(super) workspace: Folder,
    pub(super) meter: Arc<Meter>,
    pub(super) confinement: CommandConfinement,
    pub(super) secrets: AttemptSecrets,
    _disk_monitor: Option<DiskMonitor>,
}

/// Where an attempt begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beginning {
    /// With its first phase, which has not begun.
    pub(super) is_first: bool,
    /// Where an earlier server has left it: its folders are kept.
    pub(super) is_adopted: bool,
    /// What it had used then.
    pub(super) usage: Option<Usage>,
}

/// Why an attempt has no phases to run.
pub(super) enum NotPrepared {
    /// It was cancelled, or the server shuts down.
    Stopped,
    Failed(Failure),
}

impl PreparedAttempt {
    /// Prepares an attempt.
    ///
    /// # Errors
    /// The lease is lost, or the database's own.
    pub(super) async fn prepare(
        attempt: &Attempt,
        assignment: &Assignment,
        beginning: Beginning,
    ) -> Result<Result<Self, NotPrepared>, WriteError> {
        let Assignment { run, pipeline, answer, .. } = assignment;
        let options = &attempt.state.options;
        let open = || async {
            let work_folder = WorkFolder::open(options, run, pipeline, beginning.is_first).await?;
            let workspace = open_workspace(options, run, answer.as_ref(), beginning.is_adopted).await?;
            Ok::<_, WorkFolderError>((work_folder, workspace))
        };
        let waiting = "the run waits for a folder to work in";
        let (work_folder, workspace) = match retry_while_short(attempt, None, waiting, open).await? {
            RetryResult::Done(Ok(folders)) => folders,
            RetryResult::Stopped => return Ok(Err(NotPrepared::Stopped)),
            RetryResult::Done(Err(error)) => {
                let message = format!("the run has no folder to work in: {error}");
                let failure = Failure { code: "no_folder".to_owned(), message, retryable: false };
                return Ok(Err(NotPrepared::Failed(failure)));
            }
        };
        // The time limit of the attempt starts here, unless an earlier server has started it.
        let meter =
            beginning.usage.map_or_else(|| Meter::new(pipeline.limits), |used| Meter::resume(pipeline.limits, used));
        let meter = Arc::new(meter);
        // Only the folders of the run count. A project folder belongs to the user.
        let disk_monitor = pipeline.limits.scratch.map(|limit_bytes| {
            let folders = vec![options.scratch.join(run.id.as_str()), workspace.path().to_owned()];
            DiskMonitor::start(folders, limit_bytes, Arc::clone(&meter))
        });
        let confinement = match confine(attempt, run, pipeline, &work_folder, &workspace).await? {
            Ok(confinement) => confinement,
            Err(failure) => return Ok(Err(NotPrepared::Failed(failure))),
        };
        let loader = SecretLoader { attempt, run, workspace: &workspace };
        let secrets = match loader.load(pipeline).await? {
            Ok(secrets) => secrets,
            Err(_) if attempt.signals.is_stopping() => return Ok(Err(NotPrepared::Stopped)),
            Err(failure) => return Ok(Err(NotPrepared::Failed(failure))),
        };
        Ok(Ok(Self { work_folder, workspace, meter, confinement, secrets, _disk_monitor: disk_monitor }))
    }
}

/// Sets up the confinement of the attempt's commands, and journals which parts of it are not available.
///
/// Fails if the pipeline requires a part that is not available.
async fn confine(
    attempt: &Attempt,
    run: &Run,
    pipeline: &Pipeline,
    work_folder: &WorkFolder,
    workspace: &Folder,
) -> Result<Result<CommandConfinement, Failure>, WriteError> {
    let options = &attempt.state.options;
    let mut writable = vec![workspace.path().to_owned()];
    if pipeline.restart_from_start {
        // Built-in pipelines pass data between phases beside the workspace, and their repository may be above the work
        // folder.
        writable.extend(AttemptInfo::folder(workspace.path()));
        writable.extend(options.projects.roots().iter().map(PathBuf::from));
    }
    writable.push(work_folder.path());
    let request = ConfinementRequest {
        attempt: folder_name(&run.id, run.attempt),
        limits: pipeline.limits,
        sandbox: pipeline.sandbox,
        access: SandboxAccess { writable, network: pipeline.network },
    };
    let (confinement, notices) = match options.commands.prepare(request).await {
        Ok(prepared) => prepared,
        Err(failure) => return Ok(Err(failure)),
    };
    if !notices.is_empty() {
        let mut write = attempt.append();
        write.frames.extend(notices.into_iter().map(|notice| NewFrame::now(None, &FramePayload::Notice(notice))));
        attempt.commit(write).await?;
    }
    Ok(Ok(confinement))
}
