//! How much an analysis passes over where there is no time for all of it, and how a capture says so.

use super::{Frame, FrameRef};
use crate::time::Timestamp;

/// How much is passed over; each stage passes over what those before it do, and more. Frames and their bytes are
/// counted at every stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shed {
    /// All is inspected.
    #[default]
    Nothing,
    /// The payload of bulk flows is not.
    Bulk,
    /// Nor is that of flows between strangers: hosts that were not of the system when all was last judged. None of
    /// those that begin are followed. What is asked of DNS is inspected, as by that hosts become known.
    Strangers,
    /// Frames are only counted.
    Everything,
}

impl Shed {
    /// All stages, the least first.
    pub const ALL: [Shed; 4] = [Shed::Nothing, Shed::Bulk, Shed::Strangers, Shed::Everything];

    /// The comment at a frame by which a capture says that from there on its analysis was at this stage.
    pub const fn remark(self) -> &'static str {
        match self {
            Shed::Nothing => "all payload is inspected from here on",
            Shed::Bulk => "payload of bulk flows is not inspected from here on",
            Shed::Strangers => "only the system's own flows and DNS are inspected from here on, but for bulk",
            Shed::Everything => "frames are counted and not analyzed from here on",
        }
    }

    /// Whether a capture by that program may say so: one of anybody else may have the same words as a comment, and they
    /// mean nothing there.
    pub fn is_told_by(application: &[u8]) -> bool {
        application.starts_with(b"relayscope ")
    }

    /// The stage that a comment speaks of, if any.
    pub fn of_remark(comment: &[u8]) -> Option<Shed> {
        Shed::ALL.into_iter().find(|stage| stage.remark().as_bytes() == comment)
    }
}

/// What is known of frames that are only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there were.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Those of them that the capture cut.
    pub cut: u64,
    /// When the first came.
    pub first: Timestamp,
    /// The latest time among them.
    pub last: Timestamp,
}

impl Tally {
    /// Counts frames that came later.
    pub fn add(&mut self, more: &Tally) {
        if self.frames == 0 {
            self.first = more.first;
        }
        self.frames = self.frames.saturating_add(more.frames);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.cut = self.cut.saturating_add(more.cut);
        self.last = self.last.max(more.last);
    }
}

impl Tally {
    /// Counts a frame that came later.
    #[inline(always)]
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let captured = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        let (bytes, cut) = (u64::from(frame.len.max(captured)), u64::from(captured < frame.len));
        self.add(&Tally { frames: 1, bytes, cut, first: frame.ts, last: frame.ts });
    }
}

impl<'f> FromIterator<&'f FrameRef> for Tally {
    fn from_iter<T: IntoIterator<Item = &'f FrameRef>>(frames: T) -> Self {
        let mut tally = Tally::default();
        for frame in frames {
            let (bytes, cut) = (u64::from(frame.len), u64::from(frame.caplen < frame.len));
            tally.add(&Tally { frames: 1, bytes, cut, first: frame.ts, last: frame.ts });
        }
        tally
    }
}
