//! Every tunnel, made by hand, and what only looks like one.

use proptest::prelude::*;

use super::super::testpackets::*;
use super::super::{Packet, Undecoded, decode};
use super::*;

/// A packet of that IP protocol in an Ethernet frame.
fn by_protocol(proto: u8, head: &[u8], body: &[u8]) -> Vec<u8> {
    ether(0x0800, &ip4(proto, &[head, body].concat()))
}

/// A datagram to that port in an Ethernet frame.
fn by_port(port: u16, head: &[u8], body: &[u8]) -> Vec<u8> {
    ether(0x0800, &ip4(17, &udp(50_000, port, &[head, body].concat())))
}

fn assert_through(frame: &[u8], tunnels: &[&'static str]) {
    assert_eq!(seen(1, frame), through(tunnels));
}

/// It stays the datagram that it is.
fn assert_plain(frame: &[u8], port: u16) {
    assert_eq!(seen(1, frame), Ok(((50_000, port), vec![], [0, 0])));
}

#[test]
fn names_are_those_of_the_tunnels() {
    assert_eq!(NAMES[Tunnel::Gre as usize - 1], "gre");
    assert_eq!(NAMES[Tunnel::Teredo as usize - 1], "teredo");
    assert_eq!(NAMES[Tunnel::Pppoe as usize - 1], "pppoe");
    assert_eq!(NAMES[Tunnel::SegmentRouting as usize - 1], "srv6");
    assert_eq!(NAMES[Tunnel::Batman as usize - 1], "batman-adv");
    assert_eq!(Tunnel::Batman as usize, NAMES.len());
}

#[test]
fn rows_are_told_outermost_first_and_have_an_end() {
    let mut row = Tunnels::default();
    for tunnel in [Tunnel::SegmentRouting, Tunnel::Gre, Tunnel::Mpls, Tunnel::Gre, Tunnel::Gre, Tunnel::Pbb] {
        assert_eq!(row.push(tunnel), Some(()));
    }
    assert_eq!(row.push(Tunnel::Gre), None);
    assert_eq!(row.names().collect::<Vec<_>>(), ["srv6", "gre", "mpls", "gre", "gre", "pbb"]);
}

#[test]
fn ip_in_ip() {
    assert_through(&by_protocol(4, &[], &inner4()), &["ipip"]);
    assert_through(&by_protocol(41, &[], &inner6()), &["6in4"]);
    assert_through(&by_protocol(41, &[], &ip6_from([0x20, 2, 1, 1], 17, &udp(40_000, 53, b""))), &["6to4"]);
    assert_through(&ether(0x86dd, &ip6(4, &inner4())), &["4in6"]);
    assert_through(&ether(0x86dd, &ip6(41, &inner6())), &["6in6"]);
    assert_through(&ether(0x86dd, &ip6(143, &inner_frame())), &["srv6"]);
    assert_through(&by_protocol(97, &[0x30, 0], &inner_frame()), &["etherip"]);
    assert_through(&by_protocol(137, &[0, 0, 0x11, 64], &inner4()), &["mpls"]);
}

#[test]
fn the_innermost_packet_has_the_frames_length_and_its_own_payload() {
    let frame = by_protocol(4, &[], &inner4());
    let packet = read(1, &frame).unwrap();
    assert_eq!((packet.len as usize, packet.payload(&frame)), (frame.len(), &b"question"[..]));
}

#[test]
fn an_authentication_header_hides_nothing() {
    let header = [17, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
    assert_through(&by_protocol(51, &header, &udp(40_000, 53, b"question")), &[]);
    let mut tunnelled = header;
    tunnelled[0] = 4;
    assert_through(&by_protocol(51, &tunnelled, &inner4()), &["ipip"]);
}

#[test]
fn gre_with_every_field() {
    assert_through(&by_protocol(47, &[0, 0, 8, 0], &inner4()), &["gre"]);
    let key_and_sequence = [0x30, 0, 8, 0, 0, 0, 0, 7, 0, 0, 0, 1];
    assert_through(&by_protocol(47, &key_and_sequence, &inner4()), &["gre"]);
    let routed = [0xc0, 0, 8, 0, 1, 2, 0, 0, 8, 0, 0, 4, 10, 0, 0, 1, 0, 0, 0, 0];
    assert_through(&by_protocol(47, &routed, &inner4()), &["gre"]);
    assert_through(&by_protocol(47, &[0x20, 0, 0x65, 0x58, 0, 0, 9, 1], &inner_frame()), &["gre"]);
    assert_through(&by_protocol(47, &[0, 0, 0x88, 0x47, 0, 0, 0x11, 64], &inner4()), &["gre", "mpls"]);
    assert_through(&by_protocol(47, &[0, 0, 0x88, 0x3e, 0, 0, 0, 0], &inner4()), &["gre"]);
    assert_through(&by_protocol(47, &[0, 0, 0x88, 0x3e], &inner4()), &["gre"]);
}

#[test]
fn pptp_and_its_acknowledgements() {
    let with_data = [0x30, 0x81, 0x88, 0x0b, 0, 40, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21];
    assert_through(&by_protocol(47, &with_data, &inner4()), &["pptp"]);
    let packet = read(1, &by_protocol(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1], &[])).unwrap();
    assert_eq!((packet.proto, packet.tunnels.is_empty()), (47, true));
}

#[test]
fn erspan_of_three_kinds() {
    assert_through(&by_protocol(47, &[0, 0, 0x88, 0xbe], &inner_frame()), &["gre", "erspan1"]);
    let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 100, 0x18, 1, 0, 0, 0, 2];
    assert_through(&by_protocol(47, &second, &inner_frame()), &["gre", "erspan2"]);
    let third = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 100, 0x18, 1, 0, 0, 0, 2, 0, 0, 0, 0];
    assert_through(&by_protocol(47, &third, &inner_frame()), &["gre", "erspan3"]);
    let mut with_platform = [&third[..], &[0; 8]].concat();
    with_platform[19] |= 1;
    assert_through(&by_protocol(47, &with_platform, &inner_frame()), &["gre", "erspan3"]);
    let mut of_ip = third;
    of_ip[18] = 2 << 2;
    assert_through(&by_protocol(47, &of_ip, &inner4()), &["gre", "erspan3"]);
}

#[test]
fn tags_within_stand_beside_those_without() {
    let mirrored = [&[2; 12][..], &[0x81, 0, 0, 30, 8, 0], &inner4()].concat();
    let carrier = by_protocol(47, &[0, 0, 0x88, 0xbe], &mirrored);
    let frame = [&carrier[..12], &[0x81, 0, 0, 9], &carrier[12..]].concat();
    assert_eq!(seen(1, &frame), Ok((PORTS, vec!["gre", "erspan1"], [9, 30])));
}

#[test]
fn overlays_over_udp() {
    for port in [4789, 8472] {
        assert_through(&by_port(port, &[8, 0, 0, 0, 0, 1, 0, 0], &inner_frame()), &["vxlan"]);
        assert_through(&by_port(port, &[0xff, 1, 2, 3, 0, 1, 0, 9], &inner_frame()), &["vxlan"]);
        assert_plain(&by_port(port, &[0, 0, 0, 0, 0, 1, 0, 0], &inner_frame()), port);
    }
    assert_through(&by_port(4790, &[0x0c, 0, 0, 1, 0, 0, 1, 0], &inner4()), &["vxlan-gpe"]);
    assert_through(&by_port(4790, &[0x0c, 0, 0, 3, 0, 0, 1, 0], &inner_frame()), &["vxlan-gpe"]);
    let nsh = [0x0c, 0, 0, 4, 0, 0, 1, 0, 0x0f, 0xc2, 1, 1, 0, 0, 1, 255];
    assert_through(&by_port(4790, &nsh, &inner4()), &["vxlan-gpe", "nsh"]);
    assert_through(&by_port(6081, &[1, 0, 0x65, 0x58, 0, 0, 1, 0, 1, 2, 3, 0], &inner_frame()), &["geneve"]);
    assert_through(&by_port(6081, &[0, 0, 0x86, 0xdd, 0, 0, 1, 0], &inner6()), &["geneve"]);
    assert_plain(&by_port(6081, &[0x40, 0, 0x86, 0xdd, 0, 0, 1, 0], &inner6()), 6081);
    assert_through(&by_port(4754, &[0x20, 0, 8, 0, 0, 0, 0, 1], &inner4()), &["gre"]);
    assert_plain(&by_port(4754, &[0x40, 0, 8, 0, 0, 0, 0, 1], &inner4()), 4754);
    assert_through(&by_port(6635, &[0, 0, 0x11, 64], &inner4()), &["mpls"]);
    assert_through(&by_port(4341, &[0x80, 0, 0, 0, 0, 0, 0, 0], &inner4()), &["lisp"]);
    assert_through(&by_port(4342, &[0x80, 0, 0, 0], &inner6()), &["lisp"]);
    assert_plain(&by_port(4342, &[0x10, 0, 0, 0], &inner6()), 4342);
}

#[test]
fn access_over_udp() {
    let length = |n: usize| ((inner4().len() + n) as u16).to_be_bytes();
    let [a, b] = length(0);
    assert_through(&by_port(2152, &[0x30, 255, a, b, 0, 0, 0, 1], &inner4()), &["gtp"]);
    let [a, b] = length(8);
    let extended = [0x34, 255, a, b, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 5, 0];
    assert_through(&by_port(2152, &extended, &inner4()), &["gtp"]);
    let [a, b] = (inner_frame().len() as u16).to_be_bytes();
    assert_through(&by_port(2152, &[0x30, 255, a, b, 0, 0, 0, 1], &inner_frame()), &["gtp"]);
    assert_plain(&by_port(2152, &[0x30, 255, 0xff, 0, 0, 0, 0, 1], &inner4()), 2152);
    assert_plain(&by_port(2152, &[0x30, 1, 0, 0, 0, 0, 0, 1], &inner4()), 2152);
    assert_through(&by_port(1701, &[0, 2, 0, 5, 0, 6, 0xff, 3, 0, 0x21], &inner4()), &["l2tp"]);
    let full = [0x4b, 2, 0, 70, 0, 5, 0, 6, 0, 1, 0, 2, 0, 2, 9, 9, 0x21];
    assert_through(&by_port(1701, &full, &inner4()), &["l2tp"]);
    assert_plain(&by_port(1701, &[0xc8, 2, 0, 12, 0, 5, 0, 0, 0, 1, 0, 1], &[]), 1701);
    let third = [0, 3, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4, 0, 0, 0, 0];
    assert_through(&by_port(1701, &third, &inner_frame()), &["l2tp"]);
    assert_through(&by_protocol(115, &[0, 0, 0, 9], &inner_frame()), &["l2tp"]);
    // behind a long cookie and the sublayer, an address that begins like an ethertype
    let vendor = [&[0x08, 0x00, 0x27, 1, 2, 3], &inner_frame()[6..]].concat();
    assert_through(&by_protocol(115, &[&[0, 0, 0, 9][..], &[7; 12]].concat(), &vendor), &["l2tp"]);
    let mirrored = [1, 0, 0, 1, 0, 10, 1, 50, 1];
    assert_through(&by_port(37_008, &mirrored, &inner_frame()), &["tzsp"]);
    assert_through(&by_port(5247, &[0, 0x10, 0x02, 0, 0, 0, 0, 0], &inner_frame()), &["capwap"]);
    let wireless = |control: [u8; 2]| [&control[..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner4()].concat();
    for control in [[0x08, 0x01], [0x01, 0x08], [0x02, 0x08]] {
        assert_through(&by_port(5247, &[0, 0x10, 0x03, 0, 0, 0, 0, 0], &wireless(control)), &["capwap"]);
    }
    assert_plain(&by_port(5247, &[1, 0x10, 0x02, 0, 0, 0, 0, 0], &inner_frame()), 5247);
}

#[test]
fn six_over_udp() {
    let teredo = || ip6_from([0x20, 1, 0, 0], 17, &udp(40_000, 53, b"question"));
    assert_through(&by_port(3544, &[], &teredo()), &["teredo"]);
    let indications = [0, 1, 2, 1, 7, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6];
    assert_through(&by_port(3544, &indications, &teredo()), &["teredo"]);
    assert_plain(&by_port(3544, &[], &inner6()), 3544);
    assert_through(&by_port(3544, &[], &[teredo(), vec![4, 4, 0, 0, 0, 1]].concat()), &["teredo"]);
    let long = teredo();
    assert_plain(&by_port(3544, &[], &long[..long.len() - 1]), 3544);
    let ayiya = |operation: u8| [&[0x41, 0x52, 0x10 | operation, 41, 0, 0, 0, 0][..], &[9; 16 + 20]].concat();
    assert_through(&by_port(5072, &ayiya(1), &inner6()), &["ayiya"]);
    assert_plain(&by_port(5072, &ayiya(2), &inner6()), 5072);
}

#[test]
fn a_port_alone_is_no_tunnel() {
    let question = b"\x0d\xad\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
    for port in [1701, 2152, 3386, 3544, 4341, 4342, 4754, 4789, 4790, 5072, 5247, 6081, 6635, 8472, 37_008] {
        assert_plain(&ether(0x0800, &ip4(17, &udp(50_000, port, question))), port);
        let answer = ether(0x0800, &ip4(17, &udp(port, 53, question)));
        assert_eq!(seen(1, &answer), Ok(((port, 53), vec![], [0, 0])));
    }
}

#[test]
fn an_inner_length_that_lies_refuses_a_tunnel_by_port_unless_the_capture_cut_it() {
    let mut frame = by_port(4789, &[8, 0, 0, 0, 0, 1, 0, 0], &inner_frame());
    let total = 14 + 20 + 8 + 8 + 14 + 3;
    frame[total] += 1;
    assert_plain(&frame, 4789);
    frame[total] -= 1;
    frame.truncate(frame.len() - 4);
    let packet = read(1, &frame).unwrap();
    assert!(packet.cut && !packet.tunnels.is_empty());
    assert_eq!((packet.payload_len, packet.payload_captured), (8, 4));
}

#[test]
fn a_packet_right_behind_a_short_header_must_fill_the_datagram() {
    let longer = [inner6(), vec![0]].concat();
    assert_plain(&by_port(4341, &[0; 8], &longer), 4341);
    assert_plain(&by_port(6635, &[0, 0, 0x11, 64], &longer), 6635);
    assert_plain(&by_port(6081, &[0, 0, 0x86, 0xdd, 0, 0, 1, 0], &longer), 6081);
    let mut unsized_packet = inner6();
    unsized_packet[5] = 0;
    assert_plain(&by_port(4341, &[0; 8], &unsized_packet), 4341);
}

#[test]
fn what_carries_no_packet_is_told_as_itself() {
    let arp = by_port(4789, &[8, 0, 0, 0, 0, 1, 0, 0], &ether(0x0806, &[0; 28]));
    assert_plain(&arp, 4789);
    let keep_alive = read(1, &by_protocol(47, &[0, 0, 0, 0], &[])).unwrap();
    assert_eq!((keep_alive.proto, keep_alive.tunnels.is_empty()), (47, true));
}

#[test]
fn depth_has_an_end() {
    let nested = |depth: usize| (0..depth).fold(inner4(), |packet, _| ip4(4, &packet));
    assert_through(&ether(0x0800, &nested(6)), &["ipip"; 6]);
    let deeper = read(1, &ether(0x0800, &nested(8))).unwrap();
    assert_eq!((deeper.proto, deeper.tunnels.names().count()), (4, 6));
}

#[test]
fn different_tunnels_nest() {
    let vxlan = [&[8, 0, 0, 0, 0, 1, 0, 0][..], &inner_frame()].concat();
    let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 100, 0x18, 1, 0, 0, 0, 2];
    let mirrored = ether(0x0800, &ip4(17, &udp(9, 4789, &vxlan)));
    assert_through(&by_protocol(47, &second, &mirrored), &["gre", "erspan2", "vxlan"]);
}

/// Every link type that is read.
fn links() -> Vec<u16> {
    (0..300).filter(|link| super::super::link_supported(*link)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_of_any_link_type_stays_within_the_frame(
        link in prop::sample::select(links()),
        head: [u8; 12],
        noise: Vec<u8>,
        inner in 0usize..4,
    ) {
        let inner = vec![vec![], inner_frame(), inner_snap(), inner4()].swap_remove(inner);
        let frame = [&head[..], &noise, &inner].concat();
        let mut packet = Packet::default();
        if decode(link, &frame, &mut packet).is_ok() {
            prop_assert_eq!(packet.payload(&frame).len(), packet.payload_captured as usize);
            prop_assert!(packet.payload_captured <= packet.payload_len);
            prop_assert_eq!(packet.options(&frame).len(), usize::from(packet.options_len));
        }
    }

    #[test]
    fn noise_behind_any_carrier_stays_within_the_frame(
        port in prop::sample::select(vec![
            1701u16, 2152, 3386, 3544, 4341, 4342, 4754, 4789, 4790, 5072, 5247, 6081, 6635, 8472, 37_008,
        ]),
        proto in prop::sample::select(vec![4u8, 17, 41, 47, 51, 94, 97, 115, 137, 143]),
        head: [u8; 8],
        noise: Vec<u8>,
        inner: bool,
    ) {
        let body = if inner { [&noise[..], &inner_frame()].concat() } else { noise };
        let body = [&head[..], &body].concat();
        let carried = if proto == 17 { udp(port, port, &body) } else { body };
        let frame = ether(0x0800, &ip4(proto, &carried));
        let mut packet = Packet::default();
        match decode(1, &frame, &mut packet) {
            Ok(()) => {
                prop_assert_eq!(packet.payload(&frame).len(), packet.payload_captured as usize);
                prop_assert!(packet.payload_captured <= packet.payload_len);
            }
            Err(reason) => prop_assert!(reason == Undecoded::BadIp || reason == Undecoded::CutIp, "{:?}", reason),
        }
    }
}
