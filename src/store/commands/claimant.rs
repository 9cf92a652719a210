//! The instance that claims runs, as preconditions of claims know it.

/// The instance that claims a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its id.
    pub instance: String,
    /// The id of its data folder, where the files of its runs are.
    pub data_folder: String,
    /// Whether the database is this instance's alone. Then runs are placed by labels only: a run whose folder is gone
    /// fails with a reason, instead of waiting for another worker.
    pub is_only: bool,
}

impl Claimant {
    /// An instance that has its database to itself and offers no labels.
    pub fn only() -> Self {
        Self { instance: String::new(), data_folder: String::new(), is_only: true }
    }
}

/// A condition on a row of `runs`: the instance has everything that the run needs. Has the values `instance`,
/// `data_folder` and `is_only`.
pub(in crate::store) const IS_PLACEABLE: &str = "NOT EXISTS (SELECT 1 FROM run_needs AS need
    WHERE need.run = runs.key AND (need.kind = 'label' OR $is_only = 0)
        AND (need.kind <> 'files' OR need.value <> $data_folder)
        AND NOT EXISTS (SELECT 1 FROM instance_offers AS offer
            WHERE offer.instance = $instance AND offer.kind = need.kind AND offer.value = need.value))";

/// A condition on a row of `runs` that a person answered: the run only ends, or the instance has its files. Has the
/// values `data_folder` and `is_only`.
pub(in crate::store) const HAS_FILES: &str = "(gate <> 'approved' OR cancel_by IS NOT NULL OR $is_only = 1
    OR data_folder IS NULL OR data_folder = $data_folder)";
