//! A flow in outline: all that any rule asks of a flow of whose ends and name nothing is known.
//!
//! Most flows of most captures are of this kind, and there are few outlines: what one flow is, all with its outline
//! are (a property test holds the rules to it). So a summary asks the rules once an outline, not once a flow.

use std::net::IpAddr;

use super::super::catalogue::Catalogue;
use super::super::facts::{FlowFacts, Seen, StunFacts, is_literal};
use super::super::host::HostMatch;
use super::super::names::{NameIndex, UNLISTED, digest};
use super::super::roles::Roles;
use super::super::sieve::Sieve;
use super::Knowledge;
use super::local::CONTERA_VIDEO;
use super::unknown::LOOKS_LIKE_VIDEO;

/// What a flow showed, a bit each.
#[allow(missing_docs)]
pub mod mark {
    pub const MIDSTREAM: u32 = 1 << 0;
    pub const ONE_SIDED: u32 = 1 << 1;
    pub const CUT: u32 = 1 << 2;
    /// It carries a name, and the catalogue has nothing to say of it.
    pub const NAMED: u32 = 1 << 3;
    pub const ECH: u32 = 1 << 4;
    pub const DNS: u32 = 1 << 5;
    pub const NTP: u32 = 1 << 6;
    pub const STUN: u32 = 1 << 7;
    pub const TURN: u32 = 1 << 8;
    pub const ICE: u32 = 1 << 9;
    /// Both ends sent STUN requests.
    pub const BOTH_ASK: u32 = 1 << 10;
    /// A STUN request had success.
    pub const SUCCESS: u32 = 1 << 11;
    pub const DTLS: u32 = 1 << 12;
    pub const SCTP: u32 = 1 << 13;
    pub const RTP: u32 = 1 << 14;
    /// As many datagrams of media as the rules want.
    pub const MEDIA: u32 = 1 << 15;
    pub const RTSP: u32 = 1 << 16;
    /// The originator sent video for as long as the rules want.
    pub const VIDEO: u32 = 1 << 17;
    /// DNS told somebody a name for the responder.
    pub const TOLD: u32 = 1 << 18;
    pub const ORIG_INSIDE: u32 = 1 << 19;
    pub const RESP_INSIDE: u32 = 1 << 20;
    pub const ORIG_PUBLIC: u32 = 1 << 21;
    pub const RESP_PUBLIC: u32 = 1 << 22;
    /// It carries a name that says nothing: under ECH it is the provider's.
    pub const HIDDEN: u32 = 1 << 23;
    /// Its ClientHello offers to speak DNS.
    pub const DNS_OFFERED: u32 = 1 << 24;
    /// The responder is a public resolver.
    pub const RESOLVER: u32 = 1 << 25;
}

/// `bit` if `yes`.
#[inline(always)]
pub const fn when(yes: bool, bit: u32) -> u32 {
    if yes { bit } else { 0 }
}

/// The mark of the name of a ClientHello, if it has one; `ech`: it has another inside, encrypted.
pub const fn of_names(named: bool, ech: bool) -> u32 {
    when(named, if ech { mark::HIDDEN } else { mark::NAMED })
}

/// The marks of what was seen of STUN.
pub fn of_stun(stun: &StunFacts) -> u32 {
    mark::STUN
        | when(stun.turn || stun.channel_data > 0, mark::TURN)
        | when(stun.ice, mark::ICE)
        | when(stun.requests.iter().all(|n| *n > 0), mark::BOTH_ASK)
        | when(stun.success > 0, mark::SUCCESS)
}

/// A flow's ends and marks, [`mark::TOLD`] and those of its ends not among them yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// The IP protocol number.
    pub proto: u8,
    /// The originator.
    pub orig: IpAddr,
    /// The responder.
    pub resp: (IpAddr, u16),
    /// What it showed.
    pub marks: u32,
}

impl Sketch {
    /// The sketch of a flow; `None` if it shows what an outline has no room for.
    pub fn of(facts: &FlowFacts<'_>, know: &Knowledge<'_>) -> Option<Sketch> {
        let f = facts;
        if f.authority.is_some() || f.message_http.is_some() {
            return None;
        }
        let names = [f.sni, f.quic_sni, f.http_host, f.cert_name];
        if names.iter().flatten().any(|seen| !is_plain(seen, know)) {
            return None;
        }
        let mut marks = when(f.midstream, mark::MIDSTREAM)
            | when(f.one_sided, mark::ONE_SIDED)
            | when(f.cut, mark::CUT)
            | of_names([f.sni, f.quic_sni].iter().any(Option::is_some), f.ech)
            | when(f.http_host.is_some() || f.cert_name.is_some(), mark::NAMED)
            | when(f.ech, mark::ECH)
            | when(f.dns_offered.is_some(), mark::DNS_OFFERED)
            | when(f.dns.is_some(), mark::DNS)
            | when(f.ntp.is_some(), mark::NTP)
            | when(f.dtls.is_some(), mark::DTLS)
            | when(f.sctp.is_some(), mark::SCTP)
            | when(f.rtp > 0, mark::RTP)
            | when(f.media_datagrams as f32 >= know.rules.p2p.media_datagrams, mark::MEDIA)
            | when(f.rtsp.is_some(), mark::RTSP)
            | when(f.rates.video_windows.iter().any(|w| *w >= LOOKS_LIKE_VIDEO), mark::VIDEO);
        if let Some(stun) = &f.stun {
            marks |= of_stun(stun);
        }
        Some(Sketch { proto: f.proto, orig: f.orig.0, resp: f.resp, marks })
    }

    /// The outline; `None` if anything is known of an end. A flow that looks like video has none either.
    #[inline]
    pub fn outline(&self, know: &Knowledge<'_>) -> Option<Outline> {
        let (orig, (resp, port)) = (self.orig, self.resp);
        let near = know.known.may_have(resp);
        if self.marks & mark::VIDEO != 0 || is_known(orig, know) || near && is_met(resp, know) {
            return None;
        }
        let resolver = near && is_resolver(resp, know);
        let ((orig_inside, orig_public), (resp_inside, resp_public)) =
            (know.roles.site.place(orig), know.roles.site.place(resp));
        let marks = self.marks
            | when(self.marks & mark::NAMED == 0 && know.names.is_named(resp), mark::TOLD)
            | when(orig_inside, mark::ORIG_INSIDE)
            | when(resp_inside, mark::RESP_INSIDE)
            | when(orig_public, mark::ORIG_PUBLIC)
            | when(resp_public, mark::RESP_PUBLIC)
            | when(resolver, mark::RESOLVER);
        let port = if is_any_port(port, know) { ANY_PORT } else { port };
        Some(Outline(u64::from(marks) << 24 | u64::from(self.proto) << 16 | u64::from(port)))
    }
}

/// Stands for every port of which no rule asks.
const ANY_PORT: u16 = 1024;

/// Whether no rule asks for that very port of a responder.
fn is_any_port(port: u16, know: &Knowledge<'_>) -> bool {
    let site = &know.roles.site;
    port >= ANY_PORT
        && !matches!(port, 2001 | 5353 | 5355 | 8531 | 8554 | CONTERA_VIDEO)
        && !site.direct_ports.contains(&port)
        && site.lsf_redirect_port != Some(port)
}

/// Whether the catalogue has nothing to say of a name, and it is no address.
fn is_plain(seen: &Seen<'_>, know: &Knowledge<'_>) -> bool {
    let unlisted = match seen.id {
        Some(UNLISTED) => true,
        Some(id) => know.names.host(id) == Some(HostMatch::NONE),
        None => know.catalogue.look_up(seen.name) == HostMatch::NONE,
    };
    unlisted && !is_literal(seen.name)
}

/// Every address of which anything is known, or nearly.
#[derive(Clone, Debug, Default)]
pub struct KnownEnds(Sieve);

impl KnownEnds {
    /// All ends that are known.
    pub fn of(catalogue: &Catalogue, names: &NameIndex, roles: &Roles) -> KnownEnds {
        let mut known = KnownEnds::default();
        known.renew(catalogue, names, roles);
        known
    }

    /// The same, in the memory that this holds.
    pub fn renew(&mut self, catalogue: &Catalogue, names: &NameIndex, roles: &Roles) {
        let digests = || {
            let resolvers = catalogue.resolver_addresses.iter().map(|ip| digest(*ip));
            roles.known().chain(names.known()).chain(resolvers)
        };
        self.0.renew(digests().count(), digests());
    }

    /// Whether an address may be among them.
    #[inline(always)]
    pub(super) fn may_have(&self, ip: IpAddr) -> bool {
        self.0.may_have(digest(ip))
    }
}

/// Whether anything is known of an address.
#[inline]
pub(super) fn is_known(ip: IpAddr, know: &Knowledge<'_>) -> bool {
    know.known.may_have(ip) && (is_met(ip, know) || is_resolver(ip, know))
}

/// Whether an address is a public resolver's.
fn is_resolver(ip: IpAddr, know: &Knowledge<'_>) -> bool {
    know.catalogue.resolver_addresses.contains(&ip.to_canonical())
}

/// Whether anything is known of an address beyond its being a public resolver's.
fn is_met(ip: IpAddr, know: &Knowledge<'_>) -> bool {
    let roles = know.roles;
    know.names.knows(ip)
        || roles.knows(ip)
        || roles.is_wan(ip)
        || roles.site.proxies.iter().any(|proxy| proxy.ip() == ip)
}

/// All that any rule asks of a flow of whose ends and name nothing is known: flows with one outline have one class,
/// subclass and confidence, and no region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outline(u64);
