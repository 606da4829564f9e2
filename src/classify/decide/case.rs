//! One flow's case: every opinion on its name, gathered once.

use super::super::facts::{FlowFacts, SCTP, Seen, TCP, UDP, is_literal};
use super::super::host::HostMatch;
use super::super::names::Found;
use super::super::roles::Role;
use super::super::site::is_public;
use super::super::verdict::{Evidence, Tier, What};
use super::super::words::{Flag, Flags};
use super::{Knowledge, host_of};
use crate::event::Class;

/// What one piece of evidence says the server's name is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opinion<'a> {
    pub tier: Tier,
    pub confidence: f32,
    /// What the name says of this protocol and port.
    pub host: HostMatch,
    pub name: &'a str,
    pub what: What<'a>,
    pub frame: Option<u64>,
    pub id: Option<u32>,
}

impl Opinion<'_> {
    /// The class it speaks for; a name of no entry speaks for none.
    pub fn class(&self) -> Option<Class> {
        (self.host.class != Class::Unknown).then_some(self.host.class)
    }
}

pub(super) struct Case<'a, 'f> {
    pub facts: &'f FlowFacts<'a>,
    pub know: &'f Knowledge<'a>,
    /// The protocol that the client meant: QUIC stands in for TLS over TCP at the same port (RFC 9114 §3.1.1).
    proto: u8,
    /// The port that the client meant: a proxy's client means the one it asked the proxy for.
    pub port: u16,
    pub orig_role: Role,
    pub resp_role: Role,
    /// Names that the flow carries, strongest first.
    carried: [Option<Opinion<'a>>; 5],
    /// Names learnt elsewhere, strongest first.
    learnt: [Option<Opinion<'a>>; 2],
}

impl<'a, 'f> Case<'a, 'f> {
    pub fn new(facts: &'f FlowFacts<'a>, know: &'f Knowledge<'a>) -> Case<'a, 'f> {
        let mut case = Case {
            facts,
            know,
            proto: if facts.quic_sni.is_some() { TCP } else { facts.proto },
            port: facts.authority.map_or(facts.resp.1, |a| a.port),
            orig_role: know.roles.role(facts.orig.0),
            resp_role: know.roles.role(facts.resp.0),
            carried: [None; 5],
            learnt: [None; 2],
        };
        case.carried = case.carried_names();
        case.learnt = case.learnt_names();
        case
    }

    fn carried_names(&self) -> [Option<Opinion<'a>>; 5] {
        let (f, c) = (self.facts, &self.know.rules.confidence);
        let seen = |seen: Option<Seen<'a>>, confidence: f32, what: fn(&'a str) -> What<'a>| {
            let seen = seen.filter(|s| !is_literal(s.name))?;
            let host = host_of(seen, self.know.catalogue, self.know.names);
            let host = host.at(self.proto, self.port, self.know.catalogue);
            let (name, frame) = (seen.name, Some(seen.frame));
            Some(Opinion { tier: Tier::E1, confidence, host, name, what: what(name), frame, id: seen.id })
        };
        // Under ECH a name that is not the vendor's is only the provider's public name.
        let sni = seen(f.sni, c.carried, What::Sni).filter(|o| !f.ech || o.class().is_some());
        let mut asked = seen(f.authority.map(|a| a.host), c.carried, What::Sni);
        if let (Some(opinion), Some(authority)) = (asked.as_mut(), f.authority) {
            opinion.what = What::Authority(opinion.name, authority.port);
        }
        [
            sni,
            seen(f.quic_sni, c.carried, What::QuicSni).filter(|o| !f.ech || o.class().is_some()),
            asked,
            seen(f.http_host, c.carried, What::HttpHost),
            seen(f.cert_name, c.certificate, What::Certificate),
        ]
    }

    fn learnt_names(&self) -> [Option<Opinion<'a>>; 2] {
        let (f, know) = (self.facts, self.know);
        // A proxy's address says nothing of what lies behind it.
        if f.authority.is_some() || !matches!(f.proto, TCP | UDP | SCTP) {
            return [None; 2];
        }
        let (c, names, server) = (&know.rules.confidence, know.names, f.resp.0);
        let about = names.about(server);
        let told = names.told(f.orig.0, &about, f.start, f.end, know.rules).map(|found| {
            let name = names.name(found.name);
            let confidence = if found.shared { c.answer_shared } else { c.answer };
            self.learnt(Tier::E3, confidence, found, What::Answer { name, server, later: found.later })
        });
        let told = told.or_else(|| {
            let found = names.told_others(&about, f.start, know.rules)?;
            let name = names.name(found.name);
            Some(self.learnt(Tier::E4, c.other_answer, found, What::OtherAnswer { name, server }))
        });
        let own = self.carried.iter().flatten().next().and_then(|o| o.id);
        let unnumbered = own.is_none() && self.carried.iter().flatten().next().is_some();
        let near = (!unnumbered).then(|| names.neighbour(&about, f.start, own, know.rules)).flatten().map(|found| {
            let name = names.name(found.name);
            self.learnt(Tier::E5, c.neighbour, found, What::Neighbour { name, server })
        });
        [told, near]
    }

    fn learnt(&self, tier: Tier, confidence: f32, found: Found, what: What<'a>) -> Opinion<'a> {
        let names = self.know.names;
        let host = found.host.at(self.proto, self.port, self.know.catalogue);
        // A name heard elsewhere and a port that is not its own contradict each other.
        let odd = host.flags.has(Flag::UnusualPort);
        let confidence = if odd { confidence - self.know.rules.confidence.conflict } else { confidence };
        Opinion {
            tier,
            confidence,
            host,
            name: names.name(found.name),
            what,
            frame: Some(found.frame),
            id: Some(found.name),
        }
    }

    /// Every opinion, strongest first.
    pub fn opinions(&self) -> impl Iterator<Item = &Opinion<'a>> {
        self.carried.iter().chain(self.learnt.iter()).flatten()
    }

    /// The strongest name, listed or not.
    pub fn lead(&self) -> Option<&Opinion<'a>> {
        self.opinions().next()
    }

    /// The strongest name that the flow itself carries.
    pub fn carried(&self) -> Option<&Opinion<'a>> {
        self.carried.iter().flatten().next()
    }

    /// Whether the responder's name is one of the vendor's.
    pub fn vendor_server(&self) -> Option<&Opinion<'a>> {
        self.opinions().find(|o| o.host.entry(self.know.catalogue).is_some() && o.class() != Some(Class::Ntp))
    }

    /// Whether an end is a recorder; the user's word counts more than a score.
    pub fn recorder(&self) -> Role {
        match (self.orig_role, self.resp_role) {
            (Role::RecorderGiven, _) | (_, Role::RecorderGiven) => Role::RecorderGiven,
            (Role::Recorder, _) | (_, Role::Recorder) => Role::Recorder,
            _ => Role::None,
        }
    }

    /// Oddities of the flow whatever its class.
    pub fn flags(&self) -> Flags {
        let f = self.facts;
        Flags::NONE
            .with_if(f.ech, Flag::Ech)
            .with_if(f.quic_sni.is_some(), Flag::Quic)
            .with_if(self.mismatch(), Flag::SniIpMismatch)
            .union(self.lead().map_or(Flags::NONE, |o| o.host.flags))
    }

    /// Whether the flow carries a vendor's name to an address that cannot be the vendor's.
    fn mismatch(&self) -> bool {
        let f = self.facts;
        let proxy = self.know.roles.site.proxies.iter().any(|p| p.ip() == f.resp.0);
        if f.authority.is_some() || proxy {
            return false;
        }
        let Some(named) = self.carried().filter(|o| o.host.entry(self.know.catalogue).is_some()) else { return false };
        let about = self.know.names.about(f.resp.0);
        let client_told = |id| self.know.names.contradicts(f.orig.0, &about, id, f.start, self.know.rules);
        !is_public(f.resp.0) || named.id.is_some_and(client_told)
    }

    /// What the user's word on the recorder adds to a name.
    pub fn given_role(&self, class: Class) -> Option<Evidence<'a>> {
        let entry = self.lead().filter(|o| o.class() == Some(class))?.host.entry(self.know.catalogue)?;
        let from_recorder = self.orig_role == Role::RecorderGiven && entry.documents(self.proto, self.port);
        from_recorder.then_some(Evidence {
            tier: Tier::E6,
            what: What::Port { proto: self.facts.proto, port: self.port, role: "from the given recorder" },
            frame: Some(self.facts.first_frame),
            against: false,
        })
    }

    /// Whether both ends are inside the site.
    pub fn on_site(&self) -> bool {
        let site = &self.know.roles.site;
        site.inside(self.facts.orig.0) && site.inside(self.facts.resp.0)
    }
}
