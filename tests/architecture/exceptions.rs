//! Every exception to the rules of `tests/architecture.rs`, with its reason. An exception that nothing needs fails,
//! too.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// `path: folder or library`: the file may import it although its folder may not.
pub const IMPORTS: &[&str] = &[
    // A file is refused for an expression that the feature cannot use. Both rules are pure.
    "src/pipelines/condition.rs: hooks",
    "src/pipelines/schedule.rs: schedules",
];

/// Files that may be longer than others.
pub const LONG_FILES: &[&str] = &[
    // The guarantees of the journal and of leases, each with the parts that it needs: one subject.
    "tests/it/journal.rs",
    "tests/it/lifecycle/mod.rs",
];

/// `path: function`: functions that may be longer than others.
pub const LONG_FUNCTIONS: &[&str] = &[
    // A table of forbidden statements.
    "tests/it/journal.rs: triggers_reject_raw_sql_writes",
];

/// Files that may ask whether they are compiled for tests.
pub const TEST_SWITCHES: &[&str] = &[
    // The seam for the checker: in unit tests the journal's locks, channels and clock are shuttle's.
    "src/journal/sync.rs",
];

/// A list of exceptions, and which of them were needed.
pub struct Exceptions {
    list: &'static [&'static str],
    needed: RefCell<BTreeSet<String>>,
}

impl Exceptions {
    pub fn new(list: &'static [&'static str]) -> Self {
        Self { list, needed: RefCell::default() }
    }

    /// Whether this violation is excepted.
    pub fn allow(&self, violation: &str) -> bool {
        let is_listed = self.list.contains(&violation);
        if is_listed {
            self.needed.borrow_mut().insert(violation.to_owned());
        }
        is_listed
    }

    /// Fails if an exception was not needed.
    pub fn assert_all_needed(&self) {
        let needed = self.needed.borrow();
        let unneeded: Vec<_> = self.list.iter().filter(|entry| !needed.contains(**entry)).collect();
        assert!(unneeded.is_empty(), "remove these exceptions, which nothing needs: {unneeded:?}");
    }
}
