//! The little that PostgreSQL's SQL differs in from SQLite's. Texts of commands and queries are written for SQLite;
//! this translates them once each.

/// The text for PostgreSQL.
///
/// - `INDEXED BY name` is a hint to SQLite.
/// - Functions that make JSON have other names.
/// - JSON is stored as text, which `->>` does not take.
/// - `LIKE` distinguishes between upper and lower case.
pub fn translate(sql: &str) -> String {
    let sql = without_index_hints(sql)
        .replace("json_group_array(", "json_agg(")
        .replace("json_array(", "json_build_array(")
        .replace(" LIKE ", " ILIKE ");
    with_json_casts(&sql)
}

fn without_index_hints(sql: &str) -> String {
    let mut parts = sql.split(" INDEXED BY ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.trim_start_matches(is_name));
    }
    out
}

/// `data ->> 'rule'` becomes `CAST(data AS json) ->> 'rule'`.
fn with_json_casts(sql: &str) -> String {
    let mut parts = sql.split(" ->> ").peekable();
    let mut out = String::with_capacity(sql.len());
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            out.push_str(part);
            continue;
        }
        let column = part.rfind(|character| !is_name(character)).map_or(0, |end| end + 1);
        out.push_str(&part[..column]);
        out.push_str(&format!("CAST({} AS json) ->> ", &part[column..]));
    }
    out
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialect_leaves_common_sql_as_it_is() {
        let sql = "SELECT key FROM runs WHERE status = 'pending' AND key < $1 ORDER BY key DESC LIMIT $2";
        assert_eq!(translate(sql), sql);
    }

    #[test]
    fn dialect_removes_index_hints() {
        assert_eq!(
            translate("SELECT 1 FROM runs AS new INDEXED BY a_b CROSS JOIN runs AS old INDEXED BY c\n ON 1 = 1"),
            "SELECT 1 FROM runs AS new CROSS JOIN runs AS old\n ON 1 = 1"
        );
    }

    #[test]
    fn dialect_casts_text_to_json() {
        assert_eq!(
            translate("SELECT data ->> 'a', coalesce(r.data ->> 'b', '0') FROM frames WHERE data ->> 'c' LIKE $1"),
            "SELECT CAST(data AS json) ->> 'a', coalesce(CAST(r.data AS json) ->> 'b', '0') FROM frames \
             WHERE CAST(data AS json) ->> 'c' ILIKE $1"
        );
    }

    #[test]
    fn dialect_renames_json_functions() {
        assert_eq!(translate("json_group_array(json_array(name, state))"), "json_agg(json_build_array(name, state))");
    }
}
