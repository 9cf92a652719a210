//! The poll: pages of frames.

use super::{POLL, Service, bounded, no_run};
use crate::model::{Cursor, FrameRecord, Pin, Problem};
use crate::store::{JournalHead, RunKey, Store, StoreError};

/// Frames after a cursor, as [`FramePage`](crate::model::FramePage) has them for programs.
#[derive(Clone, Debug)]
pub struct Page {
    /// The frames.
    pub frames: Vec<FrameRecord>,
    /// How rows among them were drawn last, if frames after these do it.
    pub redraws: Vec<FrameRecord>,
    /// Where the journal stands.
    pub pulse: JournalHead,
    /// Whether the run is pinned.
    pub pin: Pin,
}

impl Page {
    /// It as JSON, built from stored text: replaying a journal parses nothing.
    pub fn to_json(&self) -> String {
        let Self { frames, redraws, pulse: JournalHead { head, status, .. }, pin: Pin { pinned, pins } } = self;
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

impl Service {
    /// The poll: frames after a cursor. Changes nothing.
    ///
    /// # Errors
    /// [`Code::RunNotFound`], [`Code::BadCursor`], [`Code::CursorAhead`], [`Code::BadRequest`] for a limit out of bounds;
    /// the database's own.
    ///
    /// [`Code::RunNotFound`]: crate::model::Code::RunNotFound
    /// [`Code::BadCursor`]: crate::model::Code::BadCursor
    /// [`Code::CursorAhead`]: crate::model::Code::CursorAhead
    /// [`Code::BadRequest`]: crate::model::Code::BadRequest
    pub async fn frames(&self, id: &str, after: Option<&str>, limit: Option<u32>) -> Result<Page, Problem> {
        let (key, frames, pulse) = self.frames_after(id, after, limit).await?;
        let pin = self.store.pin(key).await?.ok_or_else(|| no_run(id))?;
        let (frames, redraws) = last_redraws(&self.store, key, frames).await?;
        Ok(Page { frames, redraws, pulse, pin })
    }

    /// Frames after a cursor, of which run, and where that stands.
    pub(super) async fn frames_after(
        &self,
        id: &str,
        after: Option<&str>,
        limit: Option<u32>,
    ) -> Result<(RunKey, Vec<FrameRecord>, JournalHead), Problem> {
        let cursor = Cursor::from_request(None, after)?;
        let limit = bounded(limit, POLL)?;
        let (key, _) = self.find(id).await?;
        let (frames, pulse) = self.store.frames(key, cursor.0, limit).await?;
        cursor.check_not_ahead(pulse.head)?;
        Ok((key, frames, pulse))
    }
}

/// Frames that follow each other, without those at their end for whose redraws there is no room; and how rows among the others were
/// drawn last, if frames after all of these do it.
pub(super) async fn last_redraws(
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

/// That [`Page::to_json`] writes what [`FramePage`] reads.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FramePage, Status, Timestamp};

    #[test]
    fn the_polls_answer_reads_as_the_model_has_it() {
        let frame = |seq| FrameRecord {
            seq,
            ts: Timestamp(0),
            attempt: 1,
            phase: Some("scanning".into()),
            kind: "token".into(),
            data: r#"{"text":"a\"\n"}"#.into(),
        };
        let pulse = JournalHead { head: 9, status: Status::Running, attempt: 1 };
        for count in 0..3 {
            let (frames, redraws): (Vec<FrameRecord>, Vec<FrameRecord>) =
                ((1..=count).map(frame).collect(), (7..7 + count).map(frame).collect());
            let pin = Pin { pinned: true, pins: 3 };
            let written = Page { frames: frames.clone(), redraws: redraws.clone(), pulse, pin }.to_json();
            assert_eq!(written.contains("redraws"), count > 0, "{written}");
            let page: FramePage = serde_json::from_str(&written).unwrap();
            assert_eq!(page.frames, frames.iter().map(FrameRecord::to_frame).collect::<Vec<_>>());
            assert_eq!(page.redraws, redraws.iter().map(FrameRecord::to_frame).collect::<Vec<_>>());
            assert_eq!((page.head, page.status, page.active), (9, Status::Running, true));
            assert_eq!(page.pin, Pin { pinned: true, pins: 3 });
        }
    }
}
