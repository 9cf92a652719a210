use std::collections::BTreeSet;

use super::{DiskPriority, Guarded, json};
use crate::model::Timestamp;
use crate::model::placement::Need;
use crate::model::workers::{InstanceRole, NewInstance};
use crate::store::statement::{Statement, statement};

/// An instance is alive: its heartbeat, with which it also registers.
///
/// Called by the instance's task, at its start, on each change, and after each interval. Never refused.
#[derive(Clone, Debug)]
pub struct BeatInstance {
    pub instance: NewInstance,
    /// By the database's clock.
    pub at: Timestamp,
    /// When it counts as lost unless there is another heartbeat.
    pub lost_at: Timestamp,
    /// Since when it takes no runs.
    pub draining_at: Option<Timestamp>,
    /// Everything that it offers to runs. `None` leaves the offers as they are.
    pub offers: Option<BTreeSet<Need>>,
    /// Whether no other program can have the database. Then all others have ended.
    pub is_only: bool,
}

impl Guarded for BeatInstance {
    fn statements(&self) -> Vec<Statement<'_>> {
        let instance = &self.instance;
        let mut statements = vec![statement!(
            "INSERT INTO instances (id, owner, name, version, role, data_folder, labels, roots, slots, started_at,
                seen_at, lost_at, draining_at)
             VALUES ($id, $owner, $name, $version, $role, $data_folder, $labels, $roots, $slots, $started_at,
                $at, $lost_at, $draining_at)
             ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, lost_at = excluded.lost_at,
                draining_at = excluded.draining_at, ended_at = NULL";
            id: &instance.id,
            owner: &instance.owner,
            name: &instance.name,
            version: &instance.version,
            role: InstanceRole::as_str(instance.role),
            data_folder: &instance.data_folder,
            labels: json(&instance.labels),
            roots: json(&instance.projects),
            slots: instance.slots,
            started_at: instance.started_at,
            at: self.at,
            lost_at: self.lost_at,
            draining_at: self.draining_at,
        )];
        if let Some(offers) = &self.offers {
            statements.push(statement!("DELETE FROM instance_offers WHERE instance = $id"; id: &instance.id));
            statements.extend(offers.iter().map(|offer| {
                let (kind, value) = offer.columns();
                statement!(
                    "INSERT INTO instance_offers (instance, kind, value) VALUES ($id, $kind, $value)";
                    id: &instance.id,
                    kind: kind,
                    value: value,
                )
            }));
        }
        if self.is_only {
            statements.push(statement!(
                "UPDATE instances SET ended_at = seen_at WHERE id <> $id AND ended_at IS NULL";
                id: &instance.id,
            ));
        }
        statements
    }

    fn can_be_refused(&self) -> bool {
        false
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Deferrable
    }
}
