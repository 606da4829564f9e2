//! Flows that came through tunnels, by the whole program: in what they were carried, how many frames they had, and
//! fragments on either side of a tunnel.

mod support;

use serde_json::Value;
use support::{dns, ethernet, flows, fragments, udp};

const CLIENT: &str = "192.168.1.50";
const SERVER: &str = "198.51.100.10";
const ENDS: (&str, &str) = ("203.0.113.1", "203.0.113.2");

/// The one flow of a capture of these Ethernet frames, a millisecond apart.
fn only(frames: &[Vec<u8>]) -> Value {
    support::only(frames, 1_000_000)
}

/// A question as an IP packet, long enough to be parted.
fn question() -> Vec<u8> {
    udp(40_000, 53).payload(dns(7, &format!("{}.example", "a".repeat(60)), None)).ipv4(CLIENT, SERVER).ip().to_vec()
}

/// An IP packet as VXLAN carries it, as an IP packet.
fn vxlan(ip: &[u8]) -> Vec<u8> {
    let payload = [&[8, 0, 0, 0, 0, 0, 9, 0][..], &ethernet(ip)].concat();
    udp(50_000, 4789).payload(payload).ipv4(ENDS.0, ENDS.1).ip().to_vec()
}

/// An IP packet as GRE carries it, as an IP packet.
fn gre(ip: &[u8]) -> Vec<u8> {
    let mut carrier = udp(0, 0).payload(ip).ipv4(ENDS.0, ENDS.1).ip().to_vec();
    carrier[9] = 47;
    carrier.splice(20..28, [0, 0, 8, 0]);
    let total = carrier.len() as u16;
    carrier[2..4].copy_from_slice(&total.to_be_bytes());
    carrier
}

fn framed(packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    packets.into_iter().map(|ip| ethernet(&ip)).collect()
}

#[test]
fn a_flow_says_what_it_came_through() {
    let plain = only(&framed([question()]));
    assert_eq!(plain.get("tunnel"), None);
    let frames = framed([gre(&vxlan(&question()))]);
    let flow = only(&frames);
    assert_eq!(flow["tunnel"], serde_json::json!(["gre", "vxlan"]));
    assert_eq!(flow["flow"]["bytes_toserver"], frames[0].len());
    for same in ["community_id", "dns", "src_ip", "dest_port"] {
        assert_eq!(flow[same], plain[same]);
    }
}

#[test]
fn many_rows_of_tunnels_stand_side_by_side() {
    let packet = |n: u8| {
        let ip = udp(40_000 + u16::from(n), 53).payload([n]).ipv4(CLIENT, SERVER).ip().to_vec();
        (0..n % 4).fold(ip, |ip, _| if n & 1 == 0 { gre(&ip) } else { vxlan(&ip) })
    };
    let frames = framed((0..40).map(packet));
    let flows = flows((0..).step_by(1_000_000).zip(frames.iter().map(Vec::as_slice)));
    assert_eq!(flows.len(), 40);
    for (flow, n) in flows.iter().zip(0..) {
        let name = if n & 1 == 0 { "gre" } else { "vxlan" };
        let row: Vec<&str> = (0..n % 4).map(|_| name).collect();
        assert_eq!(flow.get("tunnel").cloned().unwrap_or_else(|| serde_json::json!([])), serde_json::json!(row));
    }
}

#[test]
fn a_tunnels_packet_in_fragments() {
    for carrier in [gre(&question()), vxlan(&question())] {
        let parts = fragments(&carrier, 9, 64);
        let flow = only(&framed(parts.clone()));
        assert_eq!(flow["dest_port"], 53);
        assert_eq!(flow["flow"]["pkts_toserver"], parts.len());
        assert_eq!(flow["dns"].as_array().map(Vec::len), Some(1));
        assert_eq!(flow["tunnel"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn fragments_in_a_tunnel_and_that_in_fragments() {
    let parts: Vec<_> = fragments(&question(), 5, 48).iter().map(|part| gre(part)).collect();
    let flow = only(&framed(parts.clone()));
    assert_eq!((flow["flow"]["pkts_toserver"].as_u64(), &flow["dest_port"]), (Some(parts.len() as u64), &53.into()));
    assert_eq!(flow["dns"].as_array().map(Vec::len), Some(1));
    let twice: Vec<_> = parts.iter().zip(20..).flat_map(|(part, id)| fragments(part, id, 24)).collect();
    assert!(twice.len() > 2 * parts.len());
    let flow = only(&framed(twice.clone()));
    assert_eq!(flow["flow"]["pkts_toserver"], twice.len());
    assert_eq!((&flow["tunnel"], flow["dns"].as_array().map(Vec::len)), (&serde_json::json!(["gre"]), Some(1)));
}

#[test]
fn what_never_becomes_whole_is_still_counted() {
    let parts = fragments(&vxlan(&question()), 9, 64);
    let flow = only(&framed(parts[..1].to_vec()));
    assert_eq!((&flow["dest_port"], &flow["flow"]["pkts_toserver"]), (&53.into(), &1.into()));
    let missing_first = only(&framed(parts[1..].to_vec()));
    assert_eq!(missing_first["flow"]["pkts_toserver"], parts.len() - 1);
}

#[test]
fn a_question_from_a_tunnels_port_stays_a_question() {
    for port in [1701, 2152, 3544, 4789, 5072, 6081, 8472] {
        let asked = udp(port, 53).payload(dns(0x0dad, "example.com", None)).ipv4(CLIENT, SERVER).ip().to_vec();
        let answer = udp(53, port).payload(dns(0x0dad, "example.com", Some([192, 0, 2, 9])));
        let flow = only(&framed([asked, answer.ipv4(SERVER, CLIENT).ip().to_vec()]));
        assert_eq!((flow.get("tunnel"), &flow["dns"][0]["answers"][0]), (None, &"192.0.2.9".into()));
    }
}
