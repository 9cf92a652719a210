//! What a server needs to take over the runs of an earlier one.

use crate::model::Timestamp;
use crate::store::RunKey;
use crate::store::statement::{Query, statement};

/// The claim of a running run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its number.
    pub token: i64,
    /// When its lease expires, unless it is renewed.
    pub lease_until: Timestamp,
    /// Whether the server that made it starts no command before its supervisor is known.
    pub hands_over: bool,
}

/// The supervisor of a phase's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSupervisor {
    pub phase: String,
    /// Which execution of the command it is for, from 1.
    pub execution: u32,
    /// Empty if that execution has no supervisor yet.
    pub socket: String,
    /// The records before it are journaled.
    pub offset: u64,
    /// The first seq of the write that has set the offset.
    pub first_seq: u64,
    /// See [`SpoolPosition`](crate::store::SpoolPosition).
    pub rows: Option<String>,
    pub report: Option<String>,
    pub usage: Option<String>,
}

/// The claim in force of a running run that does not wait for a person.
pub fn claim(run: RunKey) -> Query<'static, Claim> {
    statement!(
        "SELECT lease_token, lease_until, hands_over FROM runs WHERE key = $run AND status = 'running' AND gate IS NULL";
        run: run,
    )
    .read(|row| {
        Ok(Claim {
            token: row.get("lease_token")?,
            lease_until: row.get("lease_until")?,
            hands_over: row.get("hands_over")?,
        })
    })
}

/// The supervisors of an attempt's commands.
pub fn supervisors(run: RunKey, attempt: u32) -> Query<'static, StoredSupervisor> {
    statement!(
        "SELECT phase, execution, socket, spool_offset, first_seq, known_rows, report, usage FROM supervisors
         WHERE run = $run AND attempt = $attempt";
        run: run,
        attempt: attempt,
    )
    .read(|row| {
        Ok(StoredSupervisor {
            phase: row.get("phase")?,
            execution: row.get("execution")?,
            socket: row.get("socket")?,
            offset: row.get("spool_offset")?,
            first_seq: row.get("first_seq")?,
            rows: row.get("known_rows")?,
            report: row.get("report")?,
            usage: row.get("usage")?,
        })
    })
}
