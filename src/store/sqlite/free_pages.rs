//! Empty pages are given back to the file system, a few at a time.

use rusqlite::Connection;

use super::AUTO_VACUUM_INCREMENTAL;

/// Pages that are given back at once. Each may be one that is in use and has to be moved.
pub(super) const STEP_PAGES: i64 = 128;

/// So many empty pages are kept, 4 MiB, or such a part of all pages, if that is more: what is given back today may be
/// needed again tomorrow.
pub(super) const SPARE_PAGES: i64 = 1024;
pub(super) const SPARE_PART: i64 = 8;

/// Gives a few pages back. Returns whether there are more than are kept.
///
/// # Errors
/// The database failed.
pub fn give_pages_back(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    // A database of an early version gives nothing back until it is vacuumed once.
    if number("auto_vacuum")? != AUTO_VACUUM_INCREMENTAL {
        return Ok(false);
    }
    let spare = SPARE_PAGES.max(number("page_count")? / SPARE_PART);
    let pages = (number("freelist_count")? - spare).min(STEP_PAGES);
    if pages > 0 {
        // One row for each page.
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
    }
    Ok(pages == STEP_PAGES)
}
