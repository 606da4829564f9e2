//! NTP packets (RFC 5905 §7.3; SNTP of RFC 4330 is the same on the wire).
//!
//! Read is the 48-byte header; extension fields and the authentication code behind it are only measured. Control
//! and private packets (mode 6, RFC 9327; mode 7, which only the reference implementation defines) are recognised and
//! not read. Refused: versions but 1 to 4, modes but 1 to 7, a stratum over 16, a tail that is no whole number of
//! 32-bit words; of control and private packets what their headers rule out.

use crate::time::Timestamp;
use crate::wire::Reader;

/// The length of the header.
const HEADER_LEN: usize = 48;

/// The precision written by a client whose other fields say nothing of it.
const HIDDEN_PRECISION: i8 = 0x20;

/// Seconds from 1900-01-01, where era 0 of NTP begins, to the Unix epoch.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// An NTP packet. Timestamps are raw: seconds since 1900 in the upper 32 bits, a binary fraction in the lower; zero
/// is "not known". All fields but version and mode are zero in modes 6 and 7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// 0 none, 1 and 2 a leap second comes, 3 not synchronised.
    pub leap: u8,
    /// 1 to 4.
    pub version: u8,
    /// 1 and 2 symmetric, 3 client, 4 server, 5 broadcast, 6 control, 7 private.
    pub mode: u8,
    /// 0 a kiss-o'-death (from a server), 1 a reference clock, to 15; 16 not synchronised.
    pub stratum: u8,
    /// The poll interval, log2 of seconds.
    pub poll: i8,
    /// The clock's precision, log2 of seconds.
    pub precision: i8,
    /// The round trip to the reference clock, in 1/65536 s.
    pub root_delay: u32,
    /// The error against the reference clock, in 1/65536 s.
    pub root_dispersion: u32,
    /// The reference: an address, a clock's letters, or a kiss code.
    pub reference_id: [u8; 4],
    /// When the clock was last set.
    pub reference: u64,
    /// When the request left the client.
    pub origin: u64,
    /// When the request came to the server.
    pub receive: u64,
    /// When this packet left.
    pub transmit: u64,
}

impl Packet {
    /// Whether it asks for the time: a client, or a peer that asks first (RFC 5905 §3).
    pub const fn is_request(&self) -> bool {
        matches!(self.mode, 1 | 3)
    }

    /// Whether it answers such a request.
    pub const fn is_reply(&self) -> bool {
        matches!(self.mode, 2 | 4)
    }

    /// Why the server gives no time: the four letters of a kiss-o'-death (RFC 5905 §7.4), without padding.
    pub fn kiss(&self) -> Option<&str> {
        let code = std::str::from_utf8(&self.reference_id).ok()?.trim_end_matches('\0');
        let printable = !code.is_empty() && code.bytes().all(|b| b.is_ascii_graphic());
        (self.is_reply() && self.stratum == 0 && printable).then_some(code)
    }

    /// When the packet left by its sender's own clock. `None` where that is not told, or where the stamp is a random
    /// number: clients that keep their clock to themselves write a precision of 2^32 s
    /// (draft-ietf-ntp-data-minimization).
    pub fn sent(&self) -> Option<Timestamp> {
        if self.precision == HIDDEN_PRECISION { None } else { moment(self.transmit) }
    }

    /// Whether it is a control or private packet, of which only version and mode are read.
    pub const fn is_control(&self) -> bool {
        matches!(self.mode, 6 | 7)
    }
}

/// Reads a datagram as NTP; `None` where it breaks the grammar or is cut inside the header.
#[inline]
pub fn parse(datagram: &[u8]) -> Option<Packet> {
    let mut r = Reader::new(datagram);
    let first = r.u8().ok()?;
    let (leap, version, mode) = (first >> 6, first >> 3 & 7, first & 7);
    if !matches!(version, 1..=4) || mode == 0 {
        return None;
    }
    if mode >= 6 {
        let sound = if mode == 6 { is_control(datagram) } else { is_private(datagram) };
        return sound.then_some(Packet { version, mode, ..Packet::default() });
    }
    let tail = datagram.len().checked_sub(HEADER_LEN)?;
    let packet = Packet {
        leap,
        version,
        mode,
        stratum: r.u8().ok()?,
        poll: i8::from_be_bytes([r.u8().ok()?]),
        precision: i8::from_be_bytes([r.u8().ok()?]),
        root_delay: r.u32().ok()?,
        root_dispersion: r.u32().ok()?,
        reference_id: *r.array().ok()?,
        reference: r.u64().ok()?,
        origin: r.u64().ok()?,
        receive: r.u64().ok()?,
        transmit: r.u64().ok()?,
    };
    (packet.stratum <= 16 && tail.is_multiple_of(4)).then_some(packet)
}

/// Whether a control packet's header can be one (RFC 9327 §2): an opcode in use, and a count of data that is there.
/// Records of DTLS, which VPNs send to any port that is open, begin with the same byte.
fn is_control(datagram: &[u8]) -> bool {
    const HEADER: usize = 12;
    let Some(&[_, opcode, .., c0, c1]) = datagram.first_chunk::<HEADER>() else { return false };
    let count = usize::from(u16::from_be_bytes([c0, c1]));
    matches!(opcode & 0x1f, 0..=12 | 31) && HEADER.saturating_add(count) <= datagram.len()
}

/// Whether a private packet's header can be one: an implementation that there is, and bits that must be zero.
fn is_private(datagram: &[u8]) -> bool {
    let Some(&[_, _, implementation, _, _, _, reserved, _]) = datagram.first_chunk::<8>() else { return false };
    matches!(implementation, 0 | 2 | 3) && reserved & 0xf0 == 0
}

/// The moment of a raw NTP timestamp; `None` where it is not known. Seconds with a clear top bit are of era 1, from
/// 2036 on (RFC 4330 §3).
pub fn moment(raw: u64) -> Option<Timestamp> {
    let (seconds, fraction) = (raw >> 32, raw & 0xffff_ffff);
    let era = if seconds & 0x8000_0000 == 0 { 1 << 32 } else { 0 };
    let unix = seconds.saturating_add(era).checked_sub(UNIX_EPOCH)?;
    let nanos = fraction.saturating_mul(1_000_000_000) >> 32;
    (raw != 0).then_some(Timestamp::from_parts(unix, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> Vec<u8> {
        let mut bytes = vec![0x23, 0, 6, 0xec];
        bytes.resize(40, 0);
        bytes.extend(0xe3b0_c442_8000_0000_u64.to_be_bytes());
        bytes
    }

    #[test]
    fn a_client_request_is_read() {
        let packet = parse(&request()).unwrap();
        assert_eq!((packet.version, packet.mode, packet.poll, packet.precision), (4, 3, 6, -20));
        assert_eq!(moment(packet.transmit), Some(Timestamp(1_611_023_810_500_000_000)));
        assert_eq!(moment(packet.origin), None);
        assert_eq!(moment(1 << 32), Some(Timestamp::from_parts(2_085_978_497, 0)), "one second into era 1");
    }

    #[test]
    fn a_tail_is_whole_words() {
        let mut bytes = request();
        bytes.extend([0; 20]);
        assert!(parse(&bytes).is_some());
        bytes.push(0);
        assert!(parse(&bytes).is_none());
        assert!(parse(&bytes[..47]).is_none());
    }

    #[test]
    fn control_is_only_recognised() {
        let read_variables = [0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(parse(&read_variables).unwrap().is_control());
        assert!(parse(&read_variables[..11]).is_none());
        let monitor_list = [0x17, 0, 3, 0x2a, 0, 0, 0, 0];
        assert!(parse(&monitor_list).unwrap().is_control());
        assert!(parse(&monitor_list[..7]).is_none());
    }

    #[test]
    fn control_is_not_what_begins_with_its_byte() {
        let promised = [0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!(parse(&promised).is_none(), "one byte of data is not there");
        for record in [[0x16, 0xfe, 0xff], [0x16, 0xfe, 0xfd], [0x17, 0xfe, 0xff], [0x17, 0xfe, 0xfd]] {
            let mut dtls = record.to_vec();
            dtls.resize(64, 0);
            assert!(parse(&dtls).is_none(), "{record:x?}");
        }
    }

    #[test]
    fn a_server_says_why_it_gives_no_time() {
        let mut bytes = request();
        (bytes[0], bytes[1]) = (0x24, 0);
        bytes[12..16].copy_from_slice(b"RATE");
        assert_eq!(parse(&bytes).unwrap().kiss(), Some("RATE"));
        bytes[1] = 1;
        assert_eq!(parse(&bytes).unwrap().kiss(), None, "the letters of a reference clock");
    }

    #[test]
    fn a_random_stamp_is_no_time() {
        let mut bytes = request();
        assert!(parse(&bytes).unwrap().sent().is_some());
        bytes[3] = 0x20;
        assert_eq!(parse(&bytes).unwrap().sent(), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, raw: u64) {
            let _ = (parse(&bytes), moment(raw));
        }
    }
}
