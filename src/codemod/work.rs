//! `runtrail work`: executes one phase of a built-in pipeline in this process.

use std::process::ExitCode;

use super::analysis::Analysis;
use super::autofix::AutoFix;
use super::check::Check;
use super::command;
use super::commit_files::CommitFiles;
use super::error::PhaseError;
use super::linters;
use super::patches::RewrittenFile;
use super::phase_log::PhaseLog;
use super::phases::{analyzing, applying, generating, scanning};
use super::refactor::Refactor;
use super::task::Task;
use super::trial::{ChangedObjects, Trial};

/// Executes a phase. An error is reported as a frame, and the exit code is then 1.
pub async fn work(pipeline: &str, phase: &str) -> ExitCode {
    command::adopt_orphans();
    let mut log = PhaseLog::new();
    let result = match Task::from_env() {
        Ok(task) => run_phase(pipeline, phase, &task, &mut log).await,
        Err(error) => Err(error),
    };
    let reported = match &result {
        Ok(()) => log.flush(),
        Err(error) => log.failure(error.code(), error.to_string()).and_then(|()| log.flush()),
    };
    if result.is_ok() && reported.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run_phase(pipeline: &str, phase: &str, task: &Task, log: &mut PhaseLog) -> Result<(), PhaseError> {
    // Parameters are checked before anything else happens.
    let mut refactor;
    let mut autofix;
    let (analysis, check): (&mut dyn Analysis, Option<Check>) = match pipeline {
        "refactor" => {
            refactor = Refactor::from_params(task)?;
            (&mut refactor, None)
        }
        "autofix" => {
            autofix = AutoFix::from_params(task)?;
            let check = autofix.check();
            (&mut autofix, check)
        }
        _ => return Err(PhaseError::UnknownPhase(pipeline.to_owned(), phase.to_owned())),
    };
    match phase {
        "scanning" => {
            let needs_checkout = check.is_some() || !linters::from_env()?.is_empty();
            scanning::run(task, analysis, needs_checkout, log).await
        }
        "analyzing" => analyzing::run(task, analysis, log).await,
        "generating" => generating::run(task, analysis, check, log).await,
        "applying" => {
            let (mut patches, has_excluded) = applying::approved_patches(task, log)?;
            // The remaining patches have not been checked without the excluded ones.
            if has_excluded
                && !patches.is_empty()
                && let Some(check) = check
            {
                patches = check_again(task, &check, patches, log).await?;
            }
            applying::run(task, analysis, patches, has_excluded, log).await
        }
        _ => Err(PhaseError::UnknownPhase(pipeline.to_owned(), phase.to_owned())),
    }
}

/// The patches with which the check passes, all together, on the commit.
async fn check_again(
    task: &Task,
    check: &Check,
    patches: Vec<RewrittenFile>,
    log: &mut PhaseLog,
) -> Result<Vec<RewrittenFile>, PhaseError> {
    let repositories = task.workspace.repositories()?;
    let files = CommitFiles::of(&repositories).await?;
    let mut trial = Trial::open(&task.workspace, &repositories, &files).await?;
    trial.restore().await?;
    trial.show(ChangedObjects::new()).await?;
    check.require_pass(&trial, log).await?;
    check.select_patches(&mut trial, &mut ChangedObjects::new(), patches, log).await
}
