//! The `data` of each kind of frame, one type per kind (docs/CONTRACT.md, "Frames").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::Status;
use super::time::Timestamp;

/// The maximum size of a [`Log`] frame's line in UTF-8. Longer lines are split.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// `status`: the run's status changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    pub from: Status,
    pub to: Status,
    /// Who or what changed it.
    pub reason: String,
}

/// The state of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseState {
    /// Not started; never in a frame.
    Pending,
    /// Its command is running.
    Started,
    /// Its command exited with code 0.
    Completed,
    /// Its command failed or was stopped.
    Failed,
    /// It did not run: an earlier phase failed, its condition did not hold, or the attempt ended.
    Skipped,
}

impl PhaseState {
    /// The word in JSON, the database and `data-state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// `phase`: a phase began or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseChange {
    pub name: String,
    pub state: PhaseState,
    /// `None` while the command runs, and if it was stopped from outside.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The signal that ended the command, such as `SIGKILL`. The exit code is then 128 plus its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// `None` while the command runs, and if the duration is unknown.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// The result is carried over from an earlier attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carried: bool,
}

impl PhaseChange {
    /// A phase that did not run.
    pub fn skipped(name: String) -> Self {
        Self { name, state: PhaseState::Skipped, exit_code: None, signal: None, duration_ms: None, carried: false }
    }
}

/// The output stream of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    Stdout,
    Stderr,
    /// Both, in the order in which they were written ([`OutputMode::Merged`] and [`OutputMode::Tty`]).
    ///
    /// [`OutputMode::Merged`]: super::phase::OutputMode::Merged
    /// [`OutputMode::Tty`]: super::phase::OutputMode::Tty
    Output,
}

impl LogStream {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Output => "output",
        }
    }

    /// Whether lines of this stream can be `::frame` and `::output` reports.
    pub const fn may_report(self) -> bool {
        match self {
            Self::Stdout | Self::Output => true,
            Self::Stderr => false,
        }
    }
}

/// `log`: a line that a command printed. ANSI styles are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    pub stream: LogStream,
    /// At most [`MAX_LINE_BYTES`], without the line break.
    pub line: String,
    /// Continues the line of this stream's previous frame: it was too long, or its beginning was shown before it was
    /// complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cont: bool,
    /// The seq of the frame that this one redraws: always the first frame of the row, of the same phase and stream, so
    /// that the row keeps its place. Of several redraws the last one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<u64>,
}

/// `finding`: a problem that a scan found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Relative to the project.
    pub path: String,
    /// Counts from 1.
    #[serde(default)]
    pub line: Option<u64>,
    /// Counts from 1.
    #[serde(default)]
    pub column: Option<u64>,
    #[serde(default)]
    pub rule: String,
    /// In the tool's own word: `error`, `warning`, `info`, `hint` …
    #[serde(default)]
    pub severity: String,
    pub message: String,
    /// Whether the tool can fix it.
    #[serde(default)]
    pub fixable: bool,
    /// `None` if the tool does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<FixSafety>,
}

/// How safe a fix is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FixSafety {
    /// Proven to keep the behavior by the file alone, or vouched for by the rule's author.
    #[default]
    Safe,
    /// It may change the behavior, so a check or a person must verify it.
    Review,
}

/// `patch`: a change of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Relative to the project.
    pub path: String,
    /// Unified diff.
    pub diff: String,
    #[serde(default)]
    pub added: u64,
    #[serde(default)]
    pub removed: u64,
    /// `review` if any of its fixes needs a review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<FixSafety>,
}

/// `tool`: an agent called a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// The call's id, which its [`ToolResult`] repeats.
    pub call: String,
    pub name: String,
    /// The arguments, shortened for display.
    #[serde(default)]
    pub preview: String,
}

/// `tool_result`: the result of a tool call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    pub call: String,
    /// Whether the call succeeded.
    pub ok: bool,
    /// The result, shortened for display.
    #[serde(default)]
    pub preview: String,
    #[serde(default)]
    pub duration_ms: Option<u64>,
}

/// `token` and `reasoning`: a chunk of an agent's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub text: String,
}

/// The state of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    Waiting,
    Approved,
    Rejected,
}

/// `approval`: an approval was requested or decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub question: String,
    pub state: ApprovalState,
    /// Who decided.
    #[serde(default)]
    pub by: Option<String>,
    /// The paths of the patches that the approver excluded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The note given with the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `error`: the run or a phase failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word for programs (docs/CONTRACT.md, "Frames").
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whether a re-run can succeed without any change.
    #[serde(default)]
    pub retryable: bool,
}

/// `progress`: how far a phase is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub done: u64,
    /// `None` if unknown.
    #[serde(default)]
    pub total: Option<u64>,
    /// What is counted, such as `files`.
    #[serde(default)]
    pub unit: String,
}

/// `outcome`: what AutoFix or Refactor did to the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// A sentence for people.
    pub message: String,
    /// Files scanned.
    pub files: u64,
    /// Findings in these files.
    pub findings: u64,
    /// Findings that the patches fix.
    pub fixed: u64,
    /// Findings that remain.
    pub left: u64,
    /// The new branch with the patches; `None` if there are none.
    #[serde(default)]
    pub branch: Option<String>,
    /// The branch's commit.
    #[serde(default)]
    pub commit: Option<String>,
    /// The commit that was scanned.
    #[serde(default)]
    pub base: Option<String>,
}

/// `output`: a value for later phases. Commands report it by printing `::output name=value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Of `[A-Za-z0-9_-]`. Later commands find the value in `RUNTRAIL_OUTPUT_NAME`.
    pub name: String,
    pub value: String,
}

impl Output {
    /// What fits into an environment variable.
    pub const MAX_VALUE_BYTES: usize = 100_000;

    /// Whether name and value are allowed.
    pub fn is_valid(&self) -> bool {
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let named = !self.name.is_empty() && self.name.len() <= 100 && self.name.chars().all(in_name);
        named && self.value.len() <= Self::MAX_VALUE_BYTES && !self.value.contains('\0')
    }

    /// The environment variable in which later commands find the value.
    pub fn variable(name: &str) -> String {
        format!("RUNTRAIL_OUTPUT_{}", name.to_ascii_uppercase().replace('-', "_"))
    }
}

/// `origin`: the schedule or hook that started the run. Its first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The schedule with its due time, or the hook with its delivery.
    pub by: String,
}

/// The state of a notification's delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Delivered,
    /// This attempt failed; another one follows.
    Retrying,
    /// This attempt failed; none follows.
    Failed,
}

/// `notification`: an attempt to deliver a notification. Written after the event that it reports, so also after the
/// end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The receiver's URL without secrets.
    pub url: String,
    /// `run.finished` or `run.waiting`.
    pub event: String,
    pub state: DeliveryState,
    /// The number of the delivery attempt, from 1.
    pub r#try: u32,
    /// The receiver's HTTP status, if it answered.
    #[serde(default)]
    pub status: Option<u16>,
    /// Why the delivery failed, in a sentence.
    #[serde(default)]
    pub error: Option<String>,
    /// Milliseconds until the next delivery attempt.
    #[serde(default)]
    pub next_ms: Option<u64>,
}

/// `cancel`: the end of a running attempt was requested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    pub by: String,
    /// When processes that are left are killed; `None` while the run waits for approval, since nothing runs.
    #[serde(default)]
    pub kill_at: Option<Timestamp>,
    /// Processes are killed at once, without the grace time.
    #[serde(default)]
    pub force: bool,
}

/// `notice`: something worth knowing that is no error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// A stable word for programs, such as `processes_left` (docs/CONTRACT.md, "Frames").
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The processes concerned; only the first ones if there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessName {
    pub pid: i32,
    pub name: String,
}

/// A kind, or a shape of data, that this version does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unknown {
    pub kind: String,
    /// As received.
    pub data: Value,
}
