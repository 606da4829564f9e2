//! What DNS has told: exchanges, which names have which addresses, and how soon resolvers answer.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::Seen;
use crate::decode::{Addr, Packet};
use crate::event::Texts;
use crate::flow::NONE;
use crate::time::{SECOND, Timestamp};

/// DNS of one flow. Most flows are one query and its response, and take no more room than these need.
#[derive(Clone, Debug)]
pub struct Dns {
    /// The first message's frame.
    pub frame: u64,
    /// The one query, as long as there is no more.
    one: One,
    /// All there was, where that is more, or a record is wanted.
    all: Option<Box<Exchanges>>,
}

/// How far one query has come.
#[derive(Clone, Copy, Debug)]
enum One {
    /// None was seen.
    Unseen,
    /// It waits: the parts of a [`PendingQuery`] that has no place in a list, which take less room one by one.
    Waits { ts: Timestamp, qname: u32, id: u16, qtype: u16 },
    /// It was answered, so many microseconds later.
    Answered { first: Seen, micros: u32 },
}

/// Queries and their responses.
#[derive(Clone, Debug, Default)]
pub struct Exchanges {
    /// Queries that wait for their response, the oldest first.
    pending: SmallVec<[PendingQuery; 1]>,
    speed: Speed,
    /// What only a record needs.
    record: DnsList,
}

/// How many queries of one flow may wait for their responses; the oldest is let go of for another.
const MAX_PENDING: usize = 64;

impl Dns {
    /// Of a flow whose first message came in `frame`.
    pub const fn new(frame: u64) -> Self {
        Dns { frame, one: One::Unseen, all: None }
    }

    /// Whether the same query waits already.
    pub fn waits_for(&self, query: &PendingQuery) -> bool {
        let same = |p: &PendingQuery| (p.id, p.qname, p.qtype) == (query.id, query.qname, query.qtype);
        match (&self.all, &self.one) {
            (Some(all), _) => all.pending.iter().any(same),
            (None, one) => one.pending().as_ref().is_some_and(same),
        }
    }

    /// Takes a query.
    pub fn ask(&mut self, query: PendingQuery) {
        if self.all.is_none() && matches!(self.one, One::Unseen) {
            let PendingQuery { ts, qname, id, qtype, .. } = query;
            self.one = One::Waits { ts, qname, id, qtype };
            return;
        }
        let pending = &mut self.all().pending;
        if pending.len() >= MAX_PENDING {
            pending.remove(0);
        }
        pending.push(query);
    }

    /// Takes a response that was seen so, and gives the oldest query that it `answers`.
    pub fn answer(&mut self, seen: Seen, answers: impl Fn(&PendingQuery) -> bool) -> Option<PendingQuery> {
        if let Some(all) = &mut self.all {
            let at = all.pending.iter().position(answers)?;
            let query = all.pending.remove(at);
            all.speed.note(seen, took(seen, query.ts));
            return Some(query);
        }
        let query = self.one.pending().filter(answers)?;
        self.one = One::Answered { first: seen, micros: took(seen, query.ts) };
        Some(query)
    }

    /// Whether a query that was sent since then waits.
    pub fn asked_since(&self, since: Timestamp) -> bool {
        let one = self.one.pending().filter(|_| self.all.is_none());
        self.all.iter().flat_map(|all| &all.pending).chain(&one).any(|query| query.ts >= since)
    }

    /// Room for whatever comes.
    fn all(&mut self) -> &mut Exchanges {
        let one = self.one;
        self.all.get_or_insert_with(|| {
            let mut all = Box::<Exchanges>::default();
            all.speed = one.speed();
            all.pending.extend(one.pending());
            all
        })
    }

    /// How soon responses came.
    pub fn speed(&self) -> Speed {
        self.all.as_ref().map_or_else(|| self.one.speed(), |all| all.speed)
    }

    /// What only a record needs.
    pub fn record(&self) -> Option<&DnsList> {
        self.all.as_ref().map(|all| &all.record)
    }

    /// The same, to change.
    pub fn record_mut(&mut self) -> Option<&mut DnsList> {
        self.all.as_mut().map(|all| &mut all.record)
    }

    /// What only a record needs, kept from now on.
    pub fn recorded(&mut self) -> &mut DnsList {
        &mut self.all().record
    }

    /// Where there is a box: how many queries have room outside it.
    pub fn boxed(&self) -> Option<usize> {
        self.all.as_ref().map(|all| if all.pending.spilled() { all.pending.capacity() } else { 0 })
    }
}

impl One {
    fn pending(&self) -> Option<PendingQuery> {
        let One::Waits { ts, qname, id, qtype } = *self else { return None };
        Some(PendingQuery { ts, record: NONE, qname, id, qtype })
    }

    fn speed(&self) -> Speed {
        match *self {
            One::Answered { first, micros } => {
                let mut speed = Speed::default();
                speed.note(first, micros);
                speed
            }
            One::Unseen | One::Waits { .. } => Speed::default(),
        }
    }
}

/// How long a response took to a query that was sent at `asked`, in microseconds.
fn took(seen: Seen, asked: Timestamp) -> u32 {
    u32::try_from(seen.ts.since(asked) / 1000).unwrap_or(u32::MAX)
}

/// How many responses of one flow are kept one by one.
const REPLIES: usize = 4;

/// A response to a query that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// When the query was sent, in seconds since 1970.
    pub asked: u32,
    /// How long the response took, in microseconds.
    pub micros: u32,
}

/// How soon the responses of one flow came, to queries that were seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Speed {
    /// The first of them.
    pub first: Seen,
    /// The first few.
    replies: [Reply; REPLIES],
    /// How many there were.
    pub answers: u32,
}

impl Speed {
    /// Takes a response that took so long.
    fn note(&mut self, seen: Seen, micros: u32) {
        if self.answers == 0 {
            self.first = seen;
        }
        if let Some(slot) = self.replies.get_mut(self.answers as usize) {
            let asked = seen.ts.0.saturating_sub(u64::from(micros).saturating_mul(1000)) / SECOND;
            *slot = Reply { asked: u32::try_from(asked).unwrap_or(u32::MAX), micros };
        }
        self.answers = self.answers.saturating_add(1);
    }

    /// The first few.
    pub fn replies(&self) -> &[Reply] {
        self.replies.get(..self.answers as usize).unwrap_or(&self.replies)
    }
}

/// What only a record needs of DNS.
#[derive(Clone, Debug, Default)]
pub struct DnsList {
    /// The exchanges.
    pub list: Vec<DnsExchange>,
    /// Exchanges that the list had no room for.
    pub omitted: u64,
}

/// A query that waits for its response.
#[derive(Clone, Copy, Debug)]
pub struct PendingQuery {
    /// When it was sent first.
    pub ts: Timestamp,
    /// Its place in the list, if there is one.
    pub record: u32,
    /// A hash of the name asked for.
    pub qname: u32,
    /// The message id.
    pub id: u16,
    /// The type asked for.
    pub qtype: u16,
}

/// A DNS query with its response, or the half of it that was seen.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct DnsExchange {
    pub id: u16,
    pub qname: Option<u32>,
    pub qtype: Option<u16>,
    pub rcode: Option<u16>,
    pub answers: Texts,
    pub ttl: Option<u32>,
    pub rtt: Option<u64>,
}

/// A DNS answer that gave addresses, which stand elsewhere ([`super::Addresses`]), as does who asked.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// When.
    pub ts: Timestamp,
    /// The answer's frame.
    pub frame: u64,
    /// The name asked for.
    pub name: u32,
    /// For how long it holds, in seconds: the shortest of its records.
    pub ttl: u32,
    /// Where its addresses begin among all.
    pub(super) first: u32,
    /// How many were told.
    pub(super) count: u16,
    /// Some of them are not IPv4; that who asked is not makes no difference.
    pub(super) wide: bool,
    /// The client's address is IPv6.
    pub client_v6: bool,
}

impl Answer {
    /// Came in `packet`, for the name of that number.
    pub(super) const fn new(packet: &Packet, name: u32) -> Self {
        let Packet { v6, ts, frame, .. } = *packet;
        Answer { ts, frame, name, ttl: u32::MAX, first: 0, count: 0, wide: false, client_v6: v6 }
    }
}

/// A DNS query for a name that is watched, and what came of it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The number of its flow.
    pub flow: u32,
    /// Who asked.
    pub client: Addr,
    /// Who was asked.
    pub resolver: Addr,
    /// Their addresses are IPv6.
    pub v6: bool,
    /// The number of the name asked for.
    pub name: u32,
    /// The type asked for.
    pub qtype: u16,
    /// The message id.
    pub id: u16,
    /// The first query.
    pub first: Seen,
    /// When it was last repeated.
    pub last: Timestamp,
    /// How often it was sent from this port; 0 where so far only the response was seen.
    pub times: u16,
    /// The response, and its code.
    pub answer: Option<(Seen, u16)>,
    /// The addresses told; the first few.
    pub addresses: SmallVec<[IpAddr; 2]>,
    /// The shortest lifetime told, in seconds.
    pub ttl: Option<u32>,
}

impl Asked {
    /// A question of that id, name and type, of which nothing was seen yet but a message that was seen so: from `ends`,
    /// who asks and who is asked, on that flow.
    pub fn new(flow: u32, ends: (Addr, Addr), v6: bool, (id, name, qtype): (u16, u32, u16), first: Seen) -> Self {
        let (client, resolver) = ends;
        let (addresses, last) = (SmallVec::new(), first.ts);
        Asked { flow, client, resolver, v6, name, qtype, id, first, last, times: 0, answer: None, addresses, ttl: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes, a flow knows the same as one that had room for all from the first.
        #[test]
        fn one_query_is_known_as_many_are(steps in prop::collection::vec((any::<bool>(), 0u16..3, 0u16..2), 0..12)) {
            let (mut small, mut large) = (Dns::new(1), Dns::new(1));
            large.recorded();
            for (n, (asks, id, qtype)) in (1u64..).zip(steps) {
                let ts = Timestamp(n * 1_000_000);
                if asks {
                    let query = PendingQuery { ts, record: 0, qname: 7, id, qtype };
                    prop_assert_eq!(small.waits_for(&query), large.waits_for(&query));
                    [&mut small, &mut large].into_iter().for_each(|dns| dns.ask(query));
                } else {
                    let answers = |p: &PendingQuery| (p.id, p.qtype) == (id, qtype);
                    let [a, b] = [&mut small, &mut large].map(|dns| dns.answer(Seen { ts, frame: n }, answers));
                    prop_assert_eq!(a.map(|query| query.ts), b.map(|query| query.ts));
                }
                let [a, b] = [&small, &large].map(Dns::speed);
                prop_assert_eq!((a.first, a.replies(), a.answers), (b.first, b.replies(), b.answers));
            }
        }
    }

    #[test]
    fn a_flow_of_one_query_takes_little() {
        assert!(size_of::<Dns>() <= 40);
        let mut dns = Dns::new(1);
        dns.ask(PendingQuery { ts: Timestamp(5), record: 0, qname: 7, id: 1, qtype: 1 });
        assert!(dns.answer(Seen { ts: Timestamp(9), frame: 2 }, |p| p.id == 1).is_some() && dns.boxed().is_none());
    }
}
