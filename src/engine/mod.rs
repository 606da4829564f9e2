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
pub mod case;
pub mod ceiling;
mod compact;
mod datagrams;
pub mod front;
pub mod hands;
mod held;
mod hellos;
mod hosts;
pub mod learn;
pub mod learnt;
pub mod leg;
pub mod light;
mod media;
pub mod naming;
pub mod neighbours;
mod parts;
mod quic;
mod record;
mod requests;
pub mod resolvers;
pub mod shard;
mod streams;
pub mod strings;
pub mod sums;

use std::ops::Range;
use std::sync::Arc;

use crate::classify::watch::Watch;
use crate::flow::key::SHARDS;
use crate::source::{Chunk, Frame, FrameRef, Shed, Tally};
use crate::time::Timestamp;

use analysis::{Analysis, FlowAt};
pub use compact::Keep;
use front::{Front, Place, Sink, Sketch, Work};
pub use hosts::Hosts;
use shard::Shard;
use sums::FlowSums;

/// What a run is asked for.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// How flows are tracked.
    pub flow: crate::flow::Config,
    /// Keep what only whole records need: exchanges, fingerprints.
    pub records: bool,
    /// Keep the traces of flows: by what another capture's flows are joined with this one's.
    pub traces: bool,
    /// Names whose DNS and certificates are looked at more closely.
    pub watch: Arc<Watch>,
    /// Keeps the traffic from choosing its places in tables; no result depends on it.
    pub secret: u64,
}

/// How many packets are decoded before their shards are touched: enough for their waits for memory to overlap.
const GROUP: usize = 32;

/// So few flows, in all shards, that what finds them stays near the core and need not be touched early.
const NEAR: usize = 4096;

/// The engine, whole, for one thread.
#[derive(Clone, Debug)]
pub struct Engine {
    front: Front,
    analysis: Analysis,
    group: Group,
    /// What is passed over.
    shed: Shed,
}

/// Packets that were decoded and not yet worked on.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Work with its shard; the first `used` of them count.
    work: Vec<(usize, Work)>,
    used: usize,
    datagrams: Vec<Vec<u8>>,
}

impl Sink for Group {
    #[inline(always)]
    fn slot(&mut self) -> Option<&mut Work> {
        if self.used >= self.work.len() {
            self.work.push((0, Work::nothing()));
        }
        self.work.get_mut(self.used).map(|(_, work)| work)
    }

    #[inline(always)]
    fn take(&mut self, shard: usize) {
        if let Some((at, _)) = self.work.get_mut(self.used) {
            *at = shard;
            self.used = self.used.wrapping_add(1);
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
        let analysis = Analysis::begin(shards(config));
        Engine { front: Front::new(config.secret), analysis, group: Group::default(), shed: Shed::Nothing }
    }

    /// Takes all frames of a chunk.
    pub fn chunk(&mut self, chunk: &Chunk) {
        self.part(chunk, 0..chunk.frames.len());
    }

    /// Takes the frames of a chunk that have these numbers.
    pub fn part(&mut self, chunk: &Chunk, numbers: Range<usize>) {
        if self.shed == Shed::Everything {
            return self.count(&chunk.frames.get(numbers).into_iter().flatten().collect());
        }
        for at in chunk.frames.get(numbers).unwrap_or_default() {
            if let Some(frame) = chunk.frame(at) {
                self.front.frame(&frame, at.start, &mut self.group);
            }
            if self.group.used >= GROUP {
                self.flush(&chunk.buf);
            }
        }
        self.flush(&chunk.buf);
    }

    /// Counts frames of which nothing else is known.
    pub fn count(&mut self, tally: &Tally) {
        self.front.count(tally);
    }

    /// How many frames were taken, and the flows of those since this was last asked.
    pub fn since(&mut self) -> (u64, Sketch) {
        (self.front.totals.frames, std::mem::take(&mut self.front.flows))
    }

    /// Takes one frame.
    pub fn frame(&mut self, frame: Frame<'_>) {
        if self.shed == Shed::Everything {
            let caplen = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
            let at = FrameRef { ts: frame.ts, start: 0, caplen, len: frame.len, link: frame.link };
            return self.count(&[at].iter().collect());
        }
        self.front.frame(&frame, 0, &mut self.group);
        self.flush(frame.bytes);
    }

    /// Works off what was decoded of the frames in `buf`.
    fn flush(&mut self, buf: &[u8]) {
        let Group { work, used, datagrams } = &mut self.group;
        let ready = work.get(..*used).unwrap_or_default();
        if self.analysis.len() > NEAR {
            let touch =
                |(at, work): &(usize, Work)| self.analysis.shards.get(*at).map_or(0, |shard| touch(shard, work));
            std::hint::black_box(ready.iter().fold(0, |touched, work| touched ^ touch(work)));
        }
        for (shard, work) in ready {
            if let Some(shard) = self.analysis.shards.get_mut(*shard) {
                do_work(shard, work, buf, datagrams);
            }
        }
        *used = 0;
        datagrams.clear();
    }

    /// The capture has ended: what was learnt, put together.
    pub fn finish(mut self) -> Analysis {
        self.end();
        self.analysis
    }

    /// The capture has ended: what was learnt, put together. Nothing is to come after that.
    pub fn end(&mut self) -> &Analysis {
        self.front.finish(&mut self.group);
        self.flush(&[]);
        self.analysis.end(self.front.totals.clone());
        &self.analysis
    }

    /// It is `now`, in packet time: flows that were silent for too long end. What was learnt so far, put together.
    pub fn stand(&mut self, now: Timestamp) -> &Analysis {
        self.analysis.take_stock(self.front.totals.clone(), |shard| {
            shard.advance(now);
            FlowSums::of(shard)
        });
        &self.analysis
    }

    /// So much is passed over from now on.
    pub fn shed(&mut self, shed: Shed) {
        self.shed = shed;
        for shard in &mut self.analysis.shards {
            shard.sheds = shed;
        }
    }

    /// These hosts are of the system, and all others strangers from now on.
    pub fn mind(&mut self, hosts: &Arc<Hosts>) {
        for shard in &mut self.analysis.shards {
            shard.minds = Arc::clone(hosts);
        }
    }

    /// The clock of the capture was set back to `now`.
    pub fn set_back(&mut self, now: Timestamp) {
        for shard in &mut self.analysis.shards {
            shard.table.set_back(now);
        }
    }

    /// What was learnt so far, put together. Nothing that comes later depends on that this was asked.
    pub fn look(&mut self) -> &Analysis {
        self.analysis.take_stock(self.front.totals.clone(), |shard| FlowSums::of(shard));
        &self.analysis
    }

    /// Lets go of flows that are over and told, and of names that are no longer needed, as `keep` has it; all numbers
    /// and places change with that. What was learnt, put together anew.
    pub fn compact(&mut self, keep: &Keep<'_>) -> &Analysis {
        self.analysis.compact(keep);
        self.look()
    }

    /// What was learnt, as it was last put together.
    pub const fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    /// Notes that the last record of these flows is told.
    pub fn tell(&mut self, flows: &[FlowAt]) {
        for at in flows {
            if let Some(flow) = self.analysis.flow_mut(*at) {
                flow.tell();
            }
        }
    }
}

/// All shards of a run, empty.
pub fn shards(config: &Config) -> Vec<Shard> {
    (0..SHARDS).map(|_| Shard::new(config)).collect()
}

/// Works off a list of one shard's work, in order. `buf` is that of the chunk that it came from, `datagrams` are those
/// put together while the chunk was decoded.
pub fn run_work(shard: &mut Shard, work: &[Work], buf: &[u8], datagrams: &[Vec<u8>]) {
    for group in work.chunks(GROUP) {
        if shard.table.len() > NEAR / SHARDS {
            std::hint::black_box(group.iter().fold(0, |touched, work| touched ^ touch(shard, work)));
        }
        for work in group {
            do_work(shard, work, buf, datagrams);
        }
    }
}

/// Touches the memory that a piece of work will need.
#[inline(always)]
fn touch(shard: &Shard, work: &Work) -> u64 {
    match work {
        Work::Packet(_, keyed, _) => shard.table.touch(keyed.hash),
        Work::Quote(_) => 0,
    }
}

#[inline(always)]
fn do_work(shard: &mut Shard, work: &Work, buf: &[u8], datagrams: &[Vec<u8>]) {
    match work {
        Work::Packet(packet, keyed, place) => shard.packet(packet, keyed, place.bytes(buf, datagrams)),
        Work::Quote(quote) => shard.quote(quote),
    }
}
