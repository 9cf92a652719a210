//! Explains an unknown key of a pipeline file, with the key that was probably meant.

/// The text for serde's message of an unknown field: "unknown field `x`, expected one of `a`, `b`". `None` for any
/// other message.
pub(super) fn describe_unknown_key(message: &str) -> Option<String> {
    let (key, rest) = message.strip_prefix("unknown field `")?.rsplit_once("`, expected ").or_else(|| {
        // A table without keys.
        Some((message.strip_prefix("unknown field `")?.strip_suffix("`, there are no fields")?, ""))
    })?;
    // The names of keys stand between backticks: every second piece.
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    Some(match (closest(key, &known), &known[..]) {
        (Some(meant), _) => format!("Unknown key `{key}`. Did you mean `{meant}`?"),
        (None, []) => format!("Unknown key `{key}`."),
        (None, [only]) => format!("Unknown key `{key}`. The only key is `{only}`."),
        (None, _) => format!("Unknown key `{key}`. The keys are `{}`.", known.join("`, `")),
    })
}

/// The known key that differs from `key` by the fewest typing mistakes, if they are at most a third of its characters.
/// One mistake is a wrong, missing, additional or exchanged character.
fn closest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let max_mistakes = key.chars().count().max(3) / 3;
    let mistakes = known.iter().map(|known| (strsim::damerau_levenshtein(key, known), *known));
    let (fewest, known) = mistakes.min_by_key(|(mistakes, _)| *mistakes)?;
    (fewest <= max_mistakes).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The explanation of serde's own message for a table with these keys.
    fn explain<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
        let error = toml::from_str::<T>(text).unwrap_err();
        describe_unknown_key(error.message()).expect("the message of an unknown field")
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Many {
        run: Option<String>,
        timeout: Option<String>,
        retries: Option<u32>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Two {
        age: Option<String>,
        count: Option<u32>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct One {
        age: Option<String>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}

    #[test]
    fn unknown_key_suggests_a_close_key() {
        for (text, expected) in [
            ("runn = 1", "Unknown key `runn`. Did you mean `run`?"),
            ("Run = 1", "Unknown key `Run`. Did you mean `run`?"),
            ("timeuot = 1", "Unknown key `timeuot`. Did you mean `timeout`?"),
            ("time-out = 1", "Unknown key `time-out`. Did you mean `timeout`?"),
            ("retry = 1", "Unknown key `retry`. The keys are `run`, `timeout`, `retries`."),
            ("version = 1", "Unknown key `version`. The keys are `run`, `timeout`, `retries`."),
            ("\"a`, expected `run\" = 1", "Unknown key `a`, expected `run`. The keys are `run`, `timeout`, `retries`."),
            ("\"\" = 1", "Unknown key ``. The keys are `run`, `timeout`, `retries`."),
        ] {
            assert_eq!(explain::<Many>(text), expected);
        }
    }

    #[test]
    fn unknown_key_lists_the_keys_of_small_tables() {
        assert_eq!(explain::<Two>("cuont = 1"), "Unknown key `cuont`. Did you mean `count`?");
        assert_eq!(explain::<Two>("size = 1"), "Unknown key `size`. The keys are `age`, `count`.");
        assert_eq!(explain::<One>("size = 1"), "Unknown key `size`. The only key is `age`.");
        assert_eq!(explain::<Empty>("size = 1"), "Unknown key `size`.");
    }

    #[test]
    fn unknown_key_leaves_other_messages() {
        for message in ["", "missing field `run`", "unknown variant `x`, expected `y`", "invalid type: string"] {
            assert_eq!(describe_unknown_key(message), None, "{message}");
        }
    }
}
