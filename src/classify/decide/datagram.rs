//! Rules on protocols that prove themselves: DNS, STUN and peer-to-peer media, NTP.

use super::super::facts::{StunFacts, TCP, UDP};
use super::super::roles::Role;
use super::super::verdict::{Tier, What};
use super::super::words::{Flag, Flags, Sub, Subs};
use super::Claim;
use super::case::Case;
use crate::event::Class;

/// DNS by its grammar.
pub(super) fn dns<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let (f, frame) = (case.facts, case.facts.dns?);
    let what = What::Proof("DNS message");
    let mut claim = Claim::new(Class::Dns, Tier::E2, case.know.rules.confidence.proof, what, Some(frame));
    claim.subs = match (f.proto, case.port) {
        (TCP, 53) => Subs::of(Sub::Tcp53),
        (UDP, 53) => Subs::of(Sub::Udp53),
        (UDP, 5353) => Subs::of(Sub::Mdns),
        (UDP, 5355) => Subs::of(Sub::Llmnr),
        (UDP, 137) => Subs::of(Sub::NetbiosNs),
        _ => Subs::NONE,
    };
    claim.flags = Flags::NONE.with_if(!matches!(case.port, 53 | 137 | 5353 | 5355), Flag::UnusualPort);
    Some(claim)
}

/// DNS in TLS or in QUIC, by what the client offers to speak or by the port that is kept for it.
pub(super) fn dns_offered<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let (f, frame) = (case.facts, case.facts.dns_offered?);
    let (sub, what) = if f.proto == UDP {
        (Sub::Doq, "ClientHello for DNS over QUIC")
    } else {
        (Sub::Dot, "ClientHello for DNS over TLS")
    };
    let mut claim = Claim::new(Class::Dns, Tier::E2, case.know.rules.confidence.proof, What::Proof(what), Some(frame));
    claim.subs = Subs::of(sub);
    claim.flags = Flags::NONE.with(Flag::EncryptedDns).with_if(case.port != 853, Flag::UnusualPort);
    Some(claim)
}

/// NTP by its grammar.
pub(super) fn ntp<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let frame = case.facts.ntp?;
    let what = What::Proof("NTP packet");
    let mut claim = Claim::new(Class::Ntp, Tier::E2, case.know.rules.confidence.proof, what, Some(frame));
    let pool = case.opinions().any(|o| o.host.subs.has(Sub::VendorPool));
    claim.subs = Subs::of(if pool { Sub::VendorPool } else { Sub::Other });
    claim.flags = Flags::NONE.with_if(case.port != 123, Flag::UnusualPort);
    Some(claim)
}

/// STUN: a question to a server, TURN, or a peer-to-peer session.
pub(super) fn stun<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let s = case.facts.stun?;
    if s.turn || s.channel_data > 0 {
        return Some(turn(case, s));
    }
    let peers = s.ice || s.requests.iter().all(|n| *n > 0) || (s.success > 0 && has_media(case));
    if peers { Some(peer(case, s)) } else { Some(binding(case, s)) }
}

/// Media through a TURN server is no peer-to-peer: the vendor's is a relay, any other a STUN server.
fn turn<'a>(case: &Case<'a, '_>, s: StunFacts) -> Claim<'a> {
    let vendor = case.vendor_server().is_some();
    let class = if vendor { Class::Relay } else { Class::Stun };
    let what = What::Proof("TURN messages");
    let mut claim = Claim::new(class, Tier::E2, case.know.rules.confidence.proof, what, Some(s.frame));
    claim.subs = Subs::of(Sub::Turn).with_if(!vendor, Sub::Other);
    claim
}

fn binding<'a>(case: &Case<'a, '_>, s: StunFacts) -> Claim<'a> {
    let what = What::Proof("STUN message that keeps to its grammar");
    let mut claim = Claim::new(Class::Stun, Tier::E2, case.know.rules.confidence.proof, what, Some(s.frame));
    claim.subs = Subs::of(if case.vendor_server().is_some() { Sub::Vendor } else { Sub::Other });
    claim
}

/// Two peers checking their path, with media or in vain. Other programs do the same: without a recorder or a host
/// that knows the vendor's cloud, the class keeps its name and loses confidence.
fn peer<'a>(case: &Case<'a, '_>, s: StunFacts) -> Claim<'a> {
    let (f, know) = (case.facts, case.know);
    let related =
        case.recorder().is_recorder() || know.roles.knows_vendor(f.orig.0) || know.roles.knows_vendor(f.resp.0);
    let rules = know.rules;
    let confidence = if related { rules.confidence.proof } else { rules.p2p.unrelated };
    let media = s.success > 0 && has_media(case) && f.media_datagrams as f32 >= rules.p2p.media_datagrams;
    let text = match (media, s.ice) {
        (true, _) => "STUN exchange between the two ends, then media",
        (false, true) => "ICE checks between the two ends, no media",
        (false, false) => "STUN requests both ways, no media",
    };
    let mut claim = Claim::new(Class::P2p, Tier::E2, confidence, What::Proof(text), Some(s.frame));
    claim.subs = if media { path(case).union(shape(case)) } else { path(case).with(Sub::Attempt) };
    claim
}

/// Media of a known recorder whose STUN exchange was not captured. RTP within the site is a camera's.
pub(super) fn media<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let (f, rules) = (case.facts, &case.know.rules.p2p);
    let high_ports = f.orig.1 >= 1024 && f.resp.1 >= 1024;
    let recorder = case.recorder();
    if f.proto != UDP || !high_ports || !recorder.is_recorder() || !has_media(case) {
        return None;
    }
    if (f.media_datagrams as f32) < rules.media_datagrams {
        return None;
    }
    let frame = f.dtls.or(f.sctp).unwrap_or(f.first_frame);
    let only_rtp = f.dtls.is_none() && f.sctp.is_none();
    let mut claim = if only_rtp && case.on_site() {
        let what = What::Proof("RTP between the recorder and a local host");
        let mut claim = Claim::new(Class::Camera, Tier::E2, rules.midstream, what, Some(frame));
        claim.subs = Subs::of(Sub::Rtp);
        claim
    } else {
        let what = What::Proof("media on UDP with a recorder; the STUN exchange was not captured");
        let mut claim = Claim::new(Class::P2p, Tier::E2, rules.midstream, what, Some(frame));
        claim.subs = path(case).union(shape(case));
        claim
    };
    claim.flags = Flags::NONE.with_if(recorder == Role::Recorder, Flag::RoleInferred);
    Some(claim)
}

fn has_media(case: &Case<'_, '_>) -> bool {
    let f = case.facts;
    f.dtls.is_some() || f.sctp.is_some() || f.rtp > 0
}

fn path(case: &Case<'_, '_>) -> Subs {
    Subs::of(if case.on_site() { Sub::Lan } else { Sub::Wan })
}

fn shape(case: &Case<'_, '_>) -> Subs {
    let f = case.facts;
    Subs::NONE
        .with_if(f.dtls.is_some(), Sub::Webrtc)
        .with_if(f.sctp.is_some(), Sub::SctpUdp)
        .with_if(f.rtp > 0 && f.dtls.is_none() && f.sctp.is_none(), Sub::Rtp)
}

/// Nothing but a well-known port, or a public resolver's address, is left to go by.
pub(super) fn by_port<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let (f, c) = (case.facts, &case.know.rules.confidence);
    if case.lead().is_some() || f.authority.is_some() {
        return None;
    }
    let resolver = case.know.catalogue.resolver_addresses.contains(&f.resp.0.to_canonical());
    let (class, sub, role) = match (f.proto, f.resp.1) {
        (UDP, 53) => (Class::Dns, Sub::Udp53, "is DNS's"),
        (TCP, 53) => (Class::Dns, Sub::Tcp53, "is DNS's"),
        (TCP, 853) => (Class::Dns, Sub::Dot, "is DNS over TLS's"),
        (UDP, 853) => (Class::Dns, Sub::Doq, "is DNS over QUIC's"),
        (TCP | UDP, 443) if resolver => (Class::Dns, Sub::Doh, "of a public resolver"),
        (UDP, 123) => (Class::Ntp, Sub::Other, "is NTP's"),
        _ => return None,
    };
    let what = What::Port { proto: f.proto, port: f.resp.1, role };
    let mut claim = Claim::new(class, Tier::E6, c.role, what, Some(f.first_frame));
    claim.subs = Subs::of(sub);
    claim.flags = Flags::NONE.with_if(matches!(sub, Sub::Dot | Sub::Doq | Sub::Doh), Flag::EncryptedDns);
    Some(claim)
}
