//! SCTP packets (RFC 9260), proven by their CRC32c (§6.8): over IP, and over UDP (RFC 6951), where peers use any port.
//!
//! Read are the common header (§3.1) and the types of the chunks (§3.2), no chunk's content. Refused: a packet that
//! was cut, for it cannot be proven; ports of zero; a first chunk of no assigned type; chunks that do not fill the
//! packet; the Adler-32 of RFC 2960, and the zero of RFC 9653, which proves nothing.

use crc::{CRC_32_ISCSI, Crc, Table};

use crate::wire::Reader;

/// The length of the common header.
pub const HEADER_LEN: usize = 12;

/// CRC32c, sixteen bytes at a step.
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// A packet of SCTP whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    /// The tag that the receiver has chosen; 0 before it has (§8.5.1).
    pub tag: u32,
    /// The types of its chunks, a bit each; see [`chunk_names`].
    pub chunks: u32,
}

/// The names of chunk types (IANA, "SCTP Chunk Types"), each at its place among the bits of [`Packet::chunks`].
const NAMES: [(u8, &str); 25] = [
    (0, "data"),
    (1, "init"),
    (2, "init-ack"),
    (3, "sack"),
    (4, "heartbeat"),
    (5, "heartbeat-ack"),
    (6, "abort"),
    (7, "shutdown"),
    (8, "shutdown-ack"),
    (9, "error"),
    (10, "cookie-echo"),
    (11, "cookie-ack"),
    (12, "ecne"),
    (13, "cwr"),
    (14, "shutdown-complete"),
    (15, "auth"),
    (16, "nr-sack"),
    (0x40, "i-data"),
    (0x80, "asconf-ack"),
    (0x81, "re-config-old"),
    (0x82, "re-config"),
    (0x84, "pad"),
    (0xc0, "forward-tsn"),
    (0xc1, "asconf"),
    (0xc2, "i-forward-tsn"),
];

/// The bit of a chunk type; 0 for one that is not assigned.
fn bit(kind: u8) -> u32 {
    NAMES.iter().zip(0..).find(|((k, _), _)| *k == kind).map_or(0, |(_, at)| 1 << at)
}

/// The names of the chunk types in a set of them, in the order of their numbers.
pub fn chunk_names(chunks: u32) -> impl Iterator<Item = &'static str> {
    NAMES.iter().zip(0..).filter(move |(_, at)| chunks >> at & 1 != 0).map(|((_, name), _)| *name)
}

/// Reads a whole packet, the common header at its front; `None` unless its chunks fill it and its checksum is right.
/// What is not SCTP is nearly always told by its chunks, and never summed.
pub fn parse(bytes: &[u8]) -> Option<Packet> {
    let mut r = Reader::new(bytes);
    let (source, destination, tag) = (r.u16().ok()?, r.u16().ok()?, r.u32().ok()?);
    let sum = r.u32().ok()?;
    if source == 0 || destination == 0 || sum == 0 {
        return None;
    }
    let chunks = chunks(r)?;
    is_right(bytes, sum).then_some(Packet { source, destination, tag, chunks })
}

/// The types of the chunks that fill `r`. Each has at least four bytes, so the packet's length bounds the walk.
fn chunks(mut r: Reader<'_>) -> Option<u32> {
    let mut seen = 0;
    loop {
        let (kind, _flags, len) = (r.u8().ok()?, r.u8().ok()?, usize::from(r.u16().ok()?));
        seen |= bit(kind);
        if seen == 0 {
            return None;
        }
        r.skip(len.checked_sub(4)?).ok()?;
        if r.is_empty() {
            return Some(seen);
        }
        r.skip(len.wrapping_neg() & 3).ok()?;
        if r.is_empty() {
            return Some(seen);
        }
    }
}

/// Whether `sum`, as it stands in the header, is the CRC32c of the packet with zeros in its place; it is sent least
/// byte first (RFC 9260, appendix A).
fn is_right(bytes: &[u8], sum: u32) -> bool {
    let (Some(before), Some(behind)) = (bytes.get(..8), bytes.get(HEADER_LEN..)) else { return false };
    let mut digest = CRC.digest();
    digest.update(before);
    digest.update(&[0; 4]);
    digest.update(behind);
    digest.finalize().swap_bytes() == sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// CRC32c by its definition: bit by bit, with the polynomial reversed.
    fn plain_crc32c(bytes: &[u8]) -> u32 {
        let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
    }

    fn packet(tag: u32, chunks: &[u8]) -> Vec<u8> {
        let mut bytes =
            [&5000u16.to_be_bytes()[..], &5001u16.to_be_bytes(), &tag.to_be_bytes(), &[0; 4], chunks].concat();
        let sum = plain_crc32c(&bytes);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn the_sum_is_that_of_rfc_3720() {
        // RFC 3720, appendix B.4
        assert_eq!(CRC.checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(CRC.checksum(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(plain_crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_packet_is_proven_by_its_sum_alone() {
        let bytes =
            packet(7, &[10, 0, 0, 5, 9, 0, 0, 0, 0, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0, 0]);
        let read = parse(&bytes).unwrap();
        assert_eq!((read.source, read.destination, read.tag), (5000, 5001, 7));
        assert_eq!(chunk_names(read.chunks).collect::<Vec<_>>(), ["data", "cookie-echo"]);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(parse(&other), None, "byte {at}");
            assert_eq!(parse(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn chunks_fill_the_packet_and_the_first_is_known() {
        assert!(parse(&packet(0, &[1, 0, 0, 4])).is_some());
        assert!(parse(&packet(1, &[3, 0, 0, 4, 0x3f, 0, 0, 4])).is_some(), "one that is not assigned may follow");
        for chunks in [&[][..], &[0x3f, 0, 0, 4], &[1, 0, 0, 3], &[1, 0, 0, 8], &[1, 0, 0, 4, 0]] {
            assert_eq!(parse(&packet(1, chunks)), None, "{chunks:?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_sum_by_its_definition(tag: u32, data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut chunk = [&[0, 3][..], &u16::try_from(data.len() + 4).unwrap().to_be_bytes(), &data].concat();
            chunk.resize(chunk.len().next_multiple_of(4), 0);
            prop_assert_eq!(parse(&packet(tag, &chunk)).map(|p| p.tag), Some(tag));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
            let _ = chunks(Reader::new(&bytes)).map(|set| chunk_names(set).count());
        }
    }
}
