//! One flow's record: as small as may be, as there may be millions.

use super::NONE;
use super::counts::Count;
use super::key::FlowKey;
use super::tunnels::Way;
use crate::decode::Packet;
use crate::time::Timestamp;

/// What is noted of a flow as a whole.
#[allow(missing_docs)]
pub mod flag {
    pub const FIRST_FORWARD: u16 = 1 << 0;
    pub const FLIPPED: u16 = 1 << 1;
    pub const GUESSED: u16 = 1 << 2;
    pub const MIDSTREAM: u16 = 1 << 3;
    pub const CUT: u16 = 1 << 4;
    pub const ENDED: u16 = 1 << 5;
    pub const TOLD: u16 = 1 << 6;
    pub const TROUBLED: u16 = 1 << 7;
    pub const GIVEN_UP: u16 = 1 << 8;
}

/// The [`Flow::phase`] of a flow of which nothing more is to be inspected.
pub const INSPECTED: u8 = u8::MAX;

/// One flow's record. Pairs are by side: 0 sent the first packet seen.
#[derive(Clone, Debug)]
pub struct Flow {
    pub(super) key: FlowKey,
    /// First packet.
    pub first: Timestamp,
    /// Last packet.
    pub last: Timestamp,
    pub(super) counts: [Count; 2],
    /// Number of its connection, or [`NONE`].
    pub(super) tcp: u32,
    /// Number of what its payload has told, and of what of it is being read; the inspecting layer's, [`NONE`] at first.
    pub learnt: u32,
    /// How its first packet came, or where that stands.
    pub(super) way: Way,
    /// The first packet's frame number, its lower 32 bits and the 16 above.
    frame_low: u32,
    frame_high: u16,
    pub(super) flags: u16,
    /// The first packet's time to live, by side; 0 is not seen.
    pub ttl: [u8; 2],
    /// How far inspection has come; the inspecting layer's, 0 at first.
    pub phase: u8,
    /// How often inspection has found nothing; the inspecting layer's, 0 at first.
    pub tries: u8,
}

impl Flow {
    /// A flow of which nothing is counted yet.
    pub(super) fn begun(key: FlowKey, packet: &Packet, flags: u16, way: Way) -> Flow {
        Flow {
            key,
            first: packet.ts,
            last: packet.ts,
            counts: [Count::default(); 2],
            tcp: NONE,
            learnt: NONE,
            way,
            frame_low: packet.frame as u32,
            frame_high: (packet.frame >> 32) as u16,
            flags,
            ttl: [packet.ttl, 0],
            phase: 0,
            tries: 0,
        }
    }

    #[inline(always)]
    pub(super) const fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// IP protocol number.
    pub const fn proto(&self) -> u8 {
        self.key.proto()
    }

    /// The ports, lower endpoint's first.
    pub const fn ports(&self) -> (u16, u16) {
        self.key.ports()
    }

    /// Whether the endpoints are IPv6.
    pub const fn is_v6(&self) -> bool {
        self.key.is_v6()
    }

    /// Whether side 1 is the originator.
    #[inline(always)]
    pub const fn flipped(&self) -> bool {
        self.is(flag::FLIPPED)
    }

    /// The capture began within the flow.
    pub const fn midstream(&self) -> bool {
        self.is(flag::MIDSTREAM)
    }

    /// Who is the originator was not shown by a SYN but guessed.
    pub const fn guessed(&self) -> bool {
        self.is(flag::GUESSED)
    }

    /// Some packet of it was cut by the capture.
    pub const fn cut(&self) -> bool {
        self.is(flag::CUT)
    }

    /// Something went wrong with its TCP data.
    pub const fn troubled(&self) -> bool {
        self.is(flag::TROUBLED)
    }

    /// It ended before the capture did.
    pub const fn ended(&self) -> bool {
        self.is(flag::ENDED)
    }

    /// Its last record was told.
    pub const fn told(&self) -> bool {
        self.is(flag::TOLD)
    }

    /// Its state in short. An ICMP error about it is not in it.
    pub const fn stamp(&self) -> Stamp {
        // what is told of it is not what happened to it
        let flags = self.flags & !(flag::TOLD | flag::GIVEN_UP);
        let [a, b] = self.counts;
        Stamp { pkts: [a.pkts, b.pkts], learnt: self.learnt, flags }
    }

    /// Its last record is told now.
    pub fn tell(&mut self) {
        self.flags |= flag::TOLD;
    }

    /// It is to be let go of, for want of room.
    pub const fn given_up(&self) -> bool {
        self.is(flag::GIVEN_UP)
    }

    /// Is to be let go of.
    pub fn give_up(&mut self) {
        self.flags |= flag::GIVEN_UP;
    }

    /// What was taken for the originator is the responder.
    pub fn flip(&mut self) {
        self.flags ^= flag::FLIPPED;
    }

    /// The first packet's frame number; 2^48 can be told.
    #[inline(always)]
    pub const fn first_frame(&self) -> u64 {
        (self.frame_high as u64) << 32 | self.frame_low as u64
    }

    /// A pair by side, put in order originator, responder.
    pub const fn oriented<T: Copy>(&self, pair: [T; 2]) -> [T; 2] {
        let [a, b] = pair;
        if self.flipped() { [b, a] } else { [a, b] }
    }
}

/// A flow's state in short: as long as it is the same, no packet of the flow has come, and its payload has told nothing
/// more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pkts: [u32; 2],
    learnt: u32,
    flags: u16,
}
