//! No statement of this program scans a table that grows: the plan of each, as SQLite makes it over the real tables.
//!
//! The statements are taken from the source of commands, queries and this driver, so that a new one is checked by
//! itself.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{Durability, SqliteDatabase};
use crate::store::queries::{frames, run_list};

/// Indexes that hold only what waits, runs or was just deleted: looking through one takes as long as there is of that.
const BOUNDED: [&str; 8] = [
    "runs_pending",
    "runs_running",
    "runs_gate",
    "runs_group_running",
    "runs_group_active",
    "runs_superseding",
    "runs_gone",
    "deliveries_due",
];

/// Indexes by columns of which many runs have the same value: a statement that uses one has to say how many runs it
/// wants.
const WIDE: [&str; 3] = ["runs_status", "runs_pipeline", "runs_pipeline_status"];

/// What does not grow: tables with a row for each schedule, status, token or login, and what a statement makes itself.
const SMALL: [&str; 17] = [
    "CONSTANT ROW",
    "access_tokens",
    "access_sessions",
    "login_codes",
    "instances",
    "instance_offers",
    "schedules",
    "schedule_pauses",
    "run_counts",
    "sqlite_schema",
    "pragma_",
    "(subquery",
    "ordered",
    "names",
    "due",
    "sizes",
    "totals",
];

/// Statements that the rules take for worse than they are, by a part of them, and why.
const FINE: [(&str, &str); 11] = [
    (
        "FROM runs WHERE deleted_at IS NULL ORDER BY key DESC LIMIT",
        "the newest runs, one after another up to the limit",
    ),
    ("FROM runs WHERE deleted_at IS NULL AND key < ? ORDER BY key DESC LIMIT", "the same, from some run on"),
    ("ORDER BY key DESC LIMIT 1 OFFSET", "a step of one window"),
    ("AND key >= ?", "a window of a search"),
    ("WHERE id < ? ORDER BY id DESC LIMIT 1", "one step back in the order of ids"),
    ("SELECT (SELECT min(pipeline) FROM runs WHERE", "from one name to the next in an index"),
    ("SELECT 1 FROM runs LIMIT 1", "one row, whichever"),
    ("FROM hook_deliveries WHERE key < ?", "the newest deliveries up to the limit, of a table of bounded size"),
    ("DELETE FROM hook_deliveries WHERE at < ?", "deletes all that it scans"),
    ("FROM audit WHERE id < ?", "the newest lines, one after another up to the limit"),
    ("FROM audit WHERE id > ? ORDER BY id LIMIT", "the next lines up to the limit"),
];

/// The text literals of a source file, each with the name of the constant that it is.
fn literals(source: &str) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut before = String::new();
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\''") || rest.starts_with("'\\\"'") {
            rest = rest[1..].split_once('\'').map_or("", |(_, rest)| rest.strip_prefix('\'').unwrap_or(rest));
        } else if first == '"' || first == 'r' && (rest[1..].starts_with('"') || rest[1..].starts_with("#\"")) {
            let (end, text) = literal_at(rest);
            found.push((constant(&before), text));
            rest = &rest[end..];
        } else {
            before.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// The text literal that `source` begins with, and where it ends.
fn literal_at(source: &str) -> (usize, String) {
    if let Some(raw) = source.strip_prefix('r') {
        let (begin, end) = if raw.starts_with('#') { ("#\"", "\"#") } else { ("\"", "\"") };
        let (text, _) = raw[begin.len()..].split_once(end).expect("a raw literal ends");
        return (1 + begin.len() + text.len() + end.len(), text.to_owned());
    }
    let mut text = String::new();
    let mut chars = source[1..].char_indices();
    loop {
        match chars.next().expect("a literal ends") {
            (at, '"') => return (at + 2, text),
            (_, '\\') => match chars.next().expect("an escape").1 {
                '\n' => {
                    let ahead = chars.as_str();
                    let skipped = ahead.len() - ahead.trim_start().len();
                    if skipped > 0 {
                        chars.nth(skipped - 1);
                    }
                }
                'n' => text.push('\n'),
                other => text.push(other),
            },
            (_, other) => text.push(other),
        }
    }
}

/// The name of the constant that the source before a literal declares.
fn constant(before: &str) -> Option<String> {
    let declared = before.trim_end().strip_suffix('=')?.trim_end().strip_suffix(": &str")?;
    declared.rsplit_once("const ").map(|(_, name)| name.to_owned())
}

/// The SQL texts of the calls of `statement!` in a source file. Those of a macro's own are left out.
fn statements_in(file: &str, source: &str, constants: &BTreeMap<String, String>) -> Vec<String> {
    let calls = source.split("statement!(").skip(1);
    let texts = calls.filter_map(|call| {
        let call = call.trim_start();
        let Some(list) = call.strip_prefix('[') else {
            return literals(call).into_iter().next().map(|(_, text)| text);
        };
        let mut text = String::new();
        let mut rest = list.trim_start();
        while !rest.starts_with(']') {
            let part = if rest.starts_with('"') || rest.starts_with("r\"") {
                let (end, literal) = literal_at(rest);
                rest = &rest[end..];
                literal
            } else {
                let end = rest.find([',', ']']).expect("a part ends");
                let (name, after) = rest.split_at(end);
                rest = after;
                if name.starts_with('$') {
                    return None;
                }
                let known = constants.get(name.trim());
                known.unwrap_or_else(|| panic!("{file}: `{name}` is no constant of the store")).clone()
            };
            text.push_str(&part);
            rest = rest.trim_start().trim_start_matches(',').trim_start();
        }
        Some(text)
    });
    texts.collect()
}

/// All Rust files below a folder of the store, but for tests.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let folder = format!("{}/src/store/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let source = std::fs::read_to_string(&path).unwrap();
        let source = source.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        // Comments may have quotes.
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        (name, code)
    };
    rust.map(read).filter(|(name, _)| !["plans.rs", "fixtures.rs"].contains(&name.as_str())).collect()
}

/// All statements of the store, each with its file.
fn statements() -> Vec<(String, String)> {
    let mut shared = sources("commands");
    shared.extend(sources("queries"));
    let constants = shared.values().flat_map(|source| literals(source));
    let constants: BTreeMap<String, String> = constants.filter_map(|(name, text)| Some((name?, text))).collect();
    let mut all = Vec::new();
    for (file, source) in &shared {
        let texts = statements_in(file, source, &constants);
        all.extend(texts.into_iter().map(|text| (file.clone(), text)));
    }
    all.extend(run_list::statements().into_iter().map(|text| ("run_list.rs".to_owned(), text)));
    all.extend(frames::statements().into_iter().map(|text| ("frames.rs".to_owned(), text)));
    let verbs = ["SELECT ", "WITH ", "UPDATE ", "DELETE ", "INSERT "];
    for (file, source) in sources("sqlite") {
        let texts = literals(&source).into_iter().map(|(_, text)| text);
        let sql = texts.filter(|text| verbs.iter().any(|verb| text.starts_with(verb)));
        all.extend(sql.map(|text| (file.clone(), text)));
    }
    all
}

/// The statement on one line, with `?` for each placeholder.
fn flat(sql: &str) -> String {
    let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut flat = String::new();
    let mut chars = words.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '$' || char == '?' {
            while chars.next_if(|next| next.is_alphanumeric() || *next == '_').is_some() {}
            flat.push('?');
        } else {
            flat.push(char);
        }
    }
    flat
}

fn plan(db: &Connection, sql: &str) -> Result<Vec<String>, rusqlite::Error> {
    let mut explained = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    explained.raw_query().mapped(|row| row.get("detail")).collect()
}

/// What is wrong with a statement's plan, if anything is.
fn fault(db: &Connection, sql: &str) -> Option<String> {
    let flat = flat(sql);
    let plan = match plan(db, sql) {
        Ok(plan) => plan,
        Err(error) => return Some(format!("it cannot be prepared: {error}")),
    };
    if FINE.iter().any(|(part, _)| flat.contains(part))
        && !plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER"))
    {
        return None;
    }
    plan.into_iter().find(|step| is_fault(step, &flat))
}

fn is_fault(step: &str, sql: &str) -> bool {
    if step.contains("AUTOMATIC") {
        return true;
    }
    let index = step.split_once("INDEX ").map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    if index.is_some_and(|index| BOUNDED.contains(&index)) {
        return false;
    }
    if let Some(scanned) = step.strip_prefix("SCAN ") {
        return !SMALL.iter().any(|small| scanned.starts_with(small));
    }
    let Some(searched) = step.strip_prefix("SEARCH ") else { return false };
    let terms = searched.rsplit_once('(').map_or("", |(_, terms)| terms);
    let first = terms.split([' ', ')']).next().unwrap_or_default();
    let is_range = first.contains('<') || first.contains('>');
    // The first or the last entry of an index is one step, wherever it begins.
    let is_one = ["min(", "max("].iter().any(|one| sql.contains(one)) && searched.contains("COVERING INDEX");
    let is_active = ["status = 'pending'", "status = 'running'", "status IN ('pending', 'running')"];
    let is_wide = index.is_some_and(|index| WIDE.contains(&index))
        && !sql.contains(" LIMIT ")
        && !is_active.iter().any(|active| sql.contains(active));
    (is_range && !is_one && !searched.contains("idempotency_keys_age")) || is_wide
}

async fn database(folder: &std::path::Path) -> Connection {
    let file = folder.join("x.db");
    drop(SqliteDatabase::open(&file, Durability::Normal).await.unwrap());
    Connection::open(file).unwrap()
}

#[tokio::test]
async fn statements_scan_no_table_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path()).await;
    let all = statements();
    assert!(all.len() > 80, "{} statements found", all.len());
    let faults: Vec<_> =
        all.iter().filter_map(|(file, sql)| Some(format!("{file}: {}\n    {sql}", fault(&db, sql)?))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (part, why) in FINE {
        assert!(all.iter().any(|(_, sql)| flat(sql).contains(part)), "no statement is like `{part}` ({why})");
    }
}

#[tokio::test]
async fn plan_check_finds_statements_that_scan() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path()).await;
    for sql in [
        "SELECT key, id, attempt FROM runs NOT INDEXED WHERE deleted_at IS NOT NULL AND key > ? ORDER BY key LIMIT ?",
        "SELECT key FROM runs WHERE deleted_at IS NULL AND (?1 IS NULL OR status = ?1) ORDER BY key DESC LIMIT 50",
        "SELECT key FROM runs WHERE deleted_at IS NULL AND params LIKE '%x%' ORDER BY key DESC LIMIT 50",
        "SELECT status, count(*) FROM runs GROUP BY status",
        "SELECT count(*) FROM runs WHERE status = ?",
        "SELECT count(*) FROM runs",
        "SELECT key FROM runs WHERE created_at > ?",
        "SELECT run FROM frames WHERE kind = 'patch'",
        "SELECT run FROM attempts WHERE status = 'failed'",
        "UPDATE runs SET pinned = 0 WHERE pipeline = ?",
        "DELETE FROM idempotency_keys WHERE digest = ?",
    ] {
        assert!(fault(&db, sql).is_some(), "{sql}");
    }
}

#[tokio::test]
async fn hook_and_schedule_reads_search_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path()).await;
    let reads = statements().into_iter().filter(|(file, sql)| {
        sql.starts_with("SELECT") && (file == "hook_deliveries.rs" || sql.contains("runs_of_schedule"))
    });
    let reads: Vec<_> = reads.collect();
    assert!(reads.len() >= 8, "{} statements found", reads.len());
    for (_, sql) in reads {
        let plan = plan(&db, &sql).unwrap();
        assert!(plan.iter().all(|step| step.starts_with("SEARCH")), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {plan:?}");
    }
}
