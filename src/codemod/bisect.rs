//! Finds the largest good subset by halves, like delta debugging (ddmin).

/// Splits `0..count` into a large subset for which `test` returns `None`, and the rest with what `test` returned for
/// each.
///
/// All are tested together first, then in halves, each on top of the good ones so far. So the good ones pass as a
/// whole, at the price of about `bad * log2(count)` tests.
///
/// # Errors
/// The first error of `test`.
pub async fn bisect<F, E>(
    count: usize,
    mut test: impl AsyncFnMut(&[usize]) -> Result<Option<F>, E>,
) -> Result<(Vec<usize>, Vec<(usize, F)>), E> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut ranges: Vec<_> = std::iter::once(0..count).collect();
    while let Some(range) = ranges.pop() {
        if range.is_empty() {
            continue;
        }
        let with_range: Vec<usize> = good.iter().copied().chain(range.clone()).collect();
        match test(&with_range).await? {
            None => good = with_range,
            Some(failure) if range.len() == 1 => bad.push((range.start, failure)),
            Some(_) => {
                let middle = range.start + range.len() / 2;
                ranges.extend([middle..range.end, range.start..middle]);
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
        /// The good ones pass as a whole, none of the bad ones could be added alone, and few tests are made.
        #[test]
        fn bisect_separates_good_from_bad(
            count in 0usize..40,
            bad in prop::collection::btree_set(0usize..40, 0..5),
            conflicts in prop::collection::vec((0usize..40, 0usize..40), 0..3),
        ) {
            let fails = |chosen: &[usize]| {
                let chosen: BTreeSet<_> = chosen.iter().collect();
                let has_bad = bad.iter().any(|index| chosen.contains(index));
                has_bad || conflicts.iter().any(|(a, b)| chosen.contains(a) && chosen.contains(b))
            };
            let mut tests = 0;
            let result = bisect(count, async |chosen: &[usize]| {
                tests += 1;
                Ok::<_, Infallible>(fails(chosen).then_some(()))
            });
            let (good, rest) = result.now_or_never().unwrap().unwrap();
            prop_assert_eq!(good.len() + rest.len(), count);
            prop_assert!(good.is_empty() || !fails(&good));
            for (index, ()) in rest {
                let with_index: Vec<_> = good.iter().copied().chain([index]).collect();
                prop_assert!(fails(&with_index), "{} is not bad", index);
            }
            let faults = bad.len() + conflicts.len();
            prop_assert!(tests <= 1 + faults * 2 * 7, "{} tests", tests);
        }
    }
}
