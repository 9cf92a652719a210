use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::condition::{ConditionNode, ConditionParser};

fn condition(value: Value) -> PayloadCondition {
    ConditionParser::new(&check_pattern).read(&ConditionNode::from(value)).unwrap()
}

#[test]
fn payload_is_taken_by_its_values() {
    let old = json!({"/ref": ["refs/heads/main", "refs/heads/next"], "/deleted": [false]});
    for (written, payload, taken) in [
        (old.clone(), json!({"ref": "refs/heads/main", "deleted": false}), true),
        (old.clone(), json!({"ref": "refs/heads/next", "deleted": false}), true),
        (old.clone(), json!({"ref": "refs/heads/main", "deleted": true}), false),
        (old.clone(), json!({"ref": "refs/heads/mainx", "deleted": false}), false),
        (old.clone(), json!({"ref": "refs/heads/main"}), false),
        (old, json!([]), false),
        (json!({}), json!(null), true),
        (json!({"/a": {"not": true}}), json!({"a": true}), false),
        (json!({"/a": {"not": true}}), json!({"a": false}), true),
        // What is missing is not true either.
        (json!({"/a": {"not": true}}), json!({}), true),
        (json!({"/a": {"not": ["x", "y"]}}), json!({"a": "y"}), false),
        (json!({"/a": {"exists": true}}), json!({"a": 0}), true),
        (json!({"/a": {"exists": true}}), json!({"a": null}), false),
        (json!({"/a": {"exists": true}}), json!({}), false),
        (json!({"/a": {"exists": false}}), json!({"a": null}), true),
        (json!({"/a": {"exists": false}}), json!({"a": ""}), false),
        (json!({"/a": {"pattern": "refs/heads/(release|hotfix)/.+"}}), json!({"a": "refs/heads/hotfix/1"}), true),
        (json!({"/a": {"pattern": "refs/heads/(release|hotfix)/.+"}}), json!({"a": "refs/heads/hotfix/"}), false),
        // All of the text.
        (json!({"/a": {"pattern": "main|next"}}), json!({"a": "main2"}), false),
        (json!({"/a": {"pattern": "main"}}), json!({"a": "xmain"}), false),
        (json!({"/a": {"pattern": "main"}}), json!({"a": "main\n"}), false),
        (json!({"/a": {"pattern": "(?i)WIP.*"}}), json!({"a": "wip: x"}), true),
        (json!({"/a": {"pattern": "1[0-9]"}}), json!({"a": 17}), true),
        (json!({"/a": {"pattern": "true"}}), json!({"a": true}), true),
        (json!({"/a": {"pattern": ".*"}}), json!({"a": ["x"]}), false),
        (json!({"/a": {"pattern": ".*"}}), json!({}), false),
        (json!({"/a": {"exists": true, "not": {"pattern": "dependabot/.*"}}}), json!({"a": "dependabot/x"}), false),
        (json!({"/a": {"exists": true, "not": {"pattern": "dependabot/.*"}}}), json!({"a": "x"}), true),
        (json!({"any": [{"/a": 1}, {"/b": 2}]}), json!({"b": 2}), true),
        (json!({"any": [{"/a": 1}, {"/b": 2}]}), json!({"b": 1}), false),
        (json!({"all": [{"/a": 1}, {"/b": 2}]}), json!({"a": 1, "b": 2}), true),
        (json!({"not": {"/a": 1, "/b": 2}}), json!({"a": 1, "b": 3}), true),
        (json!({"not": {"any": [{"/a": 1}, {"/b/0/c": 2}]}}), json!({"b": [{"c": 2}]}), false),
    ] {
        let condition = condition(written.clone());
        assert_eq!(meets(&condition, &payload), taken, "{written} {payload}");
        assert_eq!(unmet(&condition, &payload).is_none(), taken, "{written} {payload}");
    }
}

#[test]
fn reason_says_the_condition_and_nothing_of_the_payload() {
    let payload = json!({"a": "hunter2", "b": "hunter2"});
    for (written, expected) in [
        (json!({"/a": "x"}), "`/a` is \"x\"."),
        (json!({"/a": ["x", 1, true]}), "`/a` is one of \"x\", 1, true."),
        (json!({"/a": {"not": {"exists": true}}}), "`/a` is not there."),
        (json!({"/c": {"exists": true}}), "`/c` is there."),
        (json!({"/a": {"not": {"pattern": "h.*"}}}), "`/a` does not match `h.*`."),
        // Only what fails.
        (json!({"/a": "hunter2", "/b": "x"}), "condition: `/b` is \"x\"."),
        (json!({"any": [{"/a": 1}, {"/b": 2}]}), "(`/a` is 1 or `/b` is 2)."),
        (json!({"not": {"/a": {"exists": true}}}), "not `/a` is there."),
    ] {
        let reason = unmet(&condition(written.clone()), &payload).unwrap();
        assert!(reason.ends_with(expected), "{written}: {reason}");
    }
    let long = json!({"/a": {"one_of": (0..200).map(|at| at.to_string()).collect::<Vec<_>>()}});
    let reason = unmet(&condition(long), &payload).unwrap();
    assert!(reason.chars().count() < 400 && !reason.contains("hunter2"), "{reason}");
}

#[test]
fn pattern_that_cannot_be_used_is_refused() {
    for (pattern, reason) in [
        ("(", "unclosed group"),
        ("*", "repetition operator missing expression"),
        ("refs/heads/*", "repeats the slash"),
        ("a)(b", "unopened group"),
        ("[z-a]", "invalid character class range"),
        (r"\p{Greek}{9999}", "too large"),
        (r"(a)\1", "backreferences are not supported"),
    ] {
        let error = check_pattern(pattern).expect_err(pattern);
        assert!(error.contains(reason) && !error.ends_with('.') && !error.contains('\n'), "{pattern}: {error}");
    }
    for good in ["", "main", "refs/heads/(a|b)/.*", "(?i)x", "^anchored$"] {
        assert_eq!(check_pattern(good), Ok(()), "{good}");
    }
}

/// A payload in which the places of conditions may be there, hold anything, or be missing.
fn any_payload() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        prop::sample::select(vec!["a", "b", "main"]).prop_map(Value::from),
        (0i64..3).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let object = |keys: Vec<&'static str>, value: BoxedStrategy<Value>| {
        prop::collection::btree_map(prop::sample::select(keys), value, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
    };
    let list = prop::collection::vec(prop_oneof![value.clone(), object(vec!["d", "x"], value.clone().boxed())], 0..3);
    let any = prop_oneof![3 => value, 1 => list.prop_map(Value::Array)].boxed();
    object(vec!["a", "b", "c", "e/f"], any)
}

proptest! {
    /// The laws of logic, and a reason exactly where there is no run.
    #[test]
    fn evaluator_obeys_logic(
        one in crate::model::condition::tests::any_condition(),
        other in crate::model::condition::tests::any_condition(),
        payload in any_payload(),
    ) {
        let holds = |condition: &PayloadCondition| meets(condition, &payload);
        let not = |condition: &PayloadCondition| PayloadCondition::Not(Box::new(condition.clone()));
        prop_assert_eq!(holds(&not(&one)), !holds(&one));
        prop_assert_eq!(holds(&not(&not(&one))), holds(&one));
        let both = vec![one.clone(), other.clone()];
        let neither = vec![not(&one), not(&other)];
        prop_assert_eq!(holds(&PayloadCondition::All(both.clone())), holds(&one) && holds(&other));
        prop_assert_eq!(holds(&PayloadCondition::Any(both.clone())), holds(&one) || holds(&other));
        prop_assert_eq!(holds(&not(&PayloadCondition::All(both.clone()))), holds(&PayloadCondition::Any(neither)));
        prop_assert_eq!(unmet(&PayloadCondition::All(both.clone()), &payload).is_none(), holds(&PayloadCondition::All(both)));
        // As it is read from an attempt that keeps it.
        let kept: PayloadCondition = serde_json::from_value(serde_json::to_value(&one).unwrap()).unwrap();
        prop_assert_eq!(holds(&kept), holds(&one));
    }
}
