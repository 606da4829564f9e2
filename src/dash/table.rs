//! What lists ask of all flows of a snapshot, put side by side: addresses, names and words by number, so that each is
//! looked at once, however many flows have it. Each column is made when it is first asked for.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::engine::light::Light;
use crate::filter::{Asked, Naming, Rows, Texts};

/// The columns.
#[derive(Debug, Default)]
pub struct Table {
    flows: Arc<Vec<Light>>,
    ends: OnceCell<Ends>,
    names: OnceCell<Vec<u32>>,
    words: OnceCell<Words>,
    written: OnceCell<Texts>,
}

/// The ends of flows.
#[derive(Debug, Default)]
pub struct Ends {
    /// Every address, in order.
    pub hosts: Vec<IpAddr>,
    /// Of each flow the originator and the responder, as places in `hosts`.
    pub of: Vec<[u32; 2]>,
}

/// The words of flows, see [`Asked::words`].
#[derive(Debug, Default)]
struct Words {
    all: Texts,
    /// Those of all flows, one flow behind the other, as places in `all`.
    of: Vec<u32>,
    /// Of each flow, where in `of` end: what it is, its server's names, its other hosts' names, what it asked DNS for.
    ends: Vec<[u32; 4]>,
}

impl Words {
    /// For each flow the place in `of` of these of its words.
    fn places(&self, naming: Naming) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut before = 0;
        self.ends.iter().map(move |[class, server, host, dns]| {
            let from = std::mem::replace(&mut before, *dns);
            let (from, to) = match naming {
                Naming::Any => (from, *dns),
                Naming::Server => (*class, *server),
                Naming::Host => (*class, *host),
                Naming::Dns => (*host, *dns),
            };
            from as usize..to as usize
        })
    }
}

/// Things, each told by a key, of which many are the same: every one of them once, as they first come, and for each
/// thing its place there.
fn numbered<K: Hash + Eq, T>(things: impl Iterator<Item = (K, T)>) -> (Vec<T>, Vec<u32>) {
    let mut known: HashMap<K, u32, RandomState> = HashMap::default();
    let mut all = Vec::new();
    let number = |(key, thing): (K, T)| {
        *known.entry(key).or_insert_with(|| {
            all.push(thing);
            u32::try_from(all.len() - 1).unwrap_or(u32::MAX)
        })
    };
    let of = things.map(number).collect();
    (all, of)
}

/// The same, with every one of them in order; so the places are in their order, too.
pub(super) fn ranked<K: Hash + Eq, T: Ord>(things: impl Iterator<Item = (K, T)>) -> (Vec<T>, Vec<u32>) {
    let (all, mut of) = numbered(things);
    let mut order: Vec<(T, usize)> = all.into_iter().zip(0..).collect();
    order.sort_unstable();
    let mut ranks = vec![0; order.len()];
    for (rank, (_, at)) in (0..).zip(&order) {
        if let Some(place) = ranks.get_mut(*at) {
            *place = rank;
        }
    }
    let rank = |number: u32| ranks.get(number as usize).copied().unwrap_or(0);
    of.iter_mut().for_each(|number| *number = rank(*number));
    (order.into_iter().map(|(thing, _)| thing).collect(), of)
}

impl Table {
    /// Of these flows.
    pub fn of(flows: Arc<Vec<Light>>) -> Table {
        Table { flows, ..Table::default() }
    }

    /// Whether it is of these very flows.
    pub fn is_of(&self, flows: &Arc<Vec<Light>>) -> bool {
        Arc::ptr_eq(&self.flows, flows)
    }

    /// Who speaks with whom.
    pub fn ends(&self) -> &Ends {
        self.ends.get_or_init(|| {
            let (hosts, of) = ranked(self.flows.iter().flat_map(|f| [f.orig.0, f.resp.0]).map(|ip| (ip, ip)));
            Ends { hosts, of: of.as_chunks().0.to_vec() }
        })
    }

    /// For each flow the place of its name in the order of all names; those without a name stand behind all others.
    pub fn names(&self) -> &[u32] {
        self.names.get_or_init(|| {
            let names = self.flows.iter().map(|f| f.name.as_deref());
            ranked(names.map(|name| (name.map(place), (name.is_none(), name)))).1
        })
    }

    /// Every address as it is written.
    fn written(&self) -> &Texts {
        self.written.get_or_init(|| {
            let mut texts = Texts::default();
            self.ends().hosts.iter().for_each(|ip| texts.push(&ip.to_string()));
            texts
        })
    }

    fn words(&self) -> &Words {
        self.words.get_or_init(|| {
            let mut ends = Vec::with_capacity(self.flows.len());
            let mut end = 0usize;
            let words = self.flows.iter().flat_map(|flow| {
                let parts = [flow.server_names().count(), flow.host_names().count(), flow.dns_names().count()];
                let [server, host, dns] = parts;
                let class = end + flow.class_words().count();
                end = class + host + dns;
                ends.push([class, class + server, class + host, end].map(|at| u32::try_from(at).unwrap_or(u32::MAX)));
                flow.words()
            });
            let (texts, of) = numbered(words.map(|word| (place(word), word)));
            let mut all = Texts::default();
            texts.into_iter().for_each(|text| all.push(text));
            Words { all, of, ends }
        })
    }

    /// Makes the next column that was not asked for yet, so that nobody need wait for it; false if there is none.
    pub fn prepare(&self) -> bool {
        if self.ends.get().is_none() {
            self.ends();
        } else if self.words.get().is_none() {
            self.words();
        } else if self.written.get().is_none() {
            self.written();
        } else if self.names.get().is_none() {
            self.names();
        } else {
            return false;
        }
        true
    }
}

/// Where a text lies: the same for all flows that have it, as each text is kept once.
fn place(text: &str) -> (usize, usize) {
    (text.as_ptr() as usize, text.len())
}

impl Rows for Table {
    type Flow = Light;

    fn flows(&self) -> &[Light] {
        &self.flows
    }

    fn with_text(&self, naming: Naming, pass: &dyn Fn(&Texts) -> Vec<bool>) -> Vec<bool> {
        let words = self.words();
        let passing = pass(&words.all);
        let passes = |place: std::ops::Range<usize>| {
            let these = words.of.get(place).unwrap_or_default();
            these.iter().any(|number| passing.get(*number as usize).is_some_and(|passes| *passes))
        };
        let mut found: Vec<bool> = words.places(naming).map(passes).collect();
        if naming == Naming::Any {
            let hosts = pass(self.written());
            let passes = |at: &u32| hosts.get(*at as usize).is_some_and(|passes| *passes);
            found.iter_mut().zip(&self.ends().of).for_each(|(found, ends)| *found |= ends.iter().any(passes));
        }
        found
    }

    fn with_ends(&self, holds: &dyn Fn(IpAddr) -> bool) -> Vec<[bool; 2]> {
        let ends = self.ends();
        let hosts: Vec<bool> = ends.hosts.iter().map(|ip| holds(*ip)).collect();
        let holds = |at: u32| hosts.get(at as usize).copied().unwrap_or(false);
        ends.of.iter().map(|ends| ends.map(holds)).collect()
    }
}
