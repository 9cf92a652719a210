//! Reads a run's journal: page by page for the poll, or with a reader that waits for new frames.

use super::{Backend, page_limit, run_not_found};
use crate::journal::{FrameEncoding, Reader};
use crate::model::{Cursor, FrameRecord, Pin, Problem, RunId};
use crate::store::{JournalHead, RunKey, Store, StoreError};

/// Frames on a page of the poll: by default, and at most.
const PAGE_FRAMES: (u32, u32) = (1000, 5000);

/// A [`FramePage`](crate::model::FramePage) whose frames are still the stored text. The frames and the head are read in
/// one transaction, the pin and the redraws after them.
#[derive(Clone, Debug)]
pub struct RawFramePage {
    pub frames: Vec<FrameRecord>,
    /// The last redraws of rows among `frames`, where they come after this page.
    pub redraws: Vec<FrameRecord>,
    pub head: JournalHead,
    pub pin: Pin,
}

impl RawFramePage {
    /// The page as JSON, put together from stored text: nothing is parsed.
    pub fn to_json(&self) -> String {
        let Self { frames, redraws, head: JournalHead { head, status, .. }, pin: Pin { pinned, pins } } = self;
        let size = frames.iter().chain(redraws).map(|frame| frame.data.len() + 128).sum::<usize>();
        let mut out = String::with_capacity(128 + size);
        out.push_str("{\"frames\":");
        write_list(frames, &mut out);
        if !redraws.is_empty() {
            out.push_str(",\"redraws\":");
            write_list(redraws, &mut out);
        }
        let active = status.is_active();
        out.push_str(&format!(
            ",\"head\":{head},\"status\":\"{status}\",\"active\":{active},\"pinned\":{pinned},\"pins\":{pins}}}"
        ));
        out
    }
}

fn write_list(frames: &[FrameRecord], out: &mut String) {
    out.push('[');
    for (index, frame) in frames.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        frame.write_json(out);
    }
    out.push(']');
}

/// The poll: frames after a cursor.
///
/// # Errors
/// [`Code::RunNotFound`] for an unknown or deleted run; [`Code::BadCursor`]; [`Code::CursorAhead`];
/// [`Code::BadRequest`] for a limit out of bounds; the database's errors.
///
/// [`Code::RunNotFound`]: crate::model::Code::RunNotFound
/// [`Code::BadCursor`]: crate::model::Code::BadCursor
/// [`Code::CursorAhead`]: crate::model::Code::CursorAhead
/// [`Code::BadRequest`]: crate::model::Code::BadRequest
pub async fn frames(
    backend: &Backend,
    id: &str,
    after: Option<&str>,
    limit: Option<u32>,
) -> Result<RawFramePage, Problem> {
    let (key, frames, head) = read_after(backend, id, after, limit).await?;
    let pin = backend.store.pin(key).await?.ok_or_else(|| run_not_found(id))?;
    let (frames, redraws) = load_redraws(&backend.store, key, frames).await?;
    Ok(RawFramePage { frames, redraws, head, pin })
}

/// A reader of a run's journal that encodes frames in this form, and the head of the journal. Starts no run.
///
/// # Errors
/// [`Code::RunNotFound`] for an unknown or deleted run; [`Code::CursorAhead`]; the database's errors.
///
/// [`Code::RunNotFound`]: crate::model::Code::RunNotFound
/// [`Code::CursorAhead`]: crate::model::Code::CursorAhead
pub async fn open_reader(
    backend: &Backend,
    run: &RunId,
    cursor: Cursor,
    form: FrameEncoding,
) -> Result<(Reader, JournalHead), Problem> {
    let (key, head) = backend.store.find(run).await?.ok_or_else(|| run_not_found(run.as_str()))?;
    let reader = backend.journal.read(key, cursor.0, head, form).await?;
    let head = reader.head();
    cursor.check_not_ahead(head.head)?;
    Ok((reader, head))
}

/// The run's key, frames after a cursor, and the head of the journal.
pub(super) async fn read_after(
    backend: &Backend,
    id: &str,
    after: Option<&str>,
    limit: Option<u32>,
) -> Result<(RunKey, Vec<FrameRecord>, JournalHead), Problem> {
    let cursor = Cursor::from_request(None, after)?;
    let limit = page_limit(limit, PAGE_FRAMES)?;
    let (key, _) = backend.find(id).await?;
    let (frames, head) = backend.store.frames(key, cursor.0, limit).await?;
    cursor.check_not_ahead(head.head)?;
    Ok((key, frames, head))
}

/// Splits consecutive frames into those to show and the later redraws of their rows. Frames at the end are dropped if
/// their redraws would make the page too large.
pub(super) async fn load_redraws(
    store: &Store,
    run: RunKey,
    mut frames: Vec<FrameRecord>,
) -> Result<(Vec<FrameRecord>, Vec<FrameRecord>), StoreError> {
    let (Some(first), Some(last)) = (frames.first().map(|frame| frame.seq), frames.last().map(|frame| frame.seq))
    else {
        return Ok((frames, Vec::new()));
    };
    let (redrawn, until) = store.redrawn_rows(run, first - 1, last).await?;
    frames.retain(|frame| frame.seq <= until);
    let later = redrawn.into_iter().map(|(_, frame)| frame).filter(|frame| frame.seq > until);
    Ok((frames, later.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FramePage, Status, Timestamp};

    #[test]
    fn frame_page_json_parses_as_the_models_type() {
        let frame = |seq| FrameRecord {
            seq,
            ts: Timestamp(0),
            attempt: 1,
            phase: Some("scanning".into()),
            kind: "token".into(),
            data: r#"{"text":"a\"\n"}"#.into(),
        };
        let head = JournalHead { head: 9, status: Status::Running, attempt: 1 };
        for count in 0..3 {
            let (frames, redraws): (Vec<FrameRecord>, Vec<FrameRecord>) =
                ((1..=count).map(frame).collect(), (7..7 + count).map(frame).collect());
            let pin = Pin { pinned: true, pins: 3 };
            let written = RawFramePage { frames: frames.clone(), redraws: redraws.clone(), head, pin }.to_json();
            assert_eq!(written.contains("redraws"), count > 0, "{written}");
            let page: FramePage = serde_json::from_str(&written).unwrap();
            assert_eq!(page.frames, frames.iter().map(FrameRecord::to_frame).collect::<Vec<_>>());
            assert_eq!(page.redraws, redraws.iter().map(FrameRecord::to_frame).collect::<Vec<_>>());
            assert_eq!((page.head, page.status, page.active), (9, Status::Running, true));
            assert_eq!(page.pin, Pin { pinned: true, pins: 3 });
        }
    }
}
