//! The packets that the other tests are made of are right themselves: a library reads them back.

mod support;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use support::{ACK, PSH, pcap, tcp, udp};

#[test]
fn tcp_over_ipv4_reads_back() {
    let frame = tcp(40_000, 443).seq(7).ack(9).flags(PSH | ACK).options(&[2, 4, 5, 0xb4]).payload("hello");
    let frame = frame.ipv4("192.168.1.50", "198.51.100.10").vlan(20).vlan(10).frame();
    let packet = SlicedPacket::from_ethernet(&frame).unwrap();
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("not IPv4") };
    assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
    let Some(TransportSlice::Tcp(segment)) = &packet.transport else { panic!("not TCP") };
    assert_eq!((segment.source_port(), segment.destination_port()), (40_000, 443));
    assert_eq!((segment.sequence_number(), segment.acknowledgment_number()), (7, 9));
    assert_eq!((segment.psh(), segment.ack(), segment.syn()), (true, true, false));
    assert_eq!(
        segment.checksum(),
        segment.calc_checksum_ipv4(ip.header().source(), ip.header().destination()).unwrap()
    );
    assert_eq!(segment.payload(), b"hello");
    let tags: Vec<_> = packet.vlan_ids().iter().map(|id| id.value()).collect();
    assert_eq!(tags, [10, 20]);
}

#[test]
fn udp_over_ipv6_reads_back() {
    let frame = udp(5353, 53).payload("odd").ipv6("fd00::1", "2001:db8::53").frame();
    let packet = SlicedPacket::from_ethernet(&frame).unwrap();
    let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Udp(datagram))) = (&packet.net, &packet.transport) else {
        panic!("not UDP over IPv6")
    };
    let header = datagram.to_header();
    let (from, to) = (ip.header().source(), ip.header().destination());
    assert_eq!(header.checksum, header.calc_checksum_ipv6_raw(from, to, b"odd").unwrap());
    assert_eq!(datagram.payload(), b"odd");
}

#[test]
fn a_capture_file_is_laid_out_as_its_readers_expect() {
    let file = pcap(1, [(1_500_000_000_000_000_042, b"abc".as_slice())]);
    assert_eq!(file.len(), 24 + 16 + 3);
    assert_eq!(file[24..40], [1_500_000_000_u32, 42, 3, 3].map(u32::to_le_bytes).concat());
}
