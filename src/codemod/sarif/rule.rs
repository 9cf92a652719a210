//! Which rule a finding is of, and what that says of it.

use std::collections::HashMap;

use super::super::analysis::Severity;
use super::shape::{Component, Descriptor, Finding, Message, Run, Tool, at, some};

/// The rules of a run.
pub struct Rules<'r> {
    tool: Option<&'r Tool>,
    by_id: HashMap<&'r str, (&'r Component, &'r Descriptor)>,
}

/// A finding with its rule, if that is described.
pub struct Ruled<'r> {
    result: &'r Finding,
    id: &'r str,
    rule: Option<(&'r Component, &'r Descriptor)>,
}

impl<'r> Rules<'r> {
    /// Those of a run. Where two have one name, the driver's and the first one has it.
    pub fn new(run: &'r Run) -> Self {
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

    /// The rule of a finding (§3.27.7, §3.52.3).
    pub fn of(&self, result: &'r Finding) -> Ruled<'r> {
        let reference = result.rule.as_ref();
        let said = some(&result.rule_id).or_else(|| some(&reference?.id));
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
        // A rule of another name is none: tools write the index 0 for no index. But a finding's may say more than its rule's.
        let matches = |rule: &Descriptor| match (said, some(&rule.id)) {
            (Some(said), Some(id)) => {
                said.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            _ => true,
        };
        let named = || {
            let said = said?;
            let whole = self.by_id.get(said);
            whole.or_else(|| self.by_id.get(said.rsplit_once('/')?.0)).copied()
        };
        let rule = at_index().filter(|(_, rule)| matches(rule)).or_else(named);
        let id = said.or_else(|| some(&rule?.1.id)).unwrap_or_else(|| self.tool());
        Ruled { result, id, rule }
    }
}

impl Ruled<'_> {
    /// The rule's name.
    pub fn id(&self) -> &str {
        self.id
    }

    /// How bad the finding is (§3.27.10). What is not certain to be a problem has the level `none`.
    pub fn severity(&self, certain: bool) -> Severity {
        let default = || level(some(&self.rule?.1.default_configuration.as_ref()?.level)?);
        let said = some(&self.result.level).and_then(level);
        let otherwise = || if certain { default().unwrap_or(Severity::Warning) } else { Severity::Hint };
        said.unwrap_or_else(otherwise)
    }

    /// What is wrong (§3.11.7). Where a tool leaves out the text, which it must not, what comes nearest to it.
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
            (Some(text), Some(Message { arguments: Some(arguments), .. })) if !arguments.is_empty() => {
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

/// What a level means (§3.27.10).
fn level(level: &str) -> Option<Severity> {
    match level {
        "error" => Some(Severity::Error),
        "warning" => Some(Severity::Warning),
        "note" => Some(Severity::Info),
        "none" => Some(Severity::Hint),
        _ => None,
    }
}

/// Puts arguments in place of `{0}`, and single braces in place of double ones (§3.11.5). Only for messages with arguments:
/// nearly all others are not written for that, and have braces that are code.
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
