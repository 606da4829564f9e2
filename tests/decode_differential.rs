//! The decoder against etherparse: wherever that library gives an address, a port, a number or a payload, ours is the
//! same, on frames made by chance, with lengths that lie, bytes changed, and cut anywhere.
//!
//! Where the two may differ, the comparison says why.

mod support;

use etherparse::{EtherType, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};
use proptest::prelude::*;
use relayscope::decode::{Addr, Packet, Undecoded, decode, proto};
use relayscope::source::CaptureReader;

const ETHERNET: u16 = 1;
const RAW: u16 = 101;
const SLL: u16 = 113;
const SLL2: u16 = 276;
const AUTHENTICATION: u8 = 51;
const MACSEC: u16 = 0x88e5;

/// What the library makes of a frame; `None` where it sees no more than a link header.
fn theirs(link: u16, frame: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    let behind = |at: usize, header: usize| {
        let ether_type = u16::from_be_bytes(*frame.get(at..)?.first_chunk()?);
        Some(LaxSlicedPacket::from_ether_type(EtherType(ether_type), frame.get(header..)?))
    };
    match link {
        ETHERNET => LaxSlicedPacket::from_ethernet(frame).ok(),
        SLL => behind(14, 16),
        SLL2 => behind(0, 20),
        _ => LaxSlicedPacket::from_ip(frame).ok(),
    }
}

/// Decodes a frame both ways and compares.
fn compare(link: u16, frame: &[u8]) {
    let mut packet = Packet::default();
    let ours = decode(link, frame, &mut packet);
    // the library does not look into tunnels; chance makes few
    if packet.tunnels.is_empty() {
        compare_read(ours, packet, link, frame);
    }
}

/// Compares what we made of a frame, with places that count from its begin, with what the library makes of it.
fn compare_read(ours: Result<(), Undecoded>, packet: Packet, link: u16, frame: &[u8]) {
    let Some(theirs) = theirs(link, frame) else { return };
    // a frame's end by MACsec's short length is the library's; ours is IP's own
    if theirs.link_exts.iter().any(|e| matches!(e, LaxLinkExtSlice::Macsec(m) if m.header.short_len().value() != 0)) {
        return;
    }
    let ip = match &theirs.net {
        Some(LaxNetSlice::Ipv4(ip)) => ip.payload(),
        Some(LaxNetSlice::Ipv6(ip)) => ip.payload(),
        Some(_) => return assert_eq!(ours, Err(Undecoded::NotIp)),
        None => {
            // it knows neither the tag 0x9200 nor SNAP nor a fourth tag, and says so by silence; a broken IP header
            // it names, and there we must not find a packet either
            let broken = theirs.stop_err.as_ref().is_some_and(|(_, layer)| *layer == etherparse::err::Layer::IpHeader);
            return assert!(!broken || ours.is_err());
        }
    };
    if let Err(reason) = ours {
        return assert!(is_allowed_refusal(reason, &theirs, frame), "{reason:?} but {theirs:?}");
    }
    compare_network(&packet, &theirs);
    if is_half_walked(&theirs) {
        return;
    }
    assert_eq!(packet.proto, ip.ip_number.0);
    assert_eq!(packet.cut, ip.incomplete, "{theirs:?}");
    match &theirs.transport {
        Some(TransportSlice::Tcp(tcp)) => compare_tcp(&packet, tcp, frame),
        Some(TransportSlice::Udp(udp)) => {
            assert!(packet.transport);
            assert_eq!((packet.src_port, packet.dst_port), (udp.source_port(), udp.destination_port()));
            assert_eq!(packet.checksum, udp.checksum());
            assert_eq!(packet.payload(frame), udp.payload());
        }
        Some(TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_)) => {
            // the library lets a header's length depend on the type; here it is the eight bytes that all have
            assert_eq!(packet.payload(frame), ip.payload.get(8..).unwrap_or(&[]));
            assert_eq!(packet.src_port, u16::from(ip.payload[0]));
        }
        _ => compare_bare(&packet, ip.payload, frame),
    }
}

/// Addresses, tags, and whether it is a fragment.
fn compare_network(packet: &Packet, theirs: &LaxSlicedPacket<'_>) {
    let (src, dst, ttl, v6, fragmented) = match theirs.net.as_ref().unwrap() {
        LaxNetSlice::Ipv4(ip) => {
            let h = ip.header();
            let (src, dst) = (Addr::v4(h.source()), Addr::v4(h.destination()));
            assert_eq!(packet.ip_id, h.identification());
            (src, dst, h.ttl(), false, ip.is_payload_fragmented())
        }
        LaxNetSlice::Ipv6(ip) => {
            let h = ip.header();
            (Addr::v6(h.source()), Addr::v6(h.destination()), h.hop_limit(), true, ip.is_payload_fragmented())
        }
        LaxNetSlice::Arp(_) => unreachable!(),
    };
    assert_eq!((packet.src, packet.dst, packet.ttl, packet.v6), (src, dst, ttl, v6));
    if !is_half_walked(theirs) {
        assert_eq!(packet.fragment.is_some(), fragmented);
    }
    // a priority tag has the id 0, which is none: the next tag takes its place; of three the middle one is dropped
    let tags = theirs.vlan_ids().iter().fold([0, 0], |[outer, inner], id| match outer {
        0 => [id.value(), inner],
        _ => [outer, id.value()],
    });
    assert_eq!(packet.vlan, tags);
}

fn compare_tcp(packet: &Packet, tcp: &TcpSlice<'_>, frame: &[u8]) {
    assert!(packet.transport);
    assert_eq!((packet.src_port, packet.dst_port), (tcp.source_port(), tcp.destination_port()));
    assert_eq!((packet.seq, packet.ack), (tcp.sequence_number(), tcp.acknowledgment_number()));
    assert_eq!((packet.window, packet.checksum), (tcp.window_size(), tcp.checksum()));
    let flags = [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack(), tcp.urg(), tcp.ece(), tcp.cwr()];
    let flags = flags.iter().rev().fold(0, |bits, &set| bits << 1 | u8::from(set));
    assert_eq!(packet.tcp_flags, flags);
    assert_eq!(packet.options(frame), tcp.options());
    assert_eq!(packet.payload(frame), tcp.payload());
}

/// Behind an IP header that the library reads but whose transport it does not.
fn compare_bare(packet: &Packet, payload: &[u8], frame: &[u8]) {
    let ports = matches!(packet.proto, proto::TCP | proto::UDP | proto::SCTP);
    if packet.fragment.is_some() || !(ports || matches!(packet.proto, proto::ICMP | proto::ICMP6)) {
        assert!(!packet.transport);
        return assert_eq!(packet.payload(frame), payload);
    }
    // it wants a whole header, and one that does not contradict itself; here what is there of one is taken, and
    // never from what lies behind the packet
    if ports {
        let there = payload
            .first_chunk()
            .map_or((0, 0), |&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
        assert_eq!((packet.src_port, packet.dst_port), there);
    }
    assert!(payload.ends_with(packet.payload(frame)));
}

/// Whether the library walked another part of the extension headers than we do. A hop-by-hop header that is not the
/// first is an error to it and passed over here; a fragment's later headers belong to the datagram and are not read
/// here; headers for mobility, HIP and shim6 (RFC 6275, RFC 7401, RFC 5533) are passed over here and payload to it.
fn is_half_walked(theirs: &LaxSlicedPacket<'_>) -> bool {
    use etherparse::err::Layer::{
        IpAuthHeader, Ipv6DestOptionsHeader, Ipv6ExtHeader, Ipv6FragHeader, Ipv6HopByHopHeader, Ipv6RouteHeader,
    };
    let within =
        [IpAuthHeader, Ipv6DestOptionsHeader, Ipv6ExtHeader, Ipv6FragHeader, Ipv6HopByHopHeader, Ipv6RouteHeader];
    let stopped = theirs.stop_err.as_ref().is_some_and(|(_, layer)| within.contains(layer));
    match &theirs.net {
        Some(LaxNetSlice::Ipv6(ip)) => {
            let unknown = matches!(ip.payload().ip_number.0, 135 | 139 | 140);
            stopped || unknown || (ip.is_payload_fragmented() && ip.extensions().slice().len() > 8)
        }
        _ => stopped,
    }
}

/// Whether we may refuse a frame in which the library finds an IP header.
fn is_allowed_refusal(reason: Undecoded, theirs: &LaxSlicedPacket<'_>, frame: &[u8]) -> bool {
    match (reason, theirs.net.as_ref()) {
        // a total length below the header's is a contradiction here; the library takes the frame's length instead
        (Undecoded::BadIp, Some(LaxNetSlice::Ipv4(ip))) => {
            let h = ip.header();
            h.total_len() != 0 && h.total_len() < u16::from(h.ihl()) * 4
        }
        // more extension headers than anyone needs
        (Undecoded::BadIp, Some(LaxNetSlice::Ipv6(_))) => frame.len() > 40 + 128 * 8,
        // an extension header that is cut: here there is no packet then, as its protocol is not known; the library
        // gives the IP header with an error beside it, or takes the cut one for payload
        (Undecoded::CutIp, Some(LaxNetSlice::Ipv6(_))) => true,
        _ => false,
    }
}

/// The parts of a frame, in any measure of nonsense.
#[derive(Clone, Debug)]
struct Recipe {
    link: u16,
    tags: Vec<(u16, u16)>,
    v6: bool,
    /// IPv4 options in words.
    options: usize,
    /// The IPv4 flags and fragment offset.
    fragment: u16,
    /// IPv6 extension headers: kind, length in its unit, the fragment field.
    extensions: Vec<(u8, u8, u16)>,
    /// What the IP length field is off by.
    ip_lie: i16,
    segment: Vec<u8>,
    protocol: u8,
    padding: usize,
    changes: Vec<(prop::sample::Index, u8)>,
    cut: Option<prop::sample::Index>,
}

impl Recipe {
    fn frame(&self) -> Vec<u8> {
        let mut frame = self.link_header();
        frame.extend(if self.v6 { self.ipv6() } else { self.ipv4() });
        frame.resize(frame.len() + self.padding, 0xee);
        for (at, byte) in &self.changes {
            let at = at.index(frame.len());
            frame[at] = *byte;
        }
        if let Some(cut) = &self.cut {
            frame.truncate(cut.index(frame.len() + 1));
        }
        frame
    }

    fn link_header(&self) -> Vec<u8> {
        let ip: u16 = if self.v6 { 0x86dd } else { 0x0800 };
        let first = self.tags.first().map_or(ip, |tag| tag.0).to_be_bytes();
        let mut header = match self.link {
            ETHERNET => [&[2; 12][..], &first].concat(),
            SLL => [&[0; 14][..], &first].concat(),
            SLL2 => [&first[..], &[0; 18]].concat(),
            _ => return Vec::new(),
        };
        for (n, (kind, id)) in self.tags.iter().enumerate() {
            header.extend(id.to_be_bytes());
            if *kind == MACSEC {
                header.extend([0, 0, 0, 9]);
                // a system's identifier, if the first byte says that it is there
                header.extend(vec![7; if id & 0x2000 != 0 { 8 } else { 0 }]);
            }
            header.extend(self.tags.get(n + 1).map_or(ip, |tag| tag.0).to_be_bytes());
        }
        header
    }

    fn ipv4(&self) -> Vec<u8> {
        let header = 20 + 4 * self.options;
        let total = (header + self.segment.len()) as u16;
        let mut ip = vec![0x40 | (header / 4) as u8, 0];
        ip.extend(total.wrapping_add_signed(self.ip_lie).to_be_bytes());
        ip.extend([0x12, 0x34]);
        ip.extend(self.fragment.to_be_bytes());
        ip.extend([64, self.protocol, 0, 0, 10, 0, 0, 1, 198, 51, 100, 2]);
        ip.resize(header, 1);
        ip.extend(&self.segment);
        ip
    }

    fn ipv6(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (n, &(kind, length, field)) in self.extensions.iter().enumerate() {
            let next = self.extensions.get(n + 1).map_or(self.protocol, |e| e.0);
            match kind {
                44 => body.extend([&[next, 0][..], &field.to_be_bytes(), &[0, 0, 0, 9]].concat()),
                AUTHENTICATION => {
                    body.extend([next, length + 1]);
                    body.resize(body.len() + (usize::from(length) + 3) * 4 - 2, 3);
                }
                _ => {
                    body.extend([next, length]);
                    body.resize(body.len() + usize::from(length) * 8 + 6, 3);
                }
            }
        }
        body.extend(&self.segment);
        let mut ip = vec![0x60, 0, 0, 0];
        ip.extend((body.len() as u16).wrapping_add_signed(self.ip_lie).to_be_bytes());
        ip.extend([self.extensions.first().map_or(self.protocol, |e| e.0), 64]);
        ip.extend([0xfd; 16]);
        ip.extend([0x20; 16]);
        ip.extend(body);
        ip
    }
}

/// A transport header with its payload, and the protocol that it is of.
fn segments() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let tcp = (any::<[u16; 3]>(), any::<[u32; 2]>(), any::<u8>(), bytes(40), bytes(60)).prop_map(
        |([from, to, window], [seq, ack], flags, options, payload)| {
            let segment = support::tcp(from, to).seq(seq).ack(ack).flags(flags).window(window);
            let packet = segment.options(&options).payload(payload).ipv4("10.0.0.1", "10.0.0.2");
            (proto::TCP, packet.ip()[20..].to_vec())
        },
    );
    let udp = (any::<[u16; 2]>(), -12i16..12, bytes(60)).prop_map(|([from, to], lie, payload)| {
        let packet = support::udp(from, to).payload(payload).ipv4("10.0.0.1", "10.0.0.2");
        let mut datagram = packet.ip()[20..].to_vec();
        let length = (datagram.len() as u16).wrapping_add_signed(if lie.abs() > 8 { lie } else { 0 });
        datagram[4..6].copy_from_slice(&length.to_be_bytes());
        (proto::UDP, datagram)
    });
    let other = (prop::sample::select(vec![1u8, 58, 2, 47, 50, 132, 255]), bytes(60));
    prop_oneof![3 => tcp, 2 => udp, 2 => other]
}

fn recipes() -> impl Strategy<Value = Recipe> {
    let vlan = (prop::sample::select(vec![0x8100u16, 0x88a8, 0x9100]), any::<u16>());
    let macsec = (Just(MACSEC), any::<u16>().prop_map(|control| control & 0x3f00));
    let tag = prop_oneof![5 => vlan, 1 => macsec];
    let extension = (prop::sample::select(vec![0u8, 43, 60, 44, 51, 135, 139, 140]), 0u8..4, any::<u16>());
    let fragment = prop_oneof![6 => Just(0u16), 2 => Just(0x4000), 2 => any::<u16>()];
    let lie = prop_oneof![4 => Just(0i16), 1 => -90i16..90, 1 => any::<i16>()];
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let shape = (prop::sample::select(vec![ETHERNET, ETHERNET, RAW, SLL, SLL2]), any::<bool>(), lie, 0usize..40);
    let network = (prop::collection::vec(tag, 0..4), 0usize..11, fragment, prop::collection::vec(extension, 0..4));
    let harm = (prop::collection::vec(change, 0..4), prop::option::weighted(0.4, any::<prop::sample::Index>()));
    (shape, network, segments(), harm).prop_map(|(shape, network, (protocol, segment), (changes, cut))| {
        let (link, v6, ip_lie, padding) = shape;
        let (tags, options, fragment, extensions) = network;
        let tags = if link == RAW { Vec::new() } else { tags };
        Recipe { link, tags, v6, options, fragment, extensions, ip_lie, segment, protocol, padding, changes, cut }
    })
}

/// What stands between an outer IPv4 header and an inner packet.
#[derive(Clone, Debug)]
struct Carrier {
    protocol: u8,
    port: Option<u16>,
    header: Vec<u8>,
}

impl Carrier {
    /// A frame with `inner` in it, and where that begins.
    fn frame(&self, inner: &[u8]) -> (Vec<u8>, usize) {
        let body = [&self.header[..], inner].concat();
        let carried = match self.port {
            Some(port) => support::udp(50_000, port).payload(body).ipv4("192.0.2.1", "192.0.2.2").ip()[20..].to_vec(),
            None => body,
        };
        let total = (20 + carried.len() as u16).to_be_bytes();
        let head = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, self.protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        let frame = [&[2; 12][..], &[8, 0], &head, &carried].concat();
        let at = frame.len() - inner.len();
        (frame, at)
    }
}

/// Tunnels, with the link type as which what is in them is read alone.
fn tunnels() -> impl Strategy<Value = (Carrier, u16)> {
    let by_protocol = |protocol, header: &[u8], link| (Carrier { protocol, port: None, header: header.to_vec() }, link);
    let by_port =
        |port, header: &[u8], link| (Carrier { protocol: proto::UDP, port: Some(port), header: header.to_vec() }, link);
    prop::sample::select(vec![
        by_protocol(4, &[], RAW),
        by_protocol(41, &[], RAW),
        by_protocol(47, &[0x20, 0, 8, 0, 0, 0, 0, 9], RAW),
        by_protocol(47, &[0x20, 0, 0x65, 0x58, 0, 0, 0, 9], ETHERNET),
        by_protocol(97, &[0x30, 0], ETHERNET),
        by_port(4789, &[8, 0, 0, 0, 0, 0, 9, 0], ETHERNET),
        by_port(6081, &[1, 0, 0x65, 0x58, 0, 0, 9, 0, 0, 0, 0, 0], ETHERNET),
        by_port(4341, &[0; 8], RAW),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn made_frames_read_the_same(recipe in recipes()) {
        compare(recipe.link, &recipe.frame());
    }

    #[test]
    fn what_a_tunnel_carries_reads_as_it_would_alone(recipe in recipes(), tunnel in tunnels()) {
        let (outer, link) = tunnel;
        let (padding, lies) = (recipe.padding, recipe.ip_lie != 0 || !recipe.changes.is_empty());
        let inner = Recipe { link, cut: None, ..recipe }.frame();
        let (frame, at) = outer.frame(&inner);
        let mut alone = Packet::default();
        let read_alone = decode(link, &inner, &mut alone);
        let mut packet = Packet::default();
        prop_assert_eq!(decode(ETHERNET, &frame, &mut packet), Ok(()));
        if packet.tunnels.is_empty() {
            // then there is nothing to read in it, or, by a port alone, its length says that it is no tunnel's: longer
            // than the datagram, or, with no frame around it, shorter
            let is_short = lies || (link == RAW && padding > 0);
            prop_assert!(read_alone.is_err() || (outer.port.is_some() && (alone.cut || is_short)));
        } else if packet.tunnels.names().count() == 1 {
            packet.payload_start -= at as u32;
            compare_read(Ok(()), packet, link, &inner);
        }
    }

    #[test]
    fn noise_reads_the_same(link in prop::sample::select(vec![ETHERNET, RAW, SLL, SLL2]), bytes: Vec<u8>) {
        compare(link, &bytes);
    }
}

#[test]
fn captured_frames_read_the_same_at_any_length() {
    for file in ["captures/first-view.pcapng", "captures/first-view-viewer.pcapng"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let mut reader = CaptureReader::open(&path, 1 << 20).unwrap();
        for (n, (_, link, bytes)) in support::frames(&mut reader).into_iter().enumerate() {
            compare(link.0, &bytes);
            compare(link.0, &bytes[..n % (bytes.len() + 1)]);
            compare(link.0, &bytes[..bytes.len().min(n % 90)]);
        }
    }
}
