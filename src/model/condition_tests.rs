use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(value: Value) -> Result<PayloadCondition, String> {
    let check = |pattern: &str| if pattern.contains('(') { Err("unclosed group".to_owned()) } else { Ok(()) };
    ConditionParser::new(&check).read(&ConditionNode::from(value)).map_err(|fault| fault.reason)
}

#[test]
fn condition_of_earlier_versions_reads_and_writes_as_before() {
    let value = json!({"/ref": ["refs/heads/main"], "/n": [1, true]});
    let condition: PayloadCondition = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&condition).unwrap(), value);
    assert_eq!(serde_json::to_value(PayloadCondition::default()).unwrap(), json!({}));
    assert_eq!(read(json!({})), Ok(PayloadCondition::default()));
    assert_eq!(read(json!({"/ref": "a"})), read(json!({"/ref": ["a"]})));
}

#[test]
fn condition_that_says_nothing_or_nonsense_is_refused() {
    for (value, reason) in [
        (json!([]), "is a table"),
        (json!({"ref": "x"}), "no JSON Pointer"),
        (json!({"/ref": []}), "a list of them"),
        (json!({"/ref": 1.5}), "a list of them"),
        (json!({"/ref": null}), "a list of them"),
        (json!({"/ref": [["x"]]}), "a list of them"),
        (json!({"/ref": {}}), "expects nothing"),
        (json!({"/ref": {"equal": 1}}), "`equal` is not known"),
        (json!({"/ref": {"equals": [1]}}), "`equals` is"),
        (json!({"/ref": {"equals": 1, "one_of": [2]}}), "say the same"),
        (json!({"/ref": {"one_of": "x"}}), "a list of them"),
        (json!({"/ref": {"exists": "true"}}), "without quotes"),
        (json!({"/ref": {"pattern": 5}}), "regular expression in quotes"),
        (json!({"/ref": {"pattern": "("}}), "no regular expression: unclosed group."),
        (json!({"/ref": {"pattern": "x".repeat(501)}}), "at most 500 bytes"),
        (json!({"any": {}}), "`any` is a list"),
        (json!({"all": []}), "`all` is a list"),
        (json!({"not": [{"/ref": "x"}]}), "is a table"),
        (json!({"not": {}}), "empty condition"),
        (json!({"any": [{}]}), "empty condition"),
    ] {
        let error = read(value.clone()).expect_err(&value.to_string());
        assert!(error.contains(reason), "{value}: {error}");
        assert!(error.ends_with('.'), "{error}");
    }
}

#[test]
fn conditions_are_bounded() {
    let nested = |depth: usize| (0..depth).fold(json!({"/ref": "x"}), |inner, _| json!({"not": inner}));
    assert!(read(nested(MAX_CONDITION_DEPTH - 2)).is_ok());
    assert!(read(nested(MAX_CONDITION_DEPTH)).unwrap_err().contains("nested more than 8 deep"));
    let inside = (0..MAX_CONDITION_DEPTH).fold(json!("x"), |inner, _| json!({"not": inner}));
    assert!(read(json!({"/ref": inside})).unwrap_err().contains("nested more than 8 deep"));
    let many = |count: usize| Value::Object((0..count).map(|at| (format!("/{at}"), json!(1))).collect());
    assert!(read(many(MAX_POINTERS)).is_ok());
    assert!(read(many(MAX_POINTERS + 1)).unwrap_err().contains("100 places at most"));
}

/// Any condition that a file can say.
pub fn any_condition() -> impl Strategy<Value = PayloadCondition> {
    let value = prop_oneof![
        prop::sample::select(vec!["a", "b", "main"]).prop_map(Value::from),
        (0i64..3).prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ];
    let leaf = prop_oneof![
        prop::collection::vec(value, 1..3).prop_map(ValueTest::OneOf),
        any::<bool>().prop_map(ValueTest::Exists),
        prop::sample::select(vec!["a", "m.*", "[ab]", ".*n"]).prop_map(|text| ValueTest::Pattern(text.to_owned())),
    ];
    let test = prop_oneof![
        3 => leaf.clone(),
        1 => leaf.prop_map(|test| ValueTest::Not(Box::new(test))),
        1 => (any::<bool>(), Just("m.*".to_owned()))
            .prop_map(|(exists, pattern)| ValueTest::All(vec![ValueTest::Exists(exists), ValueTest::Pattern(pattern)])),
    ];
    let pointer = prop::sample::select(vec!["/a", "/b", "/c/0", "/c/1/d", "/e~1f"]);
    let at = (pointer, test).prop_map(|(pointer, test)| PayloadCondition::At(pointer.to_owned(), test));
    at.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(PayloadCondition::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(PayloadCondition::Any),
            inner.prop_map(|inner| PayloadCondition::Not(Box::new(inner))),
        ]
    })
}

/// The same condition, whatever the order in which a table is read.
fn sorted(condition: PayloadCondition) -> PayloadCondition {
    match condition {
        PayloadCondition::All(all) => {
            let mut all: Vec<_> = all.into_iter().map(sorted).collect();
            all.sort_by_key(|each| entry(each).0.to_owned());
            PayloadCondition::All(all)
        }
        PayloadCondition::Any(any) => PayloadCondition::Any(any.into_iter().map(sorted).collect()),
        PayloadCondition::Not(not) => PayloadCondition::Not(Box::new(sorted(*not))),
        at @ PayloadCondition::At(..) => at,
    }
}

proptest! {
    #[test]
    fn condition_survives_being_written_and_read(condition in any_condition()) {
        let text = serde_json::to_string(&condition).unwrap();
        let read: PayloadCondition = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(sorted(read), sorted(condition));
    }
}
