//! What is read of a SARIF log: the properties that are used, and no others.
//!
//! The crate serde-sarif has all of them. It is not used: its types are made from the JSON schema while it is built (syn,
//! schemafy and prettyplease for that, strum and typed-builder behind the types), and they are as strict as the schema, while
//! tools write `null` for what is absent, leave out what is required, and have words of their own for levels. Here every
//! property may be absent or null, and what is one of a few words is a string.

use std::collections::HashMap;

use serde::Deserialize;

/// Declares objects of which every property may be absent or null.
macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$with:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $name {
            $($(#[$with])* pub $field: Option<$type>,)*
        }
    )*};
}

objects! {
    /// §3.13.
    Log { version: String, runs: Vec<Run>, }
    /// As much of a log as says whether it is one.
    Head { version: String, }
    /// §3.14.
    Run {
        tool: Tool,
        invocations: Vec<Invocation>,
        original_uri_base_ids: HashMap<String, ArtifactLocation>,
        artifacts: Vec<Artifact>,
        results: Vec<Finding>,
        newline_sequences: Vec<String>,
        column_kind: String,
    }
    /// §3.18.
    Tool { driver: Component, extensions: Vec<Component>, }
    /// §3.19, a toolComponent.
    Component { name: String, rules: Vec<Descriptor>, global_message_strings: HashMap<String, Message>, }
    /// §3.20.
    Invocation {
        execution_successful: bool,
        tool_execution_notifications: Vec<Notification>,
        tool_configuration_notifications: Vec<Notification>,
    }
    /// §3.58.
    Notification { level: String, message: Message, locations: Vec<Location>, }
    /// §3.49, a reportingDescriptor.
    Descriptor {
        id: String,
        short_description: Message,
        message_strings: HashMap<String, Message>,
        default_configuration: Configuration,
    }
    /// §3.50.
    Configuration { level: String, }
    /// §3.52.
    DescriptorReference { id: String, index: i64, tool_component: ComponentReference, }
    /// §3.54.
    ComponentReference { index: i64, }
    /// §3.11, and §3.12, which is less.
    Message { text: String, markdown: String, id: String, arguments: Vec<String>, }
    /// §3.24.
    Artifact { location: ArtifactLocation, }
    /// §3.4.
    ArtifactLocation { uri: String, uri_base_id: String, index: i64, }
    /// §3.27, a result.
    Finding {
        rule_id: String,
        rule_index: i64,
        rule: DescriptorReference,
        kind: String,
        level: String,
        message: Message,
        locations: Vec<Location>,
        suppressions: Vec<Suppression>,
        baseline_state: String,
        fixes: Vec<Fix>,
    }
    /// §3.28.
    Location { physical_location: PhysicalLocation, }
    /// §3.29.
    PhysicalLocation { artifact_location: ArtifactLocation, region: Region, }
    /// §3.35.
    Suppression { status: String, }
    /// §3.55.
    Fix { artifact_changes: Vec<ArtifactChange>, }
    /// §3.56.
    ArtifactChange { artifact_location: ArtifactLocation, replacements: Vec<Replacement>, }
    /// §3.57.
    Replacement { deleted_region: Region, inserted_content: Content, }
    /// §3.3.
    Content { text: String, binary: String, }
    /// §3.30.
    Region {
        start_line: i64,
        start_column: i64,
        end_line: i64,
        end_column: i64,
        char_offset: i64,
        char_length: i64,
        byte_offset: i64,
        byte_length: i64,
    }
}

/// A text that says something: tools write the empty one for none.
pub fn some(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// What is at an index. -1 is what an index is that is not given (§3.7.4).
pub fn at<T>(all: &Option<Vec<T>>, index: Option<i64>) -> Option<&T> {
    all.as_ref()?.get(usize::try_from(index?).ok()?)
}
