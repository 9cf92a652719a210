//! The structure of a SARIF log: only the properties that are used.
//!
//! Not the crate serde-sarif: its types are generated from the JSON schema at build time (with syn, schemafy and
//! prettyplease) and are as strict as the schema, while tools write `null` for absent properties, omit required ones
//! and have levels of their own. Here every property may be absent or null, and enumerations are strings.

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
    SarifLog { version: String, runs: Vec<SarifRun>, }
    /// The part of a log that identifies it.
    LogHead { version: String, }
    /// §3.14.
    SarifRun {
        tool: SarifTool,
        invocations: Vec<Invocation>,
        original_uri_base_ids: HashMap<String, ArtifactLocation>,
        artifacts: Vec<Artifact>,
        results: Vec<SarifResult>,
        newline_sequences: Vec<String>,
        column_kind: String,
    }
    /// §3.18.
    SarifTool { driver: Component, extensions: Vec<Component>, }
    /// §3.19, a toolComponent.
    Component { name: String, rules: Vec<Descriptor>, global_message_strings: HashMap<String, SarifMessage>, }
    /// §3.20.
    Invocation {
        execution_successful: bool,
        tool_execution_notifications: Vec<ToolNotification>,
        tool_configuration_notifications: Vec<ToolNotification>,
    }
    /// §3.58.
    ToolNotification { level: String, message: SarifMessage, locations: Vec<SarifLocation>, }
    /// §3.49, a reportingDescriptor.
    Descriptor {
        id: String,
        short_description: SarifMessage,
        message_strings: HashMap<String, SarifMessage>,
        default_configuration: Configuration,
    }
    /// §3.50.
    Configuration { level: String, }
    /// §3.52.
    DescriptorReference { id: String, index: i64, tool_component: ComponentReference, }
    /// §3.54.
    ComponentReference { index: i64, }
    /// §3.11, and §3.12, which is less.
    SarifMessage { text: String, markdown: String, id: String, arguments: Vec<String>, }
    /// §3.24.
    Artifact { location: ArtifactLocation, }
    /// §3.4.
    ArtifactLocation { uri: String, uri_base_id: String, index: i64, }
    /// §3.27, a result.
    SarifResult {
        rule_id: String,
        rule_index: i64,
        rule: DescriptorReference,
        kind: String,
        level: String,
        message: SarifMessage,
        locations: Vec<SarifLocation>,
        suppressions: Vec<Suppression>,
        baseline_state: String,
        fixes: Vec<SarifFix>,
    }
    /// §3.28.
    SarifLocation { physical_location: PhysicalLocation, }
    /// §3.29.
    PhysicalLocation { artifact_location: ArtifactLocation, region: SarifRegion, }
    /// §3.35.
    Suppression { status: String, }
    /// §3.55.
    SarifFix { artifact_changes: Vec<ArtifactChange>, }
    /// §3.56.
    ArtifactChange { artifact_location: ArtifactLocation, replacements: Vec<Replacement>, }
    /// §3.57.
    Replacement { deleted_region: SarifRegion, inserted_content: SarifContent, }
    /// §3.3.
    SarifContent { text: String, binary: String, }
    /// §3.30.
    SarifRegion {
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

/// A text that is not empty: tools write the empty text for none.
pub fn some(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The element at an index. -1 is the default for none (§3.7.4).
pub fn at<T>(all: &Option<Vec<T>>, index: Option<i64>) -> Option<&T> {
    all.as_ref()?.get(usize::try_from(index?).ok()?)
}
