//! What DNS has told: exchanges, which names have which addresses, and how soon resolvers answer.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::Seen;
use crate::decode::Addr;
use crate::event::Texts;
use crate::time::Timestamp;

/// DNS of one flow.
#[derive(Clone, Debug, Default)]
pub struct Dns {
    /// The first message's frame.
    pub frame: u64,
    /// Queries that wait for their response.
    pub pending: SmallVec<[PendingQuery; 1]>,
    /// How soon responses came.
    pub speed: Speed,
    /// What only a record needs.
    pub record: Option<Box<DnsList>>,
}

/// How many response times of one flow are kept one by one.
const TIMES: usize = 4;

/// How soon the responses of one flow came, to queries that were seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Speed {
    /// The first of them.
    pub first: Seen,
    /// How long the first few took, in microseconds.
    times: [u32; TIMES],
    /// How many there were.
    pub answers: u32,
}

impl Speed {
    /// Takes a response to a query that was sent at `asked`.
    pub fn note(&mut self, seen: Seen, asked: Timestamp) {
        if self.answers == 0 {
            self.first = seen;
        }
        if let Some(slot) = self.times.get_mut(self.answers as usize) {
            *slot = u32::try_from(seen.ts.since(asked) / 1000).unwrap_or(u32::MAX);
        }
        self.answers = self.answers.saturating_add(1);
    }

    /// How long the first few took, in microseconds.
    pub fn times(&self) -> &[u32] {
        self.times.get(..self.answers as usize).unwrap_or(&self.times)
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

/// A DNS answer that gave addresses.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Who asked.
    pub client: Addr,
    /// When.
    pub ts: Timestamp,
    /// The answer's frame.
    pub frame: u64,
    /// The name asked for.
    pub name: u32,
    /// For how long it holds, in seconds: the shortest of its records.
    pub ttl: u32,
    /// Where its addresses begin among all that were told.
    pub(in crate::engine) first: u32,
    /// How many there are.
    pub(in crate::engine) count: u16,
    /// The client's address is IPv6.
    pub client_v6: bool,
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
    /// How often it was sent from this port.
    pub times: u16,
    /// The response, and its code.
    pub answer: Option<(Seen, u16)>,
    /// The addresses told; the first few.
    pub addresses: SmallVec<[IpAddr; 2]>,
    /// The shortest lifetime told, in seconds.
    pub ttl: Option<u32>,
}
