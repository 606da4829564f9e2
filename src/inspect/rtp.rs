//! RTP and RTCP (RFC 3550), by their looks and by how they go on; SRTP (RFC 3711) looks the same.
//!
//! A datagram alone proves little: its first two bits, a payload type that is none of RTCP's on the same port
//! (RFC 5761 §4), and a header that fits. A [`Source`] tells whether several go on as one stream does. RTCP proves
//! itself where its packets fill the datagram (§6.1); encrypted, only its first header can be read.
//!
//! Refused: version other than 2, payload types 64 to 95, a header extension or contributing sources that do not
//! fit, an empty payload; RTCP whose first packet is no report.

use crate::wire::Reader;

/// The length of the fixed header.
const HEADER_LEN: usize = 12;
/// A leap in sequence numbers beyond which a stream counts as begun anew (RFC 3550 §A.1, MAX_DROPOUT).
const MAX_DROPOUT: u16 = 3000;
/// How far a packet may be late (RFC 3550 §A.1, MAX_MISORDER).
const MAX_MISORDER: u16 = 100;
/// So many steps forward, each a short one, show that a stream is RTP.
const PROVING_STEPS: u8 = 3;
/// The longest step that shows anything.
const SHORT_STEP: u16 = 64;

/// An RTP packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What the payload is (RFC 3551 §6); from 96 on as was agreed elsewhere.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The sampling time, in units of the payload's clock.
    pub timestamp: u32,
    /// The stream's source.
    pub ssrc: u32,
}

/// Reads a datagram of `wire_len` bytes as RTP.
#[inline]
pub fn parse(datagram: &[u8], wire_len: usize) -> Option<Packet> {
    let mut r = Reader::new(datagram);
    let (first, second) = (r.u8().ok()?, r.u8().ok()?);
    let payload_type = second & 0x7f;
    if first >> 6 != 2 || matches!(payload_type, 64..=95) {
        return None;
    }
    let (sequence, timestamp, ssrc) = (r.u16().ok()?, r.u32().ok()?, r.u32().ok()?);
    let mut length = usize::from(first & 0xf).saturating_mul(4).saturating_add(HEADER_LEN);
    if first & 0x10 != 0 {
        r.skip(length.saturating_sub(HEADER_LEN)).ok()?;
        let words = usize::from(r.u32().ok()? as u16);
        length = words.saturating_mul(4).saturating_add(length).saturating_add(4);
    }
    (length < wire_len).then_some(Packet { payload_type, sequence, timestamp, ssrc })
}

/// What begins a datagram of RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The source that reports.
    pub ssrc: u32,
    /// Packets of RTCP fill the datagram to its end; their number. 0: they do not, as where they are encrypted.
    pub packets: u32,
}

/// Reads a datagram of `wire_len` bytes as RTCP that begins with a sender's or receiver's report (RFC 3550 §6.4).
#[inline]
pub fn report(datagram: &[u8], wire_len: usize) -> Option<Report> {
    let mut r = Reader::new(datagram);
    let (first, kind, words) = (r.u8().ok()?, r.u8().ok()?, usize::from(r.u16().ok()?));
    let ssrc = r.u32().ok()?;
    let blocks = usize::from(first & 0x1f).saturating_mul(24);
    let least = blocks.saturating_add(if kind == 200 { 28 } else { 8 });
    let length = words.saturating_mul(4).saturating_add(4);
    if first >> 6 != 2 || !matches!(kind, 200 | 201) || length < least || length > wire_len {
        return None;
    }
    Some(Report { ssrc, packets: packets(datagram).unwrap_or(0) })
}

/// How many packets of RTCP fill the datagram, each of at least four bytes.
fn packets(datagram: &[u8]) -> Option<u32> {
    let (mut r, mut count) = (Reader::new(datagram), 0u32);
    while !r.is_empty() {
        let (first, kind, words) = (r.u8().ok()?, r.u8().ok()?, usize::from(r.u16().ok()?));
        if first >> 6 != 2 || !matches!(kind, 192..=223) {
            return None;
        }
        r.skip(words.saturating_mul(4)).ok()?;
        count = count.saturating_add(1);
    }
    Some(count)
}

/// One stream of RTP, by its packets so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its identifier.
    pub ssrc: u32,
    /// The payload type of its newest packet.
    pub payload_type: u8,
    /// Short steps forward so far, up to those that prove it.
    steps: u8,
    /// The highest sequence number.
    highest: u16,
    /// How many packets came, late ones too.
    pub packets: u32,
    /// How many should have come, by their sequence numbers.
    expected: u32,
}

impl Source {
    /// A stream of which one packet has come.
    pub const fn new(packet: &Packet) -> Self {
        let Packet { ssrc, payload_type, sequence, .. } = *packet;
        Source { ssrc, payload_type, steps: 0, highest: sequence, packets: 1, expected: 1 }
    }

    /// Takes the next packet of this source.
    pub fn take(&mut self, packet: &Packet) {
        let step = packet.sequence.wrapping_sub(self.highest);
        let late = step.wrapping_neg();
        if step == 0 {
            return;
        }
        self.packets = self.packets.saturating_add(1);
        if late <= MAX_MISORDER {
            return;
        }
        let begun_anew = step > MAX_DROPOUT;
        self.expected = self.expected.saturating_add(if begun_anew { 1 } else { u32::from(step) });
        if step <= SHORT_STEP && packet.payload_type == self.payload_type {
            self.steps = self.steps.saturating_add(1).min(PROVING_STEPS);
        }
        (self.highest, self.payload_type) = (packet.sequence, packet.payload_type);
    }

    /// Whether it goes on as RTP does.
    pub const fn is_proven(&self) -> bool {
        self.steps >= PROVING_STEPS
    }

    /// How many packets are missing, by their sequence numbers (RFC 3550 §A.3).
    pub const fn lost(&self) -> u32 {
        self.expected.saturating_sub(self.packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(payload_type: u8, sequence: u16) -> Vec<u8> {
        let mut bytes = vec![0x80, payload_type];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend([0, 0, 1, 0, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3]);
        bytes
    }

    fn read(payload_type: u8, sequence: u16) -> Packet {
        let bytes = packet(payload_type, sequence);
        parse(&bytes, bytes.len()).unwrap()
    }

    #[test]
    fn the_header_of_a_packet_fits() {
        let plain = Packet { payload_type: 96, sequence: 7, timestamp: 256, ssrc: 0xdead_beef };
        assert_eq!(read(96, 7), plain);
        assert_eq!(read(0x80 | 96, 7), plain, "with a marker");
        let mut bytes = packet(96, 7);
        assert!(parse(&bytes, 12).is_none(), "no payload");
        bytes[0] = 0x81;
        assert!(parse(&bytes, bytes.len()).is_none(), "no room for the contributing source");
        assert!(parse(&bytes[..12], 17).is_some(), "as far as it was captured");
        bytes[0] = 0x90;
        bytes.extend([0, 0, 0, 1, 9, 9, 9, 9]);
        assert!(parse(&bytes, bytes.len()).is_none());
        for (first, second) in [(0x40, 96), (0xc0, 96), (0x80, 72), (0x80, 200)] {
            bytes[..2].copy_from_slice(&[first, second]);
            assert!(parse(&bytes, bytes.len()).is_none(), "{first:#x} {second}");
        }
    }

    #[test]
    fn a_stream_goes_on() {
        let mut source = Source::new(&read(96, 0xfffe));
        for sequence in [0xffff, 1, 0, 2] {
            assert!(!source.is_proven());
            source.take(&read(96, sequence));
        }
        assert!(source.is_proven());
        assert_eq!((source.packets, source.lost()), (5, 0), "one was late");
        source.take(&read(96, 12));
        source.take(&read(96, 12));
        assert_eq!((source.packets, source.lost()), (6, 9));
        source.take(&read(96, 40_000));
        assert_eq!(source.lost(), 9, "begun anew");
    }

    #[test]
    fn what_stands_still_or_leaps_is_no_stream() {
        for step in [0, 1000, 40_000, 0xffff] {
            let mut source = Source::new(&read(96, 5));
            (1..50u16).for_each(|n| source.take(&read(96, n.wrapping_mul(step).wrapping_add(5))));
            assert!(!source.is_proven(), "{step}");
        }
    }

    #[test]
    fn reports_fill_their_datagram() {
        let alone = b"\x80\xc9\x00\x01abcd";
        assert_eq!(report(alone, 8), Some(Report { ssrc: 0x6162_6364, packets: 1 }));
        let two = [&alone[..], b"\x81\xca\x00\x02abcd\x01\x00\x00\x00"].concat();
        assert_eq!(report(&two, two.len()).map(|r| r.packets), Some(2));
        let encrypted = [&alone[..], b"....."].concat();
        assert_eq!(report(&encrypted, encrypted.len()).map(|r| r.packets), Some(0));
        for bad in
            [&b"\x81\xc9\x00\x01abcd"[..], b"\x80\xc8\x00\x01abcd", b"\x80\xca\x00\x01abcd", b"\x80\xc9\x00\x02abcd"]
        {
            assert_eq!(report(bad, bad.len()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), long: usize) {
            let read = (parse(&bytes, bytes.len()), report(&bytes, long));
            if let (Some(packet), _) = read {
                let mut source = Source::new(&packet);
                source.take(&Packet { sequence: packet.sequence.wrapping_add(long as u16), ..packet });
                prop_assert!(source.lost() < u32::from(u16::MAX));
            }
        }
    }
}
