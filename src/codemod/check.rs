//! A command of the operator's that says whether code is good (its tests, a compiler), and which patches it is against.

use std::process::Stdio;
use std::time::Duration;

use super::PhaseError;
use super::command::{self, Exited, Limits, Output, Stopped};
use super::patches::Rewritten;
use super::report::Report;
use super::trial::{Changed, Trial};
use super::workspace::named;

/// How much of what a check prints is told, in bytes: its end, where the reason stands.
const TOLD: usize = 4000;

/// How long one try of a check may take if nothing is said.
pub const LIMIT: Duration = Duration::from_secs(3600);

/// The command, given to `sh -c` in the project's folder of the checkout.
#[derive(Clone)]
pub struct Check {
    command: String,
    limit: Duration,
}

/// How a check went.
struct Failed {
    how: String,
    said: String,
}

impl Check {
    /// This command, each try of which may take so long.
    pub fn new(command: String, limit: Duration) -> Self {
        Self { command, limit }
    }

    /// That the check passes with the files as they are.
    ///
    /// # Errors
    /// It does not, so it cannot tell good patches from bad ones; the disk.
    pub async fn passes_before(&self, trial: &Trial<'_>, report: &mut Report) -> Result<(), PhaseError> {
        report.line(&format!("check: {}", self.command))?;
        report.flush()?;
        match self.run(trial, report).await? {
            Ok(()) => Ok(()),
            Err(Failed { how, said }) => {
                let lacks = trial.checkout.lacks().map(|lacks| format!("\nThe checkout lacks:\n{lacks}"));
                Err(PhaseError::Check { how, said, lacks: lacks.unwrap_or_default() })
            }
        }
    }

    /// The patches with which the check passes, all together and on top of `accepted`, to which they are added. Those that it is
    /// against are told with what it printed.
    ///
    /// # Errors
    /// The disk, or git.
    pub async fn prove<P: AsRef<Rewritten>>(
        &self,
        trial: &mut Trial<'_>,
        accepted: &mut Changed,
        patches: Vec<P>,
        report: &mut Report,
    ) -> Result<Vec<P>, PhaseError> {
        let files: Vec<&Rewritten> = patches.iter().map(P::as_ref).collect();
        let objects = trial.keep(files.iter().map(|file| file.text.as_str())).await?;
        let with = |chosen: &[usize]| {
            let mut wanted = accepted.clone();
            let chosen = chosen.iter().filter_map(|at| Some((files.get(*at)?.path.clone(), objects.get(*at)?.clone())));
            wanted.extend(chosen);
            wanted
        };
        let mut tried = 0;
        let passes = async |chosen: &[usize]| {
            trial.restore().await?;
            trial.show(with(chosen)).await?;
            let went = self.run(trial, report).await?;
            tried += 1;
            let word = if went.is_ok() { "passes" } else { "fails" };
            report.line(&format!("check {tried}: {word} with {} of {} patches", chosen.len(), files.len()))?;
            report.flush()?;
            Ok::<_, PhaseError>(went.err())
        };
        let (good, bad) = good_ones(files.len(), passes).await?;
        for (index, Failed { how, said }) in bad {
            report.line(&format!("left {} as it is: with its patch the check fails ({how}):", files[index].path))?;
            said.lines().try_for_each(|line| report.line(&format!("  {line}")))?;
        }
        let proved = with(&good);
        trial.restore().await?;
        trial.show(proved.clone()).await?;
        *accepted = proved;
        let kept = patches.into_iter().enumerate().filter(|(index, _)| good.contains(index));
        Ok(kept.map(|(_, patch)| patch).collect())
    }

    async fn run(&self, trial: &Trial<'_>, report: &mut Report) -> Result<Result<(), Failed>, PhaseError> {
        let (root, top) = (trial.root()?, trial.top()?);
        // Both into one pipe, so that lines stand as they came.
        let script = format!("exec 2>&1\n{}", self.command);
        let mut shell = command::shell(&script, &root, top.path());
        shell.stderr(Stdio::inherit());
        let limits = Limits { time: self.limit, output: Output::Tail(TOLD) };
        let failed = |how: String, said: &[u8]| {
            // The first character may be cut.
            let said = String::from_utf8_lossy(said).trim_start_matches('\u{fffd}').trim().to_owned();
            Ok(Err(Failed { how, said }))
        };
        match command::run(shell, None, limits, true).await {
            Ok(Exited { status, stdout, left, .. }) => {
                if !left.is_empty() {
                    report.line(&format!("check: ended what it left running: {}", left.join(", ")))?;
                }
                if status.success() { Ok(Ok(())) } else { failed(status.to_string(), &stdout) }
            }
            Err(Stopped::TooLong(said)) => {
                let limit = humantime::format_duration(self.limit);
                failed(format!("it took longer than {limit} and was ended"), &said)
            }
            // The end of the output is kept, however much there is.
            Err(Stopped::TooMuch) => failed("it printed too much".to_owned(), &[]),
            Err(Stopped::NotStarted(error) | Stopped::Lost(error)) => Err(named(root.path(), error).into()),
        }
    }
}

/// The largest part of `0..count` that this finds with which `fails` says nothing, and each of the others with what it said: all
/// together if it can, else by halves, each on top of what is good so far. So what is good passes as a whole, at the price of
/// about `bad * log2(count)` tries.
///
/// # Errors
/// Those of `fails`.
pub async fn good_ones<F, E>(
    count: usize,
    mut fails: impl AsyncFnMut(&[usize]) -> Result<Option<F>, E>,
) -> Result<(Vec<usize>, Vec<(usize, F)>), E> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut left: Vec<_> = std::iter::once(0..count).collect();
    while let Some(part) = left.pop() {
        if part.is_empty() {
            continue;
        }
        let with: Vec<usize> = good.iter().copied().chain(part.clone()).collect();
        match fails(&with).await? {
            None => good = with,
            Some(failed) if part.len() == 1 => bad.push((part.start, failed)),
            Some(_) => {
                let middle = part.start + part.len() / 2;
                left.extend([middle..part.end, part.start..middle]);
            }
        }
    }
    Ok((good, bad))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use futures::FutureExt;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is good passes as a whole, nothing that is left out could be added to it alone, and few tries are made.
        #[test]
        fn finds_the_good_ones(
            count in 0usize..40,
            bad in prop::collection::btree_set(0usize..40, 0..5),
            quarrel in prop::collection::vec((0usize..40, 0usize..40), 0..3),
        ) {
            let fails = |chosen: &[usize]| {
                let chosen: BTreeSet<_> = chosen.iter().collect();
                let one = bad.iter().any(|index| chosen.contains(index));
                one || quarrel.iter().any(|(a, b)| chosen.contains(a) && chosen.contains(b))
            };
            let mut tries = 0;
            let found = good_ones(count, async |chosen: &[usize]| {
                tries += 1;
                Ok::<_, Infallible>(fails(chosen).then_some(()))
            });
            let (good, left) = found.now_or_never().unwrap().unwrap();
            prop_assert_eq!(good.len() + left.len(), count);
            prop_assert!(good.is_empty() || !fails(&good));
            for (index, ()) in left {
                let with: Vec<_> = good.iter().copied().chain([index]).collect();
                prop_assert!(fails(&with), "{} would do no harm", index);
            }
            let harm = bad.len() + quarrel.len();
            prop_assert!(tries <= 1 + harm * 2 * 7, "{} tries", tries);
        }
    }
}
