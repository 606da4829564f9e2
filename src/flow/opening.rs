//! Who opened a flow, as its first packet tells: by a SYN, or else by the ports.

use super::flag;
use crate::decode::{Packet, proto, tcp_flag};

/// Who is who, by the first packet: its SYN if it has one, else by the ports.
pub(super) fn opening_flags(packet: &Packet, forward: bool) -> u16 {
    let mut flags = if forward { flag::FIRST_FORWARD } else { 0 };
    if packet.proto == proto::TCP && packet.tcp_flags & tcp_flag::SYN != 0 {
        if packet.tcp_flags & tcp_flag::ACK != 0 {
            flags |= flag::FLIPPED | flag::GUESSED;
        }
        return flags;
    }
    if packet.proto == proto::TCP {
        flags |= flag::MIDSTREAM | flag::GUESSED;
    }
    if is_from_service(packet) {
        flags |= flag::FLIPPED | flag::GUESSED;
    }
    flags
}

/// Whether a packet looks like an answer: from a port that serves to one that does not.
fn is_from_service(packet: &Packet) -> bool {
    match packet.proto {
        proto::TCP | proto::UDP | proto::SCTP => {
            let (from, to) = (service_rank(packet.src_port), service_rank(packet.dst_port));
            from > to
        }
        // an echo reply, whose request was not seen
        proto::ICMP => packet.src_port == 0 && packet.dst_port == 8,
        proto::ICMP6 => packet.src_port == 129,
        _ => false,
    }
}

/// How much a port looks like one that serves: well known, registered for a service that this tool meets, or not.
fn service_rank(port: u16) -> u8 {
    match port {
        80 | 443 | 53 | 123 | 3478 | 554 | 8887 => 4,
        22 | 25 | 110 | 143 | 445 | 465 | 587 | 853 | 993 | 995 | 8531 => 3,
        1080 | 1883 | 2001 | 3128 | 3389 | 5060 | 5061 | 5222 | 5349 | 5353 | 5355 | 8000 | 8080 | 8443 | 8883 => 2,
        1..=1023 => 1,
        _ => 0,
    }
}
