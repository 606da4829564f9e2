//! What one client has connected to, put in order once: each of very many attempts is held against it without a walk
//! through all flows of the client.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::is_reached;
use crate::diagnose::scene::Scene;
use crate::diagnose::spans::Spans;
use crate::engine::case::Case;
use crate::time::Timestamp;

/// Whether it is a connection that was made.
pub(super) const fn is_made(case: &Case) -> bool {
    case.is_tcp() && case.established
}

/// How answers from out there have come.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Their times to live.
    pub hops: BTreeSet<u8>,
    /// The shortest round trip, in seconds; infinite if none is known.
    pub usual: f64,
}

impl Way {
    fn add(&mut self, case: &Case) {
        self.hops.insert(case.ttl[1]);
        let trip = case.tcp.as_ref().and_then(|tcp| tcp.rtt_min);
        self.usual = self.usual.min(trip.unwrap_or(f64::INFINITY));
    }
}

impl Default for Way {
    fn default() -> Self {
        Way { hops: BTreeSet::new(), usual: f64::INFINITY }
    }
}

/// What a client has connected to.
#[derive(Clone, Debug, Default)]
pub(super) struct Past<'a> {
    /// When somebody out there answered.
    pub came: Spans,
    /// When somebody out there was called in vain who is reached at that very address before or after.
    pub dead: Spans,
    /// The newest connection that was made to each name and port.
    made: HashMap<(&'a str, u16), Timestamp>,
    /// The first connection to each of the vendor's services, and the first one on another port than that.
    hosts: HashMap<&'a str, [Option<&'a Case>; 2]>,
    /// The first connection to any of the vendor's services on each port.
    ports: HashMap<u16, &'a Case>,
    ways: HashMap<IpAddr, Way>,
    any_way: Way,
}

impl<'a> Past<'a> {
    pub fn of(scene: &Scene<'a>, client: IpAddr) -> Self {
        let own = || scene.of_client(client);
        let out = || own().filter(|case| case.is_tcp() && !case.inside[1]);
        let span = |case: &Case| (case.first(), case.last);
        let answered = |case: &&Case| !case.inside[1] && case.pkts[1] > 0 && case.established;
        let alive: HashSet<(IpAddr, u16)> = out().filter(|case| is_made(case)).map(|case| case.resp).collect();
        let silent = |case: &&Case| case.is_vain() && case.pkts[1] == 0 && alive.contains(&case.resp);
        let mut past = Past {
            came: own().filter(answered).map(span).collect(),
            dead: out().filter(silent).map(span).collect(),
            ..Past::default()
        };
        own().for_each(|case| past.add(case));
        past
    }

    fn add(&mut self, case: &'a Case) {
        let (server, port) = case.resp;
        if let Some(host) = case.host.as_deref().filter(|_| is_made(case)) {
            let newest = self.made.entry((host, case.port())).or_default();
            *newest = case.first().max(*newest);
        }
        if let Some(host) = case.host.as_deref().filter(|_| is_reached(case)) {
            self.ports.entry(port).or_insert(case);
            let [first, other] = self.hosts.entry(host).or_default();
            match first {
                None => *first = Some(case),
                Some(first) if first.resp.1 != port => _ = other.get_or_insert(case),
                Some(_) => {}
            }
        }
        if is_made(case) && !case.inside[1] && case.ttl[1] != 0 {
            [self.ways.entry(server).or_default(), &mut self.any_way].into_iter().for_each(|way| way.add(case));
        }
    }

    /// When a connection to that name and port was made last.
    pub fn made(&self, host: &str, port: u16) -> Option<Timestamp> {
        self.made.get(&(host, port)).copied()
    }

    /// A connection to one of the vendor's services by that name, on another port.
    pub fn beside(&self, host: &str, port: u16) -> Option<&'a Case> {
        self.hosts.get(host)?.iter().flatten().copied().find(|case| case.resp.1 != port)
    }

    /// A connection to any of the vendor's services on that port.
    pub fn on_port(&self, port: u16) -> Option<&'a Case> {
        self.ports.get(&port).copied()
    }

    /// How answers come from a server, or where there were none, from others out there.
    pub fn way(&self, server: IpAddr) -> &Way {
        self.ways.get(&server).unwrap_or(&self.any_way)
    }
}
