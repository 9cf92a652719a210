//! What the frames of each kind say: the `data` of CONTRACT.md's table of kinds, one type a kind.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Status, Timestamp};

/// The longest `line` of a [`Log`] frame, in bytes of UTF-8. Longer lines are split.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// `status`: every change of a run's status is one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    /// The status before.
    pub from: Status,
    /// The status now.
    pub to: Status,
    /// Who or what changed it.
    pub reason: String,
}

/// What became of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseState {
    /// Not begun. Never in a frame: the state of a phase no frame speaks of yet.
    Pending,
    /// Its command runs.
    Started,
    /// Its command ended with exit code 0.
    Completed,
    /// Its command ended otherwise, or was ended.
    Failed,
    /// An earlier phase failed or the run was ended, so it did not run.
    Skipped,
}

impl PhaseState {
    /// The word as the API, the database and the page's hooks have it.
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
    /// The phase's name.
    pub name: String,
    /// What became of it.
    pub state: PhaseState,
    /// The command's exit code; `None` while it runs and if it was ended from outside.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The signal that ended the command, by name: `SIGKILL`. The exit code is 128 and its number then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// How long it ran; `None` while it runs and if that is not known.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// Whether this is what became of it in an earlier attempt, after which this one goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carried: bool,
}

impl PhaseChange {
    /// A phase that did not run.
    pub fn skipped(name: String) -> Self {
        Self { name, state: PhaseState::Skipped, exit_code: None, signal: None, duration_ms: None, carried: false }
    }
}

/// Which of a command's outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Both, in the order in which they were written ([`OutputMode::Merged`] and [`OutputMode::Tty`]).
    ///
    /// [`OutputMode::Merged`]: super::OutputMode::Merged
    /// [`OutputMode::Tty`]: super::OutputMode::Tty
    Output,
}

impl LogStream {
    /// The word as a frame has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Output => "output",
        }
    }

    /// Whether a line that begins with `::frame` or `::output` is a report here.
    pub const fn may_report(self) -> bool {
        match self {
            Self::Stdout | Self::Output => true,
            Self::Stderr => false,
        }
    }
}

/// `log`: a line a command printed, at most [`MAX_LINE_BYTES`] bytes, ANSI colours kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Which output it came from.
    pub stream: LogStream,
    /// The text, without its line end.
    pub line: String,
    /// Whether this continues the line of this output's frame before: a longer line was split, or its beginning was shown
    /// before its end had come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cont: bool,
    /// The seq of the frame that this one replaces: its row was drawn anew. It is always the row's first frame, of the same phase
    /// and output, so that the row keeps its place; of several frames that replace one, the last is the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<u64>,
}

/// `finding`: something a scan found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file, relative to the project.
    pub path: String,
    /// Line, from 1.
    #[serde(default)]
    pub line: Option<u64>,
    /// Column, from 1.
    #[serde(default)]
    pub column: Option<u64>,
    /// The rule's name.
    #[serde(default)]
    pub rule: String,
    /// How bad, in the tool's own word: `error`, `warning`, `info`, `hint` …
    #[serde(default)]
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// Whether the tool can fix it.
    #[serde(default)]
    pub fixable: bool,
    /// How far the fix can be trusted, if the tool says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<FixSafety>,
}

/// How far a fix can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FixSafety {
    /// The file alone proves that the fixed code does the same, or its author vouches for it.
    #[default]
    Safe,
    /// The fix may change what the code does, so a check or a person must verify it.
    Review,
}

/// `patch`: a change of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// The file, relative to the project.
    pub path: String,
    /// Unified diff.
    pub diff: String,
    /// Lines added.
    #[serde(default)]
    pub added: u64,
    /// Lines removed.
    #[serde(default)]
    pub removed: u64,
    /// `review` if one of its fixes needs a review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<FixSafety>,
}

/// `tool`: an agent called a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// The call's id, which its [`ToolResult`] repeats.
    pub call: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, shortened for people.
    #[serde(default)]
    pub preview: String,
}

/// `tool_result`: what a tool answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The id of the call it answers.
    pub call: String,
    /// Whether the tool did what was asked.
    pub ok: bool,
    /// The answer, shortened for people.
    #[serde(default)]
    pub preview: String,
    /// How long the call took.
    #[serde(default)]
    pub duration_ms: Option<u64>,
}

/// `token` and `reasoning`: a piece of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The piece.
    pub text: String,
}

/// Where a question to a person stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has answered.
    Waiting,
    /// Yes.
    Approved,
    /// No.
    Rejected,
}

/// `approval`: a person is asked, or has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What is asked.
    pub question: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// Who answered.
    #[serde(default)]
    pub by: Option<String>,
    /// The paths of the patches that whoever approved has left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Why, in the words of who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `error`: something went wrong in carrying out the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whether a re-run may succeed without any change.
    #[serde(default)]
    pub retryable: bool,
}

/// `progress`: how far the phase is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is, if known.
    #[serde(default)]
    pub total: Option<u64>,
    /// What is counted.
    #[serde(default)]
    pub unit: String,
}

/// `outcome`: what a built-in pipeline has done to the code (issue 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// A sentence for people.
    pub message: String,
    /// How many files were looked at.
    pub files: u64,
    /// How many findings there were.
    pub findings: u64,
    /// How many of them the patches take away.
    pub fixed: u64,
    /// How many are left.
    pub left: u64,
    /// The new branch that holds the patches; `None` if nothing was to do.
    #[serde(default)]
    pub branch: Option<String>,
    /// Its commit.
    #[serde(default)]
    pub commit: Option<String>,
    /// The commit that was worked on.
    #[serde(default)]
    pub base: Option<String>,
}

/// `output`: a value that a phase gives to later ones (issue 4). A command reports it by printing `::output name=value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Its name, of `[A-Za-z0-9_-]`. Later commands find the value in `RUNTRAIL_OUTPUT_NAME`.
    pub name: String,
    /// The value.
    pub value: String,
}

impl Output {
    /// The longest value, in bytes: what fits into a variable.
    pub const MAX_VALUE_BYTES: usize = 100_000;

    /// Whether this may be one.
    pub fn is_valid(&self) -> bool {
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let named = !self.name.is_empty() && self.name.len() <= 100 && self.name.chars().all(in_name);
        named && self.value.len() <= Self::MAX_VALUE_BYTES && !self.value.contains('\0')
    }

    /// The variable in which later commands find the value of this name.
    pub fn variable(name: &str) -> String {
        format!("RUNTRAIL_OUTPUT_{}", name.to_ascii_uppercase().replace('-', "_"))
    }
}

/// `origin`: who or what asked for the run, if it was no person and no program through the API (issue 4). Its first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// A schedule with the time that was due, or a hook with its delivery.
    pub by: String,
}

/// Where the delivery of a notification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// The receiver has it.
    Delivered,
    /// It does not, and is tried again.
    Retrying,
    /// It does not, and is not tried again.
    Failed,
}

/// `notification`: a receiver was told of the run, or could not be (issue 4). It comes after what it tells of, so also behind the end
/// of the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The receiver, without what may be a secret.
    pub url: String,
    /// What it was told: `run.finished` or `run.waiting`.
    pub event: String,
    /// Where the delivery stands.
    pub state: DeliveryState,
    /// Which try this was, from 1.
    pub r#try: u32,
    /// The status that the receiver answered with, if it did.
    #[serde(default)]
    pub status: Option<u16>,
    /// Why it was not delivered, in a sentence.
    #[serde(default)]
    pub error: Option<String>,
    /// In how many milliseconds it is tried again.
    #[serde(default)]
    pub next_ms: Option<u64>,
}

/// `cancel`: somebody asked for the end of a run that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Who.
    pub by: String,
    /// When what still runs is killed; `None` if nothing runs, since the run waits for a person.
    #[serde(default)]
    pub kill_at: Option<Timestamp>,
    /// Whether it is killed at once, without the grace time.
    #[serde(default)]
    pub force: bool,
}

/// `notice`: something that people should know of, and that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// A stable word for programs: `processes_left`, `background_ended`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The processes it is about, the first of them if they are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessName>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessName {
    /// Its number.
    pub pid: i32,
    /// The name of its program.
    pub name: String,
}

/// A kind, or a shape of data, that this version does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unknown {
    /// Its kind.
    pub kind: String,
    /// Its data, as it came.
    pub data: Value,
}
