//! Which stretches of a capture hold packets of which flows, as far as a second reading needs to know: those that hold
//! none of what is looked for are not read again.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::decode::Packet;
use crate::engine::front::Sketch;
use crate::flow::key::Keyed;
use crate::source::{Chunk, Fill, Frame, Place, Problem, Progress, Source};

/// How many stretches are kept; when there are more, each two that adjoin become one.
const STRETCHES_MAX: usize = 1 << 16;

/// Records that lie one behind the other.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: Place,
    to: Place,
    /// How many frames the capture has up to its end.
    frames: u64,
    flows: Sketch,
}

/// What the stretches of a capture hold. What is not noted is read again.
#[derive(Clone, Debug, Default)]
pub struct Index {
    stretches: Vec<Stretch>,
    secret: u64,
    /// Chunks in a stretch.
    chunks: usize,
    /// Chunks in the last one.
    last: usize,
}

impl Index {
    /// Of a run whose keys are hashed with `secret`.
    pub(super) fn new(secret: u64) -> Index {
        Index { stretches: Vec::new(), secret, chunks: 1, last: 0 }
    }

    /// Notes that what lies between two places ends with frame `frames` and holds packets of `flows`. Where the places
    /// are not known, or what frames are read by changes between them, nothing is noted.
    pub(super) fn note(&mut self, from: Option<Place>, to: Option<Place>, frames: u64, flows: Sketch) {
        let (Some(from), Some(to)) = (from, to) else { return };
        if !to.follows(&from) {
            return;
        }
        let more = self.last < self.chunks;
        if let Some(stretch) = self.stretches.last_mut().filter(|stretch| more && stretch.to == from) {
            (stretch.to, stretch.frames) = (to, frames);
            stretch.flows.add(flows);
            self.last += 1;
            return;
        }
        if self.stretches.len() >= STRETCHES_MAX {
            self.thin_out();
        }
        if self.stretches.len() < STRETCHES_MAX {
            self.stretches.push(Stretch { from, to, frames, flows });
            self.last = 1;
        }
    }

    fn thin_out(&mut self) {
        self.chunks = self.chunks.saturating_mul(2);
        let mut kept: Vec<Stretch> = Vec::with_capacity(self.stretches.len());
        let mut joined = false;
        for stretch in self.stretches.drain(..) {
            match kept.last_mut().filter(|last| !joined && last.to == stretch.from) {
                Some(last) => {
                    (last.to, last.frames) = (stretch.to, stretch.frames);
                    last.flows.add(stretch.flows);
                    joined = true;
                }
                None => {
                    kept.push(stretch);
                    joined = false;
                }
            }
        }
        self.stretches = kept;
        self.last = self.chunks;
    }
}

/// Gives `take` the frames of `source`, in order, with their numbers from 1: all that may be of the flows of these
/// packets, and others that lie near them. It ends when `take` wants no more (false) or `stop` is set. `index` is what
/// the first reading of the same inputs has noted. Gives what was wrong with the files.
pub fn each_frame_near(
    mut source: Source,
    index: &Index,
    packets: &[Packet],
    stop: &AtomicBool,
    progress: &mut dyn FnMut(&Progress),
    take: &mut dyn FnMut(u64, &Frame<'_>) -> bool,
) -> Vec<Problem> {
    let mut wanted = Sketch::default();
    packets.iter().for_each(|packet| wanted.note(Keyed::of(packet, index.secret).hash));
    let mut stretches = index.stretches.iter().peekable();
    let mut chunk = Chunk::default();
    let mut number = 0;
    'all: while !stop.load(Ordering::Relaxed) {
        while let Some(at) = source.place()
            && let Some(stretch) = next_from(&mut stretches, &at)
        {
            if stretch.from != at || stretch.flows.meets(wanted) || !source.go_on_at(&stretch.to) {
                break;
            }
            number = stretch.frames;
            stretches.next();
        }
        if source.fill(&mut chunk) == Fill::End {
            break;
        }
        for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
            number += 1;
            if !take(number, &frame) {
                break 'all;
            }
        }
        progress(&source.progress());
    }
    source.take_problems().collect()
}

/// The next stretch that does not begin before a place.
fn next_from<'s>(
    stretches: &mut std::iter::Peekable<impl Iterator<Item = &'s Stretch>>,
    at: &Place,
) -> Option<&'s Stretch> {
    while stretches.peek().is_some_and(|stretch| stretch.from < *at) {
        stretches.next();
    }
    stretches.peek().copied()
}
