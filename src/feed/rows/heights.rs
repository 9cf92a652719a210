//! The heights of a list's rows: an estimate for those that are not loaded, their own height for those that are.

use std::collections::BTreeMap;

use super::WINDOW_ROWS;

/// The heights of a window's rows, if one of them differs from the estimate.
#[derive(Clone, Debug, PartialEq)]
struct WindowHeights {
    heights: Vec<f32>,
    sum: f64,
}

/// The heights of rows 1, 2, 3 … in CSS pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Heights {
    estimate: f64,
    windows: BTreeMap<u64, WindowHeights>,
}

impl Heights {
    /// All rows have the estimated height.
    pub const fn new(estimate: f64) -> Self {
        Self { estimate, windows: BTreeMap::new() }
    }

    /// The height of a row.
    pub fn of(&self, seq: u64) -> f64 {
        let Some(row) = seq.checked_sub(1) else { return 0.0 };
        let window = self.windows.get(&(row / WINDOW_ROWS));
        let height = window.and_then(|window| window.heights.get((row % WINDOW_ROWS) as usize));
        height.map_or(self.estimate, |height| f64::from(*height))
    }

    /// Sets the heights of a window's rows from its first one on; further rows have the estimate. Windows count from 0.
    pub fn set(&mut self, window: u64, mut heights: Vec<f32>) {
        if heights.iter().all(|height| f64::from(*height) == self.estimate) {
            self.windows.remove(&window);
            return;
        }
        heights.resize(WINDOW_ROWS as usize, self.estimate as f32);
        let sum = heights.iter().map(|height| f64::from(*height)).sum();
        self.windows.insert(window, WindowHeights { heights, sum });
    }

    /// Resets the rows of all windows but those for which this is true to the estimate.
    pub fn retain(&mut self, is_kept: impl Fn(u64) -> bool) {
        self.windows.retain(|window, _| is_kept(*window));
    }

    /// The total height of the rows before this one.
    pub fn before(&self, seq: u64) -> f64 {
        let row = seq.saturating_sub(1);
        let (window, place) = (row / WINDOW_ROWS, (row % WINDOW_ROWS) as usize);
        let per_window = WINDOW_ROWS as f64 * self.estimate;
        let corrections: f64 = self.windows.range(..window).map(|(_, window)| window.sum - per_window).sum();
        let partial = match self.windows.get(&window) {
            Some(known) => known.heights.iter().take(place).map(|height| f64::from(*height)).sum(),
            None => place as f64 * self.estimate,
        };
        window as f64 * per_window + corrections + partial
    }

    /// The row at this distance from the top of a list of `count` rows. It has a height, unless there is no row: then
    /// it is 0.
    pub fn at(&self, distance: f64, count: u64) -> u64 {
        if count == 0 {
            return 0;
        }
        let (mut row, mut top) = (0, 0.0);
        for (window, known) in &self.windows {
            let first = window * WINDOW_ROWS;
            let known_top = (first - row) as f64 * self.estimate + top;
            if distance < known_top {
                break;
            }
            if distance < known_top + known.sum {
                top = known_top;
                for (place, height) in (0u64..).zip(&known.heights) {
                    top += f64::from(*height);
                    if distance < top {
                        return (first + place + 1).min(count);
                    }
                }
            }
            row = first + WINDOW_ROWS;
            top = known_top + known.sum;
        }
        let rows = ((distance - top) / self.estimate).floor().max(0.0);
        row.saturating_add(rows as u64).saturating_add(1).min(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn heights_default_to_the_estimate() {
        let heights = Heights::new(20.0);
        assert_eq!((heights.before(1), heights.before(501), heights.of(7)), (0.0, 10_000.0, 20.0));
        assert_eq!([0.0, 19.9, 20.0, 1e9, -5.0].map(|at| heights.at(at, 1000)), [1, 1, 2, 1000, 1]);
        assert_eq!(heights.at(0.0, 0), 0);
    }

    #[test]
    fn heights_skip_rows_without_height() {
        let mut heights = Heights::new(20.0);
        heights.set(0, [vec![20.0], vec![0.0; 498], vec![20.0]].concat());
        assert_eq!([0.0, 19.0, 20.0, 39.0, 40.0].map(|at| heights.at(at, 1000)), [1, 1, 500, 500, 501]);
        heights.set(0, vec![20.0; 500]);
        assert_eq!(heights, Heights::new(20.0));
    }

    proptest! {
        /// Against a plain list of all heights.
        #[test]
        fn heights_add_up(
            windows in prop::collection::btree_map(0u64..5, prop::collection::vec(0u8..4, 1..=500), 0..4),
            count in 1u64..2600, at in 0.0f64..1.0,
        ) {
            let mut heights = Heights::new(20.0);
            let mut plain = vec![20.0f64; 2600];
            for (window, rows) in &windows {
                let rows: Vec<f32> = rows.iter().map(|height| f32::from(*height) * 10.0).collect();
                for (place, height) in rows.iter().enumerate() {
                    plain[*window as usize * 500 + place] = f64::from(*height);
                }
                heights.set(*window, rows);
            }
            let sums: Vec<f64> = plain.iter().scan(0.0, |sum, height| { *sum += height; Some(*sum) }).collect();
            for seq in [1, count, count + 1] {
                let expected = if seq == 1 { 0.0 } else { sums[seq as usize - 2] };
                prop_assert!((heights.before(seq) - expected).abs() < 1e-6);
            }
            prop_assert_eq!(heights.of(count), plain[count as usize - 1]);
            let distance = at * sums[count as usize - 1];
            let expected = sums.iter().position(|sum| distance < *sum).map_or(count, |row| (row as u64 + 1).min(count));
            prop_assert_eq!(heights.at(distance, count), expected);
        }
    }
}
