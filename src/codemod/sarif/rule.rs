//! The rule of a result, and what it tells about the result.

use std::collections::HashMap;

use super::super::finding::Severity;
use super::shape::{Component, Descriptor, SarifMessage, SarifResult, SarifRun, SarifTool, at, some};

/// The described rules of a run.
pub struct RuleIndex<'r> {
    tool: Option<&'r SarifTool>,
    by_id: HashMap<&'r str, (&'r Component, &'r Descriptor)>,
}

/// A result with its rule, if that is described.
pub struct ResultRule<'r> {
    result: &'r SarifResult,
    id: &'r str,
    rule: Option<(&'r Component, &'r Descriptor)>,
}

impl<'r> RuleIndex<'r> {
    /// Of several rules with the same name, the driver's first one counts.
    pub fn new(run: &'r SarifRun) -> Self {
        let tool = run.tool.as_ref();
        let mut by_id = HashMap::new();
        let extensions = tool.and_then(|tool| tool.extensions.as_deref()).unwrap_or_default();
        for component in tool.and_then(|tool| tool.driver.as_ref()).into_iter().chain(extensions) {
            for rule in component.rules.iter().flatten() {
                if let Some(id) = some(&rule.id) {
                    by_id.entry(id).or_insert((component, rule));
                }
            }
        }
        Self { tool, by_id }
    }

    /// The name of the linter.
    pub fn tool(&self) -> &'r str {
        self.tool.and_then(|tool| some(&tool.driver.as_ref()?.name)).unwrap_or("the linter")
    }

    /// The rule of a result (§3.27.7, §3.52.3).
    pub fn of(&self, result: &'r SarifResult) -> ResultRule<'r> {
        let reference = result.rule.as_ref();
        let declared = some(&result.rule_id).or_else(|| some(&reference?.id));
        let at_index = || {
            let tool = self.tool?;
            let extension = reference.and_then(|rule| rule.tool_component.as_ref()?.index).filter(|index| *index >= 0);
            let component = match extension {
                Some(_) => at(&tool.extensions, extension)?,
                None => tool.driver.as_ref()?,
            };
            let index = reference.and_then(|rule| rule.index).or(result.rule_index);
            Some((component, at(&component.rules, index)?))
        };
        // A rule with another name does not count: tools write the index 0 for none. A result may have a more specific
        // name.
        let matches = |rule: &Descriptor| match (declared, some(&rule.id)) {
            (Some(declared), Some(id)) => {
                declared.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            _ => true,
        };
        let named = || {
            let declared = declared?;
            let whole = self.by_id.get(declared);
            whole.or_else(|| self.by_id.get(declared.rsplit_once('/')?.0)).copied()
        };
        let rule = at_index().filter(|(_, rule)| matches(rule)).or_else(named);
        let id = declared.or_else(|| some(&rule?.1.id)).unwrap_or_else(|| self.tool());
        ResultRule { result, id, rule }
    }
}

impl ResultRule<'_> {
    /// The name of the rule, or of the linter.
    pub fn id(&self) -> &str {
        self.id
    }

    /// The severity of the result (§3.27.10). A result that is not certain to be a problem has the level `none`.
    pub fn severity(&self, is_certain: bool) -> Severity {
        let default = || level(some(&self.rule?.1.default_configuration.as_ref()?.level)?);
        let declared = some(&self.result.level).and_then(level);
        let otherwise = || if is_certain { default().unwrap_or(Severity::Warning) } else { Severity::Hint };
        declared.unwrap_or_else(otherwise)
    }

    /// The message (§3.11.7). If a tool omits the required text, the closest alternative.
    pub fn message(&self) -> String {
        let message = self.result.message.as_ref();
        let known = || {
            let (id, (component, rule)) = (some(&message?.id)?, self.rule?);
            let (own, of_all) = (&rule.message_strings, &component.global_message_strings);
            some(&own.iter().chain(of_all).find_map(|strings| strings.get(id))?.text)
        };
        let written = message.and_then(|message| some(&message.text)).or_else(known);
        let written = written.or_else(|| some(&message?.markdown));
        let text = match (written, message) {
            (Some(text), Some(SarifMessage { arguments: Some(arguments), .. })) if !arguments.is_empty() => {
                fill(text, arguments)
            }
            (Some(text), _) => text.to_owned(),
            (None, _) => {
                let short = self.rule.and_then(|(_, rule)| some(&rule.short_description.as_ref()?.text));
                short.unwrap_or(self.id).to_owned()
            }
        };
        text.trim().to_owned()
    }
}

/// The severity of a level (§3.27.10).
fn level(level: &str) -> Option<Severity> {
    match level {
        "error" => Some(Severity::Error),
        "warning" => Some(Severity::Warning),
        "note" => Some(Severity::Info),
        "none" => Some(Severity::Hint),
        _ => None,
    }
}

/// Replaces `{0}` by arguments, and double braces by single ones (§3.11.5). Only for messages with arguments: the
/// braces in others are usually code.
fn fill(text: &str, arguments: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let argument = rest.strip_prefix('{').and_then(|inner| {
            let after = inner.trim_start_matches(|c: char| c.is_ascii_digit());
            let index: usize = inner[..inner.len() - after.len()].parse().ok()?;
            Some((arguments.get(index)?, after.strip_prefix('}')?))
        });
        if let Some((argument, after)) = argument {
            out.push_str(argument);
            rest = after;
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[if rest.starts_with("{{") || rest.starts_with("}}") { 2 } else { 1 }..];
        }
    }
    out + rest
}
