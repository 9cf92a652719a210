//! The condition of a hook in a pipeline file, with the place of each part.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::file::{Refusal, refuse};
use crate::hooks::condition::check_pattern;
use crate::model::condition::{ConditionNode, ConditionParser, ConditionValue, PayloadCondition};

/// A part of a condition as it is written: serde's other ways to read "anything" forget where its parts are.
pub(super) struct RawNode(ConditionValue);

impl RawNode {
    fn placed(raw: Spanned<Self>) -> ConditionNode {
        ConditionNode { at: raw.span().start, value: raw.into_inner().0 }
    }
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = ConditionValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list, or a table such as { \"/ref\" = \"refs/heads/main\" }")
    }

    fn visit_bool<E>(self, value: bool) -> Result<ConditionValue, E> {
        Ok(ConditionValue::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<ConditionValue, E> {
        Ok(ConditionValue::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<ConditionValue, E> {
        Ok(ConditionValue::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<ConditionValue, E> {
        Ok(ConditionValue::Plain(value.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<ConditionValue, E> {
        Ok(ConditionValue::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ConditionValue, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element::<Spanned<RawNode>>()? {
            nodes.push(RawNode::placed(node));
        }
        Ok(ConditionValue::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<ConditionValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = table.next_key::<Spanned<String>>()? {
            let value = RawNode::placed(table.next_value::<Spanned<RawNode>>()?);
            entries.push((key.span().start, key.into_inner(), value));
        }
        Ok(ConditionValue::Table(entries))
    }
}

/// The condition that a file says.
pub(super) fn check_conditions(raw: Spanned<RawNode>) -> Result<PayloadCondition, Refusal> {
    let node = RawNode::placed(raw);
    ConditionParser::new(&check_pattern)
        .read(&node)
        .or_else(|fault| refuse(&Spanned::new(fault.at..fault.at, ()), fault.reason))
}
