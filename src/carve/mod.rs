//! Evidence cut out of a capture: the frames that a finding, or a choice of flows, rests on.
//!
//! What a finding rests on is more than its flows: the answers of DNS that named them, what ARP and ICMP said, how long
//! the capture ran. [`Picker`] chooses frames within a [`Reach`]; whoever carves judges what was chosen anew and widens
//! the reach until the finding is there again. [`strip`] takes the content out of frames and leaves what explains them.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod header;
pub mod payload;
pub mod strip;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::decode::{Addr, Packet, arp, decode, proto};
use crate::event::FindingRecord;
use crate::evidence::{Finder, Wanted};
use crate::source::Frame;

/// Ports of services by which hosts find names and addresses.
const NAME_PORTS: [u16; 4] = [53, 853, 5353, 5355];

/// How much of a capture is chosen around the flows that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The flows, and the names, errors and neighbours of their hosts.
    Flows,
    /// All that their hosts sent and received.
    Hosts,
    /// Everything.
    All,
}

impl Reach {
    /// From the least to the most.
    pub const ALL: [Reach; 3] = [Reach::Flows, Reach::Hosts, Reach::All];
}

/// A frame as a [`Picker`] looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    number: u64,
    /// Its packet, if it holds one.
    packet: Option<Packet>,
    /// It says who has an address.
    claim: bool,
}

/// The frames that a finding cites.
pub fn cited(finding: &FindingRecord) -> HashSet<u64> {
    finding.evidence.iter().filter_map(|line| line.frame).collect()
}

impl Look {
    /// The frame that has that number, counted from 1.
    pub fn at(frame: &Frame<'_>, number: u64) -> Look {
        let mut packet = Packet { ts: frame.ts, frame: number, len: frame.len, frames: 1, ..Packet::default() };
        let packet = decode(frame.link.0, frame.bytes, &mut packet).is_ok().then_some(packet);
        let claim = packet.is_none() && arp::claim(frame.link.0, frame.bytes).is_some();
        Look { number, packet, claim }
    }

    /// Its packet, if it holds one.
    pub const fn packet(&self) -> Option<Packet> {
        self.packet
    }
}

/// Chooses frames.
#[derive(Debug)]
pub struct Picker {
    finder: Finder,
    hosts: HashSet<Addr>,
    cited: HashSet<u64>,
    reach: Reach,
    last: u64,
}

impl Picker {
    /// For these flows of a capture of so many frames, and whatever flow the frames that are `cited` belong to.
    pub fn new(flows: Vec<Wanted>, cited: HashSet<u64>, frames: u64, reach: Reach) -> Picker {
        // of a flow to the internet, the end there is no host whose other traffic matters
        let near = |addr: Addr| is_near(addr.mapped_ip());
        let ends = |flow: &Wanted| {
            let [(orig, _), (resp, _)] = flow.ends;
            [Some(orig), Some(resp).filter(|resp| near(*resp) || !near(orig))]
        };
        let hosts = flows.iter().flat_map(ends).flatten().collect();
        Picker { finder: Finder::new(flows), hosts, cited, reach, last: frames }
    }

    /// Whether a frame is chosen. The first and the last always are: they say how long the capture ran.
    pub fn takes(&self, look: &Look) -> bool {
        let named = look.number == 1 || look.number == self.last || self.cited.contains(&look.number);
        self.reach == Reach::All || named || look.claim || look.packet.is_some_and(|packet| self.takes_packet(&packet))
    }

    fn takes_packet(&self, packet: &Packet) -> bool {
        let host = self.hosts.contains(&packet.src) || self.hosts.contains(&packet.dst);
        let names = matches!(packet.proto, proto::TCP | proto::UDP) && NAME_PORTS.iter().any(|p| packet.has_port(*p));
        let error = matches!(packet.proto, proto::ICMP | proto::ICMP6);
        let own = self.finder.find(packet).is_some();
        own || host && (self.reach == Reach::Hosts || names || error || packet.fragment.is_some())
    }
}

/// Whether an address is one of a site's own: private, link-local, or shared with a provider.
fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || a == 100 && b & 0xc0 == 64
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// What is said of frames in a capture that is carved for a finding: Wireshark shows it beside the packet.
pub fn comments(finding: &FindingRecord, first_frame: Option<u64>) -> HashMap<u64, Vec<String>> {
    let mut comments: HashMap<u64, Vec<String>> = HashMap::new();
    let mut say = |frame: u64, text: String| comments.entry(frame).or_default().push(text);
    if let Some(first) = first_frame {
        say(
            first,
            format!("{}: begin of the leading flow. {} (frame {first} of the original)", finding.rule, finding.title),
        );
    }
    for line in &finding.evidence {
        if let Some(frame) = line.frame {
            say(frame, format!("{}: {} (frame {frame} of the original)", finding.rule, line.text));
        }
    }
    comments
}

/// Whether two findings, of a capture and of what was carved out of it, are one.
pub fn is_same(a: &FindingRecord, b: &FindingRecord) -> bool {
    let what = |f: &FindingRecord| (f.rule, f.kind, f.mode, f.host.clone(), f.is_claim());
    let whose = |f: &FindingRecord| (f.community_id, f.flow_start);
    what(a) == what(b) && whose(a) == whose(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near() {
        for (ip, near) in [
            ("192.168.1.9", true),
            ("100.64.0.1", true),
            ("203.0.113.9", false),
            ("fd00::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_near(ip.parse().unwrap()), near, "{ip}");
        }
    }
}
