//! What one capture taught about addresses: DNS answers, and names that flows carried.
//!
//! Gathered in any order, then frozen ([`Learnt::freeze`]) into an index by server address. Every list is capped and
//! counts what it had no room for; an entry takes at most 64 bytes. Look-ups walk at most [`WALK`] entries, however
//! many answers a hostile capture piles on one address.

use std::net::{IpAddr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::buckets::{self, Lists, Order, SPARE};
use super::catalogue::Catalogue;
use super::host::HostMatch;
use super::named::Named;
use super::rules::{Rules, nanos};
use super::sieve::{Addresses, ByAddress};
use crate::event::Class;
use crate::time::Timestamp;

/// The number of every name that no catalogue entry covers: they need not be told apart.
pub const UNLISTED: u32 = u32::MAX;

/// The most entries one look-up walks in one direction.
const WALK: usize = 64;

/// An address as a number, in the order of its bytes; IPv4 is mapped (RFC 4291 §2.5.5.2).
pub(crate) type Key = u128;

/// The key of an address.
pub(crate) fn key(ip: IpAddr) -> Key {
    let v6 = match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    v6.to_bits()
}

/// A digest of an address, the same in every run; IPv4 addresses have each their own.
#[inline]
pub(super) fn digest(ip: IpAddr) -> u64 {
    let v4 = match ip {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped(),
    };
    v4.map_or_else(|| digest_of_v6(key(ip)), |v4| u64::from(u32::from(v4)))
}

fn digest_of_v6(key: Key) -> u64 {
    crate::flow::key::fold((key >> 64) as u64 ^ 0x9e37_79b9_7f4a_7c15, key as u64 ^ 0xd6e8_feb8_6659_fd93)
}

/// The address of a key.
pub(crate) fn address(key: Key) -> IpAddr {
    Ipv6Addr::from_bits(key).to_canonical()
}

/// Names by number, each kept once. Names longer than 253 bytes, and those beyond the cap, get no number.
#[derive(Debug, Default)]
pub struct NameTable {
    text: String,
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
    max: usize,
    /// Names that had no room.
    pub dropped: u64,
}

impl NameTable {
    /// A table of at most `max` names.
    pub fn new(max: usize) -> NameTable {
        NameTable::default().again(max)
    }

    /// Forgets all names, to take others; its memory is kept for them, unless little of it was used.
    fn again(mut self, max: usize) -> NameTable {
        let (bytes, names) = (self.text.len(), self.ends.len());
        self.text.clear();
        self.ends.clear();
        self.table.clear();
        self.text.shrink_to(bytes.saturating_mul(SPARE));
        self.ends.shrink_to(names.saturating_mul(SPARE));
        // there is nothing in it whose place would have to be found
        self.table.shrink_to(names.saturating_mul(SPARE), |_| 0);
        NameTable { max: max.min(8_000_000), dropped: 0, ..self }
    }

    /// The number of `name`.
    pub fn intern(&mut self, name: &str) -> Option<u32> {
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(name);
        let NameTable { text, ends, table, hasher, max, dropped } = self;
        if let Some(id) = table.find(hash, |id| slice(text, ends, *id) == name) {
            return Some(*id);
        }
        if name.len() > 253 || ends.len() >= *max {
            *dropped = dropped.saturating_add(1);
            return None;
        }
        let id = u32::try_from(ends.len()).ok()?;
        text.push_str(name);
        ends.push(u32::try_from(text.len()).ok()?);
        table.insert_unique(hash, id, |id| hasher.hash_one(slice(text, ends, *id)));
        Some(id)
    }

    /// The name of that number; empty if there is none.
    pub fn name(&self, id: u32) -> &str {
        slice(&self.text, &self.ends, id)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.text
            .capacity()
            .saturating_add(self.ends.capacity().saturating_mul(4))
            .saturating_add(self.table.allocation_size())
    }
}

fn slice<'t>(text: &'t str, ends: &[u32], id: u32) -> &'t str {
    let at = |i: u32| ends.get(i as usize).map(|e| *e as usize);
    let start = id.checked_sub(1).map_or(Some(0), at);
    start.zip(at(id)).and_then(|(s, e)| text.get(s..e)).unwrap_or("")
}

/// A DNS answer: `client` was told that `name` lives at `server`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    server: Key,
    client: Key,
    at: u64,
    frame: u64,
    name: u32,
    ttl: u32,
}

/// Flows to `server` carried `name` from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Carried {
    server: Key,
    name: u32,
    flows: u32,
    first: u64,
    last: u64,
    frame: u64,
}

/// What was learnt so far; order does not matter.
#[derive(Debug)]
pub struct Learnt {
    /// The names.
    pub names: NameTable,
    answers: Vec<Answer>,
    carried: Vec<Carried>,
    /// The addresses that DNS told anybody a name for; which one does not matter. `None`: those of the answers are all.
    pub named: Option<Named>,
    max: usize,
    /// Entries that had no room.
    pub dropped: u64,
    room: Room,
}

/// What an index is put together in.
#[derive(Debug, Default)]
struct Room {
    /// What each name says.
    hosts: Vec<HostMatch>,
    /// The places of answers, those of a server together, by client.
    by_client: Vec<u32>,
    /// The places of the answers that told each name, by client.
    by_name: Lists,
    /// Where what was learnt of each address stands.
    about: ByAddress<Places>,
    order: Order,
}

impl Learnt {
    /// Room for `max` names, answers and carried names each.
    pub fn new(max: usize) -> Learnt {
        Learnt::again(max, NameIndex::default())
    }

    /// The same, in the memory of an index that is no longer needed: where all is named anew every second, what is
    /// given back and taken again each time, a little more of it, leaves gaps in which nothing fits.
    pub fn again(max: usize, before: NameIndex) -> Learnt {
        let NameIndex { names, answers, carried, room, .. } = before;
        Learnt { names: names.again(max), answers, carried, named: Some(Named::default()), max, dropped: 0, room }
    }

    /// So many answers and carried names are to come; before any of them.
    pub fn expect(&mut self, answers: usize, carried: usize) {
        let (answers, carried) = (answers.min(self.max), carried.min(self.max));
        buckets::renew(&mut self.answers, answers);
        buckets::renew(&mut self.carried, carried);
        self.room.order.expect(answers.max(carried));
    }

    /// A DNS answer to `client`: the name asked for (or an alias of it) has this address. `ttl` in seconds.
    pub fn answer(&mut self, client: IpAddr, server: IpAddr, name: u32, at: Timestamp, ttl: u32, frame: u64) {
        let entry = Answer { server: key(server), client: key(client), at: at.0, frame, name, ttl };
        push(&mut self.answers, entry, self.max, &mut self.dropped);
    }

    /// A flow to `server` carried `name`.
    pub fn carried(&mut self, server: IpAddr, name: u32, at: Timestamp, frame: u64) {
        let entry = Carried { server: key(server), name, flows: 1, first: at.0, last: at.0, frame };
        push(&mut self.carried, entry, self.max, &mut self.dropped);
    }

    /// The index over all that was learnt, with every name looked up once.
    pub fn freeze(self, catalogue: &Catalogue, rules: &Rules) -> NameIndex {
        let Learnt { names, mut answers, mut carried, named, dropped, mut room, .. } = self;
        let Room { hosts, by_client, by_name, about, order } = &mut room;
        buckets::renew(hosts, names.len());
        hosts.extend((0..names.len()).map(|i| catalogue.look_up(names.name(i as u32))));
        about.renew(|about| {
            buckets::by_key(&mut answers, about, order, |a| a.server, |places: &mut Places| &mut places.answers);
            coalesce(&mut carried, about, order, nanos(rules.learn.neighbour_seconds));
        });
        let groups = || about.iter().map(|(_, places)| places.answers);
        buckets::each(&mut answers, groups(), |group| group.sort_unstable_by_key(|a| (a.at, a.frame, a.client)));
        let of = |i: &u32| answers.get(*i as usize);
        buckets::renew(by_client, answers.len());
        by_client.extend(0..answers.len() as u32);
        let client = |i: &u32| of(i).map(|a| (a.client, a.at, a.frame));
        buckets::each(by_client, groups(), |group| group.sort_unstable_by_key(client));
        by_name.renew(names.len(), answers.iter().map(|a| a.name), order, |list| {
            list.sort_unstable_by_key(|i| of(i).map(|a| (a.client, a.at)));
        });
        NameIndex { names, answers, carried, named, dropped, room }
    }
}

fn push<T>(list: &mut Vec<T>, entry: T, max: usize, dropped: &mut u64) {
    if list.len() < max {
        list.push(entry);
    } else {
        *dropped = dropped.saturating_add(1);
    }
}

/// Puts the entries of a server together, joins those of one name that lie within `window` of each other, and puts down
/// where those of each server stand.
fn coalesce(entries: &mut Vec<Carried>, about: &mut Addresses<Places>, order: &mut Order, window: u64) {
    buckets::by_key(entries, about, order, |c| c.server, |places| &mut places.carried);
    buckets::each(entries, about.values_mut().map(|places| std::mem::take(&mut places.carried)), |group| {
        group.sort_unstable_by_key(|c| (c.name, c.first, c.frame))
    });
    entries.dedup_by(|later, kept| {
        let same = later.server == kept.server && later.name == kept.name;
        let joined = same && later.first <= kept.last.saturating_add(window);
        if joined {
            kept.last = kept.last.max(later.last);
            kept.flows = kept.flows.saturating_add(later.flows);
        }
        joined
    });
    for (i, entry) in (0u32..).zip(&*entries) {
        let Places { carried, .. } = about.of(entry.server);
        *carried = (if carried.1 == 0 { i } else { carried.0 }, i.saturating_add(1));
    }
}

/// Where what was learnt of one address stands: from one place up to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Places {
    answers: (u32, u32),
    carried: (u32, u32),
}

/// Where what was learnt of an address stands.
#[derive(Clone, Copy, Debug)]
pub struct About {
    places: Places,
}

/// A name found for an address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The name's number.
    pub name: u32,
    /// What the name says, whatever the port.
    pub host: HostMatch,
    /// The frame that taught it.
    pub frame: u64,
    /// It was learnt after the flow began.
    pub later: bool,
    /// Names of another class claim the address too.
    pub shared: bool,
}

/// What was learnt, frozen.
#[derive(Debug, Default)]
pub struct NameIndex {
    names: NameTable,
    answers: Vec<Answer>,
    carried: Vec<Carried>,
    named: Option<Named>,
    /// Entries that had no room.
    pub dropped: u64,
    room: Room,
}

impl NameIndex {
    /// Nothing is to be put together in its memory soon: what only that needs is given back.
    pub fn settle(&mut self) {
        self.room.order = Order::default();
    }

    /// Bytes that its entries take, by how many there are.
    pub fn held(&self) -> usize {
        /// The place of an entry in a list, and what a table takes for a key.
        const PLACE: usize = size_of::<u32>();
        const KEY: usize = 24;
        const NAME: usize = KEY.saturating_add(size_of::<HostMatch>());
        const ANSWER: usize = size_of::<Answer>().saturating_add(2 * PLACE);
        const ABOUT: usize = KEY.saturating_add(size_of::<Places>());
        let each = |count: usize, size: usize| count.saturating_mul(size);
        [
            self.names.text.len(),
            each(self.names.ends.len(), NAME),
            each(self.answers.len(), ANSWER),
            each(self.carried.len(), size_of::<Carried>()),
            each(self.room.about.len(), ABOUT),
            each(self.named.as_ref().map_or(0, Named::len), KEY),
        ]
        .iter()
        .sum()
    }

    /// The name of that number.
    pub fn name(&self, id: u32) -> &str {
        self.names.name(id)
    }

    /// What the name of that number says, whatever the port.
    pub fn host(&self, id: u32) -> Option<HostMatch> {
        if id == UNLISTED { Some(HostMatch::NONE) } else { self.room.hosts.get(id as usize).copied() }
    }

    /// Where what was learnt of `server` stands.
    #[inline]
    pub fn about(&self, server: IpAddr) -> About {
        About { places: self.room.about.get(key(server)).copied().unwrap_or_default() }
    }

    /// Looks at what was learnt of a server, and gives a number that depends on it: waits for memory overlap where that
    /// is done for many servers, one right after the other.
    #[inline]
    pub fn touch(&self, about: &About) -> u64 {
        let Places { answers, carried } = about.places;
        let answer = self.answers.get(answers.0 as usize).map_or(0, |answer| answer.at);
        let carried = self.carried.get(carried.0 as usize).map_or(0, |carried| carried.last);
        answer ^ carried
    }

    /// Whether any entry is about `server`.
    pub fn knows(&self, server: IpAddr) -> bool {
        self.room.about.has(key(server))
    }

    /// The digest of every address that any entry is about, some more than once.
    pub(super) fn known(&self) -> impl Iterator<Item = u64> {
        self.room.about.keys().map(|ip| digest(address(ip)))
    }

    /// Whether DNS told anybody any name for `server`.
    pub fn is_named(&self, server: IpAddr) -> bool {
        match &self.named {
            Some(named) => named.contains(server),
            None => {
                let (from, to) = self.about(server).places.answers;
                from < to
            }
        }
    }

    /// The name that DNS told `client` for a server: the newest still valid at `start`, else the first learnt later,
    /// while the flow lived or within its own lifetime after `end`.
    pub fn told(
        &self,
        client: IpAddr,
        about: &About,
        start: Timestamp,
        end: Timestamp,
        rules: &Rules,
    ) -> Option<Found> {
        let (from, to) = about.places.answers;
        // most addresses were told once, and then there is no order to look up
        let one = [from];
        let group =
            if to == from.saturating_add(1) { &one } else { self.room.by_client.get(from as usize..to as usize)? };
        if group.is_empty() {
            return None;
        }
        let client = key(client);
        let of = |i: &u32| self.answers.get(*i as usize).copied();
        let first = group.partition_point(|i| of(i).is_some_and(|a| a.client < client));
        let split = group.partition_point(|i| of(i).is_some_and(|a| (a.client, a.at) <= (client, start.0)));
        let mine = |a: &Answer| a.client == client;
        let before = group.get(first..split)?.iter().rev().take(WALK).filter_map(of).filter(mine);
        let valid = before.filter(|a| start.0 <= a.at.saturating_add(rules.answer_lifetime(a.ttl)));
        if let Some(best) = self.best(valid.clone()) {
            let shared = self.shared(best, valid);
            return Some(self.found(best, false, shared));
        }
        let after = group.get(split..)?.iter().take(WALK).filter_map(of).take_while(mine);
        let near = after.filter(|a| a.at <= end.0.saturating_add(rules.answer_lifetime(a.ttl)));
        let earliest = near.clone().map(|a| a.at).min()?;
        let best = self.best(near.clone().filter(|a| a.at == earliest))?;
        Some(self.found(best, true, self.shared(best, near)))
    }

    /// The name that DNS told anybody for a server; the nearest in time.
    pub fn told_others(&self, about: &About, start: Timestamp, rules: &Rules) -> Option<Found> {
        let (from, to) = about.places.answers;
        let group = self.answers.get(from as usize..to as usize)?;
        let split = group.partition_point(|a| a.at <= start.0);
        let before = group.get(..split)?.iter().rev().take(WALK).copied();
        let valid = before.filter(|a| start.0 <= a.at.saturating_add(rules.answer_lifetime(a.ttl)));
        if let Some(best) = self.best(valid.clone()) {
            let shared = self.shared(best, valid);
            return Some(self.found(best, false, shared));
        }
        let after = group.get(split..)?.iter().take(WALK).copied();
        let near = after.filter(|a| a.at <= start.0.saturating_add(rules.answer_lifetime(a.ttl)));
        let best = self.best(near.clone())?;
        Some(self.found(best, true, self.shared(best, near)))
    }

    /// The name that other flows to a server carried near `start`. `own`: the name this flow carries itself, which
    /// counts only if another flow carried it too.
    pub fn neighbour(&self, about: &About, start: Timestamp, own: Option<u32>, rules: &Rules) -> Option<Found> {
        let (from, to) = about.places.carried;
        let window = nanos(rules.learn.neighbour_seconds);
        let group = self.carried.get(from as usize..to as usize)?.iter().take(WALK);
        let near = group.filter(|c| {
            let in_time = c.first <= start.0.saturating_add(window) && start.0 <= c.last.saturating_add(window);
            in_time && (own != Some(c.name) || c.flows > 1)
        });
        let distance = |c: &Carried| c.first.saturating_sub(start.0).max(start.0.saturating_sub(c.last));
        let best =
            near.clone().min_by_key(|c| (!self.listed(c.name), distance(c), c.frame, self.names.name(c.name)))?;
        let host = self.host(best.name)?;
        let shared = near.filter_map(|c| self.host(c.name)).any(|h| h.class != host.class);
        Some(Found { name: best.name, host, frame: best.frame, later: best.first > start.0, shared })
    }

    /// Whether `client` had a valid answer for `name` at `start` while no answer at all put it at a server.
    pub fn contradicts(&self, client: IpAddr, about: &About, name: u32, start: Timestamp, rules: &Rules) -> bool {
        let of = |i: &u32| self.answers.get(*i as usize);
        let (wanted, list) = ((key(client), start.0), self.room.by_name.of(name));
        let split = list.partition_point(|i| of(i).is_some_and(|a| (a.client, a.at) <= wanted));
        let last = split.checked_sub(1).and_then(|i| list.get(i)).and_then(of);
        let valid =
            last.is_some_and(|a| a.client == wanted.0 && start.0 <= a.at.saturating_add(rules.answer_lifetime(a.ttl)));
        if !valid {
            return false;
        }
        let (from, to) = about.places.answers;
        // Beyond this many answers for one address nothing is claimed of it.
        let group = self.answers.get(from as usize..to as usize).unwrap_or_default();
        group.len() <= 4096 && group.iter().all(|a| a.name != name)
    }

    /// Every answer as (client, what the name says, time), for what is learnt from queries alone.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (IpAddr, HostMatch, u64)> {
        self.answers.iter().filter_map(|a| Some((address(a.client), self.host(a.name)?, a.at)))
    }

    /// The newest answer; of one time a listed name, then the longest, then by text.
    fn best(&self, answers: impl Iterator<Item = Answer>) -> Option<Answer> {
        answers.max_by_key(|a| {
            let name = self.names.name(a.name);
            (a.at, self.listed(a.name), name.bytes().filter(|b| *b == b'.').count(), name, std::cmp::Reverse(a.frame))
        })
    }

    fn listed(&self, name: u32) -> bool {
        self.host(name).is_some_and(|h| h.class != Class::Unknown)
    }

    /// Whether a listed name of another class is among `answers`.
    fn shared(&self, best: Answer, answers: impl Iterator<Item = Answer>) -> bool {
        let class = |name| self.host(name).map(|h| h.class);
        let mut others = answers.filter(|a| a.name != best.name && self.listed(a.name));
        others.any(|a| class(a.name) != class(best.name))
    }

    fn found(&self, answer: Answer, later: bool, shared: bool) -> Found {
        let host = self.host(answer.name).unwrap_or(HostMatch::NONE);
        Found { name: answer.name, host, frame: answer.frame, later, shared }
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
