//! Which variables of the server hold secrets, according to a pipeline file. Commands must not inherit them.
//!
//! A file that is refused, or is not even TOML, still names its secrets, so this does not depend on a successful parse.

use std::collections::BTreeSet;

use toml::Value;

/// The keys whose values name variables with secrets.
const SECRET_KEYS: [&str; 2] = ["secret_env", "url_env"];

/// The variables that a file names as secrets.
pub(super) fn secret_variables(text: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = SECRET_KEYS.into_iter().flat_map(|key| values_of(text, key)).collect();
    names.extend(in_secrets_table(text));
    names
}

/// The names that this key has as its values, found without parsing TOML.
fn values_of<'a>(text: &'a str, key: &'static str) -> impl Iterator<Item = String> + 'a {
    text.match_indices(key).filter_map(move |(at, _)| assigned_name(&text[at + key.len()..]))
}

/// The name in `= "NAME"`. Its quotes may be wrong or missing.
fn assigned_name(rest: &str) -> Option<String> {
    let value = rest.trim_start_matches(['"', '\'', ' ', '\t']).strip_prefix('=')?;
    let value = value.trim_start_matches(['"', '\'', ' ', '\t']);
    let name: String = value.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The variables in `[secrets]`. Text that is not TOML is searched line by line.
fn in_secrets_table(text: &str) -> BTreeSet<String> {
    let Ok(table) = text.parse::<toml::Table>() else { return in_secrets_lines(text) };
    let secrets = table.get("secrets").and_then(Value::as_table);
    let variable = |source: &Value| source.get("env").and_then(Value::as_str).map(str::to_owned);
    secrets.into_iter().flat_map(|secrets| secrets.values().filter_map(variable)).collect()
}

fn in_secrets_lines(text: &str) -> BTreeSet<String> {
    let mut is_inside = false;
    let mut names = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_inside = line.starts_with("[secrets");
        }
        if is_inside || line.starts_with("secrets") {
            names.extend(values_of(line, "env"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        secret_variables(text).into_iter().collect()
    }

    #[test]
    fn secrets_table_is_read_even_from_invalid_toml() {
        let table = "[secrets]\nA = { env = \"ONE\" }\nB = { file = \"/x\" }\n[secrets.C]\nenv = 'TWO'\n";
        assert_eq!(names(table), ["ONE", "TWO"]);
        assert_eq!(
            names(&format!("{table}[[phases]]\nenv = {{ X = \"y\" }}\nrun = 'env=HOME true'\n")),
            ["ONE", "TWO"]
        );
        // Not valid TOML.
        assert_eq!(names(&format!("{table}[[phases]]\nrun = 'env=HOME true\n")), ["ONE", "TWO"]);
        assert_eq!(names("secrets = { A = { env = \"ONE\" } }\n["), ["ONE"]);
    }

    #[test]
    fn secret_keys_are_read_with_any_quotes() {
        assert_eq!(
            names("[[notify]]\nurl_env = \"HOOK_URL\"\nsecret_env='NOTIFY_SECRET'\n"),
            ["HOOK_URL", "NOTIFY_SECRET"]
        );
        let broken = "not TOML [ hook = { \"secret_env\" = \"FORGE\" }\nsecret_env = BARE\nsecret_env =\n";
        assert_eq!(names(broken), ["BARE", "FORGE"]);
    }
}
