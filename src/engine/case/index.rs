//! Where cases are: by the hosts at their ends, and by class. Put down once, so that no detector need look through all
//! flows for a few.

use std::collections::BTreeSet;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::{Case, Cases, DnsCase, is_core};
use crate::classify::words::Sub;
use crate::event::Class;
use crate::time::Timestamp;

/// What one host has originated.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The places of its flows, in the order of their first frames.
    flows: Vec<usize>,
    /// Those of them whose servers did what they are there for.
    served: Vec<usize>,
    /// Those of them to the relay.
    relays: Vec<usize>,
    /// It speaks to the vendor's own services.
    pub speaks_to_core: bool,
    /// It logs in, as people do who want to look.
    pub logs_in: bool,
    /// It asks for licences or sends video, as recorders do by themselves.
    pub reports: bool,
    /// It speaks RTSP, as to cameras.
    pub has_cameras: bool,
    /// Its connections to the relay that were made, if there are any.
    pub relayed: Option<Relayed>,
    /// When something last went over one of its flows.
    pub last: Timestamp,
}

/// What a host's connections to the relay have in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relayed {
    /// Bytes of the most that went up where more went up than came down. What only asks in the clear sends nothing.
    pub sent: u64,
    /// How long the longest without video stood until something was said last, in nanoseconds: without end where it
    /// began before the capture.
    pub stood: Option<u64>,
}

impl Relayed {
    fn add(&mut self, case: &Case) {
        let [up, down] = case.payload;
        if up > down && !case.only_asks() {
            // what is in the clear is known to be more than a request
            self.sent = self.sent.max(if case.http.is_some() && case.tls.is_none() { u64::MAX } else { up });
        }
        if !case.subs.has(Sub::VideoDown) {
            let said = case.tcp.iter().flat_map(|tcp| &tcp.bursts).filter_map(|bursts| bursts.last());
            let said = said.map(|burst| burst.end).max().unwrap_or_default();
            let stood = if case.midstream { u64::MAX } else { said.since(case.first()) };
            self.stood = self.stood.max(Some(stood));
        }
    }
}

/// The places of cases, each list in the order of first frames.
#[derive(Clone, Debug, Default)]
pub struct Index {
    clients: HashMap<IpAddr, Client, RandomState>,
    /// What each host asked of DNS.
    askers: HashMap<IpAddr, Vec<usize>, RandomState>,
    servers: HashMap<IpAddr, Vec<usize>, RandomState>,
    /// The recorders to which a connection was made.
    serving: HashSet<IpAddr, RandomState>,
    /// By the number of the class.
    classes: [Vec<usize>; Class::ALL.len()],
    core: Vec<usize>,
    mapped: Vec<usize>,
    vain: Vec<usize>,
    system: BTreeSet<IpAddr>,
    recorders: BTreeSet<IpAddr>,
    skew: Option<i64>,
}

impl Client {
    /// Takes what a flow has shown so far.
    fn take(&mut self, case: &Case) {
        self.last = self.last.max(case.last);
        if case.class == Class::Relay && case.established {
            self.relayed.get_or_insert_default().add(case);
        }
    }
}

impl Index {
    /// Takes what a flow that is put down has shown of itself since.
    pub(super) fn renew(&mut self, case: &Case) {
        if let Some(client) = self.clients.get_mut(&case.orig.0) {
            client.take(case);
        }
    }

    fn add(&mut self, at: usize, case: &Case) {
        let client = self.clients.entry(case.orig.0).or_default();
        client.flows.push(at);
        if case.is_served() {
            client.served.push(at);
        }
        if case.class == Class::Relay {
            client.relays.push(at);
        }
        client.logs_in |= case.class == Class::Login;
        client.has_cameras |= case.subs.has(Sub::Rtsp);
        self.servers.entry(case.resp.0).or_default().push(at);
        if case.recorders == [false, true] && case.established {
            self.serving.insert(case.resp.0);
        }
        let core = is_core(case.class, case.subs);
        client.speaks_to_core |= core;
        client.reports |= case.class == Class::Licensing || core && case.subs.has(Sub::VideoUp);
        client.take(case);
        if let Some(of_class) = self.classes.get_mut(case.class as usize) {
            of_class.push(at);
        }
        if core {
            self.core.push(at);
            self.system.insert(case.orig.0);
        }
        if case.recorders[0] {
            self.recorders.insert(case.orig.0);
        }
        if case.stun.as_ref().is_some_and(|stun| !stun.mapped.is_empty()) {
            self.mapped.push(at);
        }
        if case.is_vain() {
            self.vain.push(at);
        }
    }
}

impl Cases {
    /// These cases with their places put down.
    pub fn indexed(mut self) -> Self {
        let mut index = Index::default();
        for (at, case) in self.flows.iter().enumerate() {
            index.add(at, case);
        }
        for (at, dns) in self.dns.iter().enumerate() {
            index.askers.entry(dns.client).or_default().push(at);
            if is_core(dns.host.class, dns.host.subs) {
                index.system.insert(dns.client);
            }
        }
        index.skew = skew(&self.flows);
        self.index = index;
        self
    }

    /// Adds a flow that came after all of these.
    pub(super) fn append(&mut self, case: Case) {
        self.index.add(self.flows.len(), &case);
        self.flows.push(case);
    }

    /// The newest flow of `client` to a server's port, among its last ones.
    pub(super) fn last_to(&self, client: IpAddr, server: (IpAddr, u16)) -> Option<&Case> {
        /// How many of them are looked at: who tries again does so soon.
        const REACH: usize = 64;
        let places = self.client(client)?.flows.iter().rev().take(REACH);
        places.filter_map(|at| self.flows.get(*at)).find(|case| case.resp == server)
    }

    fn at<'c>(&'c self, places: &'c [usize]) -> impl Iterator<Item = &'c Case> + Clone {
        places.iter().filter_map(|at| self.flows.get(*at))
    }

    /// What a host has originated.
    pub fn client(&self, ip: IpAddr) -> Option<&Client> {
        self.index.clients.get(&ip)
    }

    /// All hosts that have originated flows, in no telling order.
    pub fn clients(&self) -> impl Iterator<Item = IpAddr> {
        self.index.clients.keys().copied()
    }

    /// The flows that `client` originated.
    pub fn of_client(&self, client: IpAddr) -> impl Iterator<Item = &Case> + Clone {
        self.at(self.client(client).map(|client| &client.flows[..]).unwrap_or_default())
    }

    /// What `client` asked of DNS, in the order of asking.
    pub fn asked_by(&self, client: IpAddr) -> impl Iterator<Item = &DnsCase> + Clone {
        let places = self.index.askers.get(&client).map(|places| &places[..]).unwrap_or_default();
        places.iter().filter_map(|at| self.dns.get(*at))
    }

    /// All hosts that flows were originated to, in no telling order.
    pub fn servers(&self) -> impl Iterator<Item = IpAddr> {
        self.index.servers.keys().copied()
    }

    /// Whether a host is a recorder to which a connection was made.
    pub fn is_serving(&self, host: IpAddr) -> bool {
        self.index.serving.contains(&host)
    }

    /// The flows that were originated to `server`.
    pub fn of_server(&self, server: IpAddr) -> impl Iterator<Item = &Case> + Clone {
        self.at(self.index.servers.get(&server).map(|places| &places[..]).unwrap_or_default())
    }

    /// Those of a client's flows whose servers did what they are there for.
    pub fn served(&self, client: IpAddr) -> impl Iterator<Item = &Case> + Clone {
        self.at(self.client(client).map(|client| &client.served[..]).unwrap_or_default())
    }

    /// Those of a client's flows that go to the relay.
    pub fn relays(&self, client: IpAddr) -> impl Iterator<Item = &Case> + Clone {
        self.at(self.client(client).map(|client| &client.relays[..]).unwrap_or_default())
    }

    /// Those of them that began between two moments.
    pub fn relays_between(&self, client: IpAddr, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Case> {
        let all = self.client(client).map(|client| &client.relays[..]).unwrap_or_default();
        let begin = all.partition_point(|at| self.flows.get(*at).is_some_and(|case| case.first() < from));
        self.at(all.get(begin..).unwrap_or_default()).take_while(move |case| case.first() <= to)
    }

    /// The flows that the originator of `case` began before and after it, itself included, at most `reach` either way.
    pub fn around(&self, case: &Case, reach: usize) -> impl Iterator<Item = &Case> + Clone {
        let flows = self.client(case.orig.0).map(|client| &client.flows[..]).unwrap_or_default();
        let is_before = |at: &usize| self.flows.get(*at).is_some_and(|other| other.first_frame < case.first_frame);
        let own = flows.partition_point(is_before);
        let near = flows.get(own.saturating_sub(reach)..).unwrap_or_default();
        self.at(near.get(..reach.saturating_mul(2)).unwrap_or(near))
    }

    /// The flows of a class.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &Case> + Clone {
        self.at(self.index.classes.get(class as usize).map(|places| &places[..]).unwrap_or_default())
    }

    /// The flows to the vendor's own services.
    pub fn core(&self) -> impl Iterator<Item = &Case> + Clone {
        self.at(&self.index.core)
    }

    /// The flows in which STUN told an end its address outside.
    pub fn mapped(&self) -> impl Iterator<Item = &Case> + Clone {
        self.at(&self.index.mapped)
    }

    /// The TCP connections that were asked for and not made.
    pub fn vain(&self) -> impl Iterator<Item = &Case> + Clone {
        self.at(&self.index.vain)
    }

    /// The hosts of the system: who asks for the vendor's own names, or speaks to them.
    pub const fn system(&self) -> &BTreeSet<IpAddr> {
        &self.index.system
    }

    /// The recorders that have originated flows.
    pub const fn recorders(&self) -> &BTreeSet<IpAddr> {
        &self.index.recorders
    }

    /// Seconds by which the capture's own clock is behind, by the dates of servers out there: the middle one, if any.
    pub const fn skew(&self) -> Option<i64> {
        self.index.skew
    }
}

fn skew(flows: &[Case]) -> Option<i64> {
    let out = flows.iter().filter(|case| !case.inside[1]).filter_map(|case| case.http.as_ref());
    let mut skews: Vec<i64> =
        out.flat_map(|http| &http.turns).filter_map(|turn| turn.turn.skew.map(i64::from)).collect();
    skews.sort_unstable();
    skews.get(skews.len() / 2).copied()
}
