//! Packets and capture files made by hand, for tests that drive the program from outside.
//!
//! A [`Packet`] is built from the inside out: `tcp(40000, 443).seq(1).payload(b"…").ipv4("10.0.0.1", "10.0.0.2")`
//! gives an Ethernet frame whose lengths and checksums are right; [`Packet::vlan`] puts a tag in. [`pcap`] makes a
//! capture file of frames.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod der;
pub mod knowledge;
pub mod lab;
#[cfg(target_os = "linux")]
pub mod live;
pub mod tape;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use relayscope::source::{CaptureReader, Chunk, Fill, LinkType};

/// TCP's FIN flag.
pub const FIN: u8 = 0x01;
/// TCP's SYN flag.
pub const SYN: u8 = 0x02;
/// TCP's RST flag.
pub const RST: u8 = 0x04;
/// TCP's PSH flag.
pub const PSH: u8 = 0x08;
/// TCP's ACK flag.
pub const ACK: u8 = 0x10;

const UDP: u8 = 17;
const TCP: u8 = 6;

/// A TCP segment or a UDP datagram that has no addresses yet.
#[derive(Clone, Debug)]
pub struct Segment {
    protocol: u8,
    ports: (u16, u16),
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    options: Vec<u8>,
    payload: Vec<u8>,
}

/// A TCP segment with ACK set.
pub fn tcp(from: u16, to: u16) -> Segment {
    let (options, payload) = (Vec::new(), Vec::new());
    Segment { protocol: TCP, ports: (from, to), seq: 0, ack: 0, flags: ACK, window: 65_535, options, payload }
}

/// A UDP datagram.
pub fn udp(from: u16, to: u16) -> Segment {
    Segment { protocol: UDP, ..tcp(from, to) }
}

impl Segment {
    /// The sequence number.
    pub fn seq(self, seq: u32) -> Self {
        Segment { seq, ..self }
    }

    /// The acknowledgement number.
    pub fn ack(self, ack: u32) -> Self {
        Segment { ack, ..self }
    }

    /// All flags at once.
    pub fn flags(self, flags: u8) -> Self {
        Segment { flags, ..self }
    }

    /// The window field, unscaled.
    pub fn window(self, window: u16) -> Self {
        Segment { window, ..self }
    }

    /// TCP options; padded to a multiple of four with zeros.
    pub fn options(self, options: &[u8]) -> Self {
        let mut options = options.to_vec();
        options.resize(options.len().next_multiple_of(4), 0);
        Segment { options, ..self }
    }

    /// What it carries.
    pub fn payload(self, payload: impl Into<Vec<u8>>) -> Self {
        Segment { payload: payload.into(), ..self }
    }

    /// The frame with IPv4 addresses.
    ///
    /// # Panics
    /// If an address is not one.
    pub fn ipv4(self, from: &str, to: &str) -> Packet {
        let (from, to): (Ipv4Addr, Ipv4Addr) = (from.parse().unwrap(), to.parse().unwrap());
        let body = self.bytes(from.into(), to.into());
        let total = u16::try_from(body.len() + 20).unwrap();
        let mut ip = vec![0x45, 0];
        ip.extend(total.to_be_bytes());
        ip.extend([0, 1, 0x40, 0, 64, self.protocol, 0, 0]);
        ip.extend(from.octets());
        ip.extend(to.octets());
        let sum = checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend(body);
        Packet { tags: Vec::new(), ether_type: 0x0800, bytes: ip }
    }

    /// The frame with IPv6 addresses.
    ///
    /// # Panics
    /// If an address is not one.
    pub fn ipv6(self, from: &str, to: &str) -> Packet {
        let (from, to): (Ipv6Addr, Ipv6Addr) = (from.parse().unwrap(), to.parse().unwrap());
        let body = self.bytes(from.into(), to.into());
        let mut ip = vec![0x60, 0, 0, 0];
        ip.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        ip.extend([self.protocol, 64]);
        ip.extend(from.octets());
        ip.extend(to.octets());
        ip.extend(body);
        Packet { tags: Vec::new(), ether_type: 0x86dd, bytes: ip }
    }

    /// The segment's bytes, its checksum over the pseudo-header of those addresses.
    fn bytes(&self, from: IpAddr, to: IpAddr) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.ports.0.to_be_bytes());
        bytes.extend(self.ports.1.to_be_bytes());
        let at = if self.protocol == TCP {
            bytes.extend(self.seq.to_be_bytes());
            bytes.extend(self.ack.to_be_bytes());
            bytes.extend([u8::try_from(20 + self.options.len()).unwrap() << 2, self.flags]);
            bytes.extend(self.window.to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(&self.options);
            16
        } else {
            bytes.extend(u16::try_from(8 + self.payload.len()).unwrap().to_be_bytes());
            bytes.extend([0; 2]);
            6
        };
        bytes.extend(&self.payload);
        let mut pseudo = Vec::new();
        for address in [from, to] {
            match address {
                IpAddr::V4(v4) => pseudo.extend(v4.octets()),
                IpAddr::V6(v6) => pseudo.extend(v6.octets()),
            }
        }
        pseudo.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        pseudo.extend([0, 0, 0, self.protocol]);
        pseudo.extend(&bytes);
        let sum = checksum(&pseudo);
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u32::from(b));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap()
}

/// An IP packet on its way into an Ethernet frame.
#[derive(Clone, Debug)]
pub struct Packet {
    tags: Vec<u16>,
    ether_type: u16,
    bytes: Vec<u8>,
}

impl Packet {
    /// Puts an 802.1Q tag around what is there: called twice, the second is the outer one.
    pub fn vlan(mut self, id: u16) -> Self {
        self.tags.insert(0, id);
        self
    }

    /// The IP packet alone, as in a raw-IP capture.
    pub fn ip(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole Ethernet frame, without padding or check sequence.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        for tag in &self.tags {
            frame.extend([0x81, 0x00]);
            frame.extend(tag.to_be_bytes());
        }
        frame.extend(self.ether_type.to_be_bytes());
        frame.extend(&self.bytes);
        frame
    }
}

/// An IPv4 packet in an Ethernet frame.
pub fn ethernet(ip: &[u8]) -> Vec<u8> {
    Packet { tags: Vec::new(), ether_type: 0x0800, bytes: ip.to_vec() }.frame()
}

/// An IPv4 packet (header of 20 bytes) in fragments of `size` bytes, a multiple of eight, in their order.
pub fn fragments(ip: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let (header, body) = ip.split_at(20);
    let last = body.chunks(size).count() - 1;
    let fragment = |(i, part): (usize, &[u8])| {
        let mut header = header.to_vec();
        header[2..4].copy_from_slice(&u16::try_from(20 + part.len()).unwrap().to_be_bytes());
        header[4..6].copy_from_slice(&id.to_be_bytes());
        let more = if i == last { 0 } else { 0x2000 };
        header[6..8].copy_from_slice(&(u16::try_from(i * size / 8).unwrap() | more).to_be_bytes());
        finish_header(&mut header);
        [header, part.to_vec()].concat()
    };
    body.chunks(size).enumerate().map(fragment).collect()
}

/// An ICMP port-unreachable (RFC 792) from `router` about an IPv4 packet, to that packet's sender, as an IP packet.
pub fn port_unreachable(router: &str, about: &[u8]) -> Vec<u8> {
    let router: Ipv4Addr = router.parse().unwrap();
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend(&about[..28]);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut ip = vec![0x45, 0];
    ip.extend(u16::try_from(20 + message.len()).unwrap().to_be_bytes());
    ip.extend([0, 9, 0, 0, 64, 1, 0, 0]);
    ip.extend(router.octets());
    ip.extend(&about[12..16]);
    finish_header(&mut ip);
    ip.extend(message);
    ip
}

/// Puts the right checksum into an IPv4 header of 20 bytes.
fn finish_header(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// A capture file (classic pcap, little-endian, nanoseconds) of frames and their times in nanoseconds.
pub fn pcap<'a>(link_type: u32, frames: impl IntoIterator<Item = (u64, &'a [u8])>) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, link_type] {
        file.extend(u32::to_le_bytes(word));
    }
    for (at, frame) in frames {
        let length = u32::try_from(frame.len()).unwrap();
        let (seconds, nanos) = (u32::try_from(at / 1_000_000_000).unwrap(), (at % 1_000_000_000) as u32);
        for word in [seconds, nanos, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// The records of the flows in these Ethernet frames, each with its time in nanoseconds, as the program tells them.
///
/// # Panics
/// If the program fails.
pub fn flows<'a>(frames: impl IntoIterator<Item = (u64, &'a [u8])>) -> Vec<serde_json::Value> {
    let mut program = assert_cmd::Command::cargo_bin("relayscope").unwrap();
    let run = program.args(["analyze", "--ndjson", "-"]).write_stdin(pcap(1, frames)).unwrap();
    let lines = run.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let records = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
    records.filter(|record| record["event_type"] == "flow").collect()
}

/// The record of the one flow in these frames, `step` nanoseconds apart.
///
/// # Panics
/// If the program fails, or there is another number of flows.
pub fn only(frames: &[Vec<u8>], step: u64) -> serde_json::Value {
    let times = (0..).map(|n| 1_700_000_000_000_000_000 + n * step);
    let mut flows = flows(times.zip(frames.iter().map(Vec::as_slice)));
    assert_eq!(flows.len(), 1, "{flows:#?}");
    flows.remove(0)
}

/// Every frame of a capture: its time in nanoseconds, its link type, its bytes.
pub fn frames(reader: &mut CaptureReader) -> Vec<(u64, LinkType, Vec<u8>)> {
    let (mut chunk, mut frames) = (Chunk::default(), Vec::new());
    while let Ok(Fill::More) = reader.fill(&mut chunk) {
        let read = chunk.frames.iter().filter_map(|at| chunk.frame(at));
        frames.extend(read.map(|frame| (frame.ts.0, frame.link, frame.bytes.to_vec())));
    }
    frames
}

/// The bytes behind a big-endian length of two bytes.
pub fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A handshake message in a TLS record.
fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0][..], &vec16(body)].concat();
    [&[22, 3, 1][..], &vec16(&message)].concat()
}

/// Extensions of a hello, by number and body.
fn extensions(list: &[(u16, &[u8])]) -> Vec<u8> {
    vec16(&list.iter().flat_map(|(kind, body)| [&kind.to_be_bytes()[..], &vec16(body)].concat()).collect::<Vec<_>>())
}

/// A TLS record with a ClientHello that asks for `name`, and has `padding` bytes of the padding extension (RFC 7685).
pub fn client_hello(name: &str, padding: usize) -> Vec<u8> {
    client_hello_with(name, &[(21, &vec![0; padding])])
}

/// A TLS record with a ClientHello that asks for `name` and has further extensions, by number and body.
pub fn client_hello_with(name: &str, further: &[(u16, &[u8])]) -> Vec<u8> {
    let sni = vec16(&[&[0][..], &vec16(name.as_bytes())].concat());
    let list = extensions(&[further, &[(43, &[2, 3, 4]), (0, &sni)]].concat());
    let body = [&[3, 3][..], &[9; 32], &[0], &vec16(&[0x13, 1, 0xc0, 0x2f]), &[1, 0], &list].concat();
    handshake(1, &body)
}

/// A TLS record with a ServerHello of version 1.3 or 1.2.
pub fn server_hello(tls13: bool) -> Vec<u8> {
    let chosen: &[(u16, &[u8])] = &[(43, &[3, 4])];
    server_hello_with([7; 32], if tls13 { chosen } else { &[] })
}

/// A TLS record with a ServerHello of that random and these extensions, by number and body.
pub fn server_hello_with(random: [u8; 32], list: &[(u16, &[u8])]) -> Vec<u8> {
    handshake(2, &[&[3, 3][..], &random, &[0, 0x13, 1, 0], &extensions(list)].concat())
}

/// A TLS record of application data with `n` bytes in it.
pub fn application_data(n: usize) -> Vec<u8> {
    [&[23, 3, 3][..], &vec16(&vec![0xa5; n])].concat()
}

/// A DNS query for the IPv4 address of `name`, or its response when an address is given.
pub fn dns(id: u16, name: &str, answer: Option<[u8; 4]>) -> Vec<u8> {
    let (flags, answers) = if answer.is_some() { (0x8180, 1) } else { (0x0100, 0) };
    let mut message: Vec<u8> = [id, flags, 1, answers, 0, 0].iter().flat_map(|n: &u16| n.to_be_bytes()).collect();
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    if let Some(address) = answer {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend(address);
    }
    message
}
