//! No statement of this program looks through a table that grows: the plan of each, as SQLite makes it over the real
//! tables.
//!
//! The statements are taken from the source of this folder, so that a new one is checked without anyone thinking of it.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{Durability, SqliteStore, list};

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
const SMALL: [&str; 12] = [
    "CONSTANT ROW",
    "access_tokens",
    "access_sessions",
    "login_codes",
    "schedules",
    "schedule_pauses",
    "run_counts",
    "sqlite_schema",
    "pragma_",
    "(subquery",
    "names",
    "due",
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
    ("WHERE id < ?1 ORDER BY id DESC LIMIT 1", "one step back in the order of ids"),
    ("SELECT (SELECT min(pipeline) FROM runs WHERE", "from one name to the next in an index"),
    ("SELECT 1 FROM runs LIMIT 1", "one row, whichever"),
    ("FROM hook_deliveries WHERE key < ?1", "the newest deliveries up to the limit, of a table of bounded size"),
    ("DELETE FROM hook_deliveries WHERE at < ?", "deletes all that it looks at"),
    ("FROM audit WHERE id < ?4", "the newest lines, one after another up to the limit"),
    ("FROM audit WHERE id > ? ORDER BY id LIMIT", "the next lines up to the limit"),
];

/// Parts of statements that are put together at run time, by file and name.
const PARTS: [(&str, &str, &str); 11] = [
    ("clear.rs", "table", "attempts"),
    ("commit.rs", "set", ""),
    ("commit.rs", "also", ""),
    ("commit.rs", "guard", "attempt = ?"),
    ("commit.rs", "", "{RUN}"),
    ("read.rs", "rest", "WHERE key = ?"),
    ("triggers.rs", "also", ""),
    ("triggers.rs", "pipeline", " AND pipeline = ?2"),
    ("triggers.rs", "result", " AND result = ?3"),
    ("review.rs", "what", "seq"),
    ("review.rs", "field", "rule"),
];

/// The text literals of a source file, each with the name of the constant that it is.
fn literals(source: &str) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut before = String::new();
    while let Some(first) = rest.chars().next() {
        let at = first.len_utf8();
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\''") || rest.starts_with("'\\\"'") {
            rest = rest[1..].split_once('\'').map_or("", |(_, rest)| rest.strip_prefix('\'').unwrap_or(rest));
        } else if first == 'r' && (rest[1..].starts_with('"') || rest[1..].starts_with("#\"")) {
            let end = if rest[1..].starts_with('#') { "\"#" } else { "\"" };
            let (text, after) = rest[1 + end.len()..].split_once(end).expect("a raw literal ends");
            found.push((constant(&before), text.to_owned()));
            rest = after;
        } else if first == '"' {
            let mut text = String::new();
            let mut chars = rest[1..].char_indices();
            let end = loop {
                match chars.next().expect("a literal ends") {
                    (at, '"') => break at + 2,
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
            };
            found.push((constant(&before), text));
            rest = &rest[end..];
        } else {
            before.push(first);
            rest = &rest[at..];
        }
    }
    found
}

/// The name of the constant that the source before a literal declares.
fn constant(before: &str) -> Option<String> {
    let declared = before.trim_end().strip_suffix('=')?.trim_end().strip_suffix(": &str")?;
    declared.rsplit_once("const ").map(|(_, name)| name.to_owned())
}

/// The statement with all parts put in.
fn filled(file: &str, text: &str, constants: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    while let Some((before, rest)) = text.split_once('{') {
        let (name, after) = rest.split_once('}').unwrap_or_else(|| panic!("{file}: `{text}`"));
        let part =
            PARTS.iter().find(|(of, known, _)| *of == file && *known == name).map(|(.., part)| (*part).to_owned());
        let part = part.or_else(|| constants.get(name).cloned());
        let part = part.unwrap_or_else(|| match name {
            // The terms of a filter: they are literals of their own that begin with a constant.
            "wanted" => "{OF_ATTEMPT}".to_owned(),
            "rest" => String::new(),
            _ => panic!("{file}: say in PARTS what `{{{name}}}` stands for in `{text}`"),
        });
        text = format!("{before}{part}{after}");
    }
    text
}

/// All statements of the folder, each with its file.
fn statements() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sqlite");
    let mut sources = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".rs") && !["plans.rs", "by_hand.rs"].contains(&name.as_str()) {
            let source = std::fs::read_to_string(&path).unwrap();
            let source = source.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            sources.insert(name, literals(&source));
        }
    }
    let named = sources.values().flatten().filter_map(|(name, text)| Some((name.clone()?, text.clone())));
    let constants: BTreeMap<String, String> = named.collect();
    let listed = list::statements();
    let mut all: Vec<_> = listed.iter().map(|sql| ("list.rs".to_owned(), sql.clone())).collect();
    for (file, literals) in sources {
        for (_, text) in literals {
            let text = text.trim();
            let text =
                if text.starts_with("WHERE ") { format!("SELECT key FROM runs {text}") } else { text.to_owned() };
            let is_sql =
                ["SELECT ", "WITH ", "UPDATE ", "DELETE ", "INSERT "].iter().any(|verb| text.starts_with(verb));
            let sql = if is_sql { filled(&file, &text, &constants) } else { continue };
            if !(file == "list.rs" && listed.iter().any(|known| known.starts_with(&sql))) {
                all.push((file.clone(), sql));
            }
        }
    }
    all
}

/// What is wrong with a statement's plan, if anything is.
fn fault(db: &Connection, sql: &str) -> Option<String> {
    let flat = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut explained = match db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")) {
        Ok(explained) => explained,
        Err(error) => return Some(format!("it cannot be prepared: {error}")),
    };
    let plan: Vec<String> = explained.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap();
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
    drop(SqliteStore::open(&file, Durability::Normal).await.unwrap());
    Connection::open(file).unwrap()
}

#[tokio::test]
async fn no_statement_looks_through_a_table_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path()).await;
    let all = statements();
    assert!(all.len() > 80, "{} statements found", all.len());
    let faults: Vec<_> =
        all.iter().filter_map(|(file, sql)| Some(format!("{file}: {}\n    {sql}", fault(&db, sql)?))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (part, why) in FINE {
        let flat = |sql: &str| sql.split_whitespace().collect::<Vec<_>>().join(" ").contains(part);
        assert!(all.iter().any(|(_, sql)| flat(sql)), "no statement is like `{part}` ({why})");
    }
}

#[tokio::test]
async fn statements_that_look_through_a_growing_table_are_found() {
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
