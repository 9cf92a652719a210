//! A command of the operator's that says whether code is good (its tests, a compiler), and which patches it is against.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::PhaseError;
use super::patches::Rewritten;
use super::report::Report;
use super::workspace::Tree;

/// How much of what a check prints is told, in bytes: its end, where the reason stands.
const TOLD: usize = 4000;

/// The command, given to `sh -c` in the project's folder of our worktree.
pub struct Check {
    command: String,
}

/// How a check went.
struct Failed {
    how: String,
    said: String,
}

impl Check {
    /// This command.
    pub fn new(command: String) -> Self {
        Self { command }
    }

    /// The patches with which the check passes, all together. Those that it is against are told with what it printed.
    ///
    /// # Errors
    /// It fails without any patch; the disk.
    pub async fn prove<P: AsRef<Rewritten>>(
        &self,
        tree: &Tree,
        patches: Vec<P>,
        report: &mut Report,
    ) -> Result<Vec<P>, PhaseError> {
        let root = tree.root();
        report.line(&format!("check: {}", self.command))?;
        report.flush()?;
        if let Err(Failed { how, said }) = self.run(&root).await? {
            return Err(PhaseError::Check { how, said });
        }
        let files: Vec<&Rewritten> = patches.iter().map(P::as_ref).collect();
        let before = files.iter().map(|file| std::fs::read_to_string(root.join(&file.path)));
        let before = before.collect::<Result<Vec<_>, _>>()?;
        let mut tried = 0;
        let passes = async |chosen: &[usize]| {
            for (index, (file, before)) in files.iter().zip(&before).enumerate() {
                let text = if chosen.contains(&index) { &file.text } else { before };
                std::fs::write(root.join(&file.path), text)?;
            }
            let went = self.run(&root).await?;
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
        for (file, before) in files.iter().zip(&before) {
            std::fs::write(root.join(&file.path), before)?;
        }
        let kept = patches.into_iter().enumerate().filter(|(index, _)| good.contains(index));
        Ok(kept.map(|(_, patch)| patch).collect())
    }

    async fn run(&self, root: &Path) -> Result<Result<(), Failed>, PhaseError> {
        let mut shell = Command::new("sh");
        // Both into one pipe, so that lines stand as they came.
        shell.arg("-c").arg(format!("exec 2>&1\n{}", self.command)).current_dir(root).kill_on_drop(true);
        let done = shell.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await?;
        if done.status.success() {
            return Ok(Ok(()));
        }
        let said = String::from_utf8_lossy(&done.stdout);
        let mut from = said.len().saturating_sub(TOLD);
        while !said.is_char_boundary(from) {
            from += 1;
        }
        Ok(Err(Failed { how: done.status.to_string(), said: said[from..].trim().to_owned() }))
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
