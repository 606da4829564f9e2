//! The engine: bytes and timestamps in, facts and verdicts out.
//!
//! It knows no clock, no thread and no file. Frames go through the [`front`] in order, one at a time; it decodes
//! them and gives each packet to one of [`SHARDS`] shards, a fixed number whatever runs them. A shard owns its
//! flows and works on its packets in order, so any number of threads comes to the same facts. At the end all shards
//! together are an [`Analysis`], in which every flow is named by all that any of them has learnt.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod analysis;
pub mod brief;
mod datagrams;
pub mod front;
mod hellos;
pub mod learn;
pub mod learnt;
pub mod naming;
mod parts;
mod quic;
mod record;
pub mod shard;
mod streams;
pub mod strings;

use crate::flow::key::SHARDS;
use crate::source::{Chunk, Frame};

use analysis::Analysis;
use front::{Front, Place, Sink, Work};
use shard::Shard;

/// What a run is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// How flows are tracked.
    pub flow: crate::flow::Config,
    /// Keep what only whole records need: exchanges, fingerprints.
    pub records: bool,
    /// Keeps the traffic from choosing its places in tables; no result depends on it.
    pub secret: u64,
}

/// The engine, whole, for one thread.
#[derive(Debug)]
pub struct Engine {
    front: Front,
    shards: Vec<Shard>,
    /// Where a frame is decoded.
    place: Work,
}

/// Does the work of one frame as it comes.
struct AtOnce<'e, 'f> {
    shards: &'e mut [Shard],
    place: &'e mut Work,
    datagrams: Vec<Vec<u8>>,
    bytes: &'f [u8],
}

impl Sink for AtOnce<'_, '_> {
    #[inline(always)]
    fn fill(&mut self, put: impl FnOnce(&mut Work) -> Option<usize>) {
        if let Some(shard) = put(self.place).and_then(|shard| self.shards.get_mut(shard)) {
            do_work(shard, self.place, &self.datagrams, |_| self.bytes);
        }
    }

    fn keep(&mut self, datagram: Vec<u8>) -> Place {
        self.datagrams.push(datagram);
        Place::Datagram(u32::try_from(self.datagrams.len().saturating_sub(1)).unwrap_or(u32::MAX))
    }
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(config: &Config) -> Self {
        Engine { front: Front::new(config.secret), shards: shards(config), place: Work::nothing() }
    }

    /// Takes all frames of a chunk.
    pub fn chunk(&mut self, chunk: &Chunk) {
        for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
            self.frame(frame);
        }
    }

    /// Takes one frame.
    #[inline(always)]
    pub fn frame(&mut self, frame: Frame<'_>) {
        let Engine { front, shards, place } = self;
        front.frame(&frame, 0, &mut AtOnce { shards, place, datagrams: Vec::new(), bytes: frame.bytes });
    }

    /// The capture has ended: what was learnt, put together.
    pub fn finish(self) -> Analysis {
        let Engine { mut front, mut shards, mut place } = self;
        front.finish(&mut AtOnce { shards: &mut shards, place: &mut place, datagrams: Vec::new(), bytes: &[] });
        Analysis::new(front.totals, shards)
    }
}

/// All shards of a run, empty.
pub fn shards(config: &Config) -> Vec<Shard> {
    (0..SHARDS).map(|_| Shard::new(config.flow, config.records, config.secret)).collect()
}

/// Works off a list of one shard's work, in order. `frame_at` gives the frames of the chunk that it came from,
/// `datagrams` are those put together while the chunk was decoded.
pub fn run_work<'a>(
    shard: &mut Shard,
    work: &[Work],
    datagrams: &'a [Vec<u8>],
    frame_at: impl Fn(u32) -> Option<Frame<'a>>,
) {
    let bytes_of = |n: u32| frame_at(n).map_or(&[][..], |frame| frame.bytes);
    for work in work {
        do_work(shard, work, datagrams, bytes_of);
    }
}

/// Works on one piece of work; `bytes_of` gives a frame's bytes.
#[inline(always)]
fn do_work<'a>(shard: &mut Shard, work: &Work, datagrams: &'a [Vec<u8>], bytes_of: impl FnOnce(u32) -> &'a [u8]) {
    match work {
        Work::Packet(packet, keyed, place) => {
            let bytes = match place {
                Place::Frame(n) => bytes_of(*n),
                Place::Datagram(n) => datagrams.get(*n as usize).map_or(&[][..], Vec::as_slice),
            };
            shard.packet(packet, *keyed, bytes);
        }
        Work::Quote(quote) => shard.quote(quote),
    }
}
