//! Lists in which what belongs together stands together: what sorting would bring, without comparing all with all.
//!
//! What was learnt is put in order at every look, and there is much of it. Most groups are small, so once they are
//! apart there is little to sort.

use super::names::Key;
use super::sieve::Addresses;

/// Where the entries of one key begin and end.
pub(super) type Range = (u32, u32);

/// What is put in order by: kept from one time to the next, as it takes as much memory each time.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Where each entry goes.
    places: Vec<u32>,
    /// How long each group is, then where its next entry goes.
    groups: Vec<u32>,
}

impl Order {
    /// Lists of so many entries at the most are to be put in order.
    pub fn expect(&mut self, entries: usize) {
        renew(&mut self.places, entries);
    }
}

/// Puts entries of one key together, keys in the order in which they first come and the entries of each in theirs. What
/// is given of each key has room for its range, which `range` finds.
pub(super) fn by_key<T, V: Default>(
    entries: &mut [T],
    groups: &mut Addresses<V>,
    order: &mut Order,
    key: impl Fn(&T) -> Key,
    range: impl Fn(&mut V) -> &mut Range,
) {
    let Order { places, groups: lengths } = order;
    places.clear();
    lengths.clear();
    for entry in &*entries {
        // until ranges are known: the number of the group, and that it has one
        let (number, known) = range(groups.of(key(entry)));
        if *known == 0 {
            (*number, *known) = (lengths.len() as u32, 1);
            lengths.push(0);
        }
        places.push(*number);
        count(lengths, *number);
    }
    let next = lengths;
    begin(next);
    for range in groups.values_mut().map(range).filter(|(_, known)| *known != 0) {
        let at = |number: u32| next.get(number as usize).copied().unwrap_or(0);
        *range = (at(range.0), at(range.0.saturating_add(1)));
    }
    places.iter_mut().for_each(|place| *place = take(next, *place));
    settle(entries, places);
}

/// Puts each entry where it goes. They change places two by two, so that no second list is needed: this is when most is
/// held.
fn settle<T>(entries: &mut [T], places: &mut [u32]) {
    let at = |places: &[u32], entry: usize| places.get(entry).map(|place| *place as usize);
    for entry in 0..entries.len() {
        // with each step one more is where it goes
        while let Some(to) = at(places, entry).filter(|to| *to != entry && at(places, *to).is_some_and(|of| of != *to))
        {
            entries.swap(entry, to);
            places.swap(entry, to);
        }
    }
}

/// How many times as much memory as is needed is kept for the next time: a table that comes and goes leaves gaps.
pub(super) const SPARE: usize = 4;
/// So much, in bytes, is kept of a list however little is needed.
const LITTLE: usize = 2 << 20;

/// Empties a list that is to take `count` entries. What memory it has is used again, unless that is too little or far
/// too much; a little more is taken than is needed now, so that a list which grows does not move each time.
pub(super) fn renew<T>(list: &mut Vec<T>, count: usize) {
    list.clear();
    let has = list.capacity();
    let much = has / SPARE > count && has.saturating_mul(size_of::<T>()) > LITTLE;
    if has < count || much {
        *list = Vec::new();
        list.reserve_exact(count.saturating_add(count / 8));
    }
}

/// Does the same to each group of a list.
pub(super) fn each<T>(list: &mut [T], groups: impl Iterator<Item = Range>, then: impl Fn(&mut [T])) {
    for (from, to) in groups {
        if let Some(group) = list.get_mut(from as usize..to as usize).filter(|group| group.len() > 1) {
            then(group);
        }
    }
}

/// Lists of places, one for each number.
#[derive(Debug, Default)]
pub(super) struct Lists {
    places: Vec<u32>,
    /// Where each begins, and where the last ends.
    starts: Vec<u32>,
}

impl Lists {
    /// Makes them lists for the numbers below `count`: of each, the places at which it stands in `numbers`, put in
    /// order by `then`.
    pub fn renew(
        &mut self,
        count: usize,
        numbers: impl ExactSizeIterator<Item = u32> + Clone,
        order: &mut Order,
        then: impl Fn(&mut [u32]),
    ) {
        let (Lists { places, starts }, Order { groups: next, .. }) = (self, order);
        renew(starts, count.saturating_add(1));
        starts.resize(count, 0);
        numbers.clone().for_each(|number| self::count(starts, number));
        begin(starts);
        next.clone_from(starts);
        let all = starts.last().copied().unwrap_or(0) as usize;
        renew(places, all);
        places.resize(all, 0);
        for (number, place) in numbers.zip(0u32..).filter(|(number, _)| (*number as usize) < count) {
            let at = take(next, number);
            places.get_mut(at as usize).into_iter().for_each(|slot| *slot = place);
        }
        for range in starts.windows(2) {
            let [from, to] = *range else { continue };
            let (from, to) = (from as usize, to as usize);
            if let Some(list) = places.get_mut(from..to).filter(|list| list.len() > 1) {
                then(list);
            }
        }
    }

    /// The list for that number.
    pub fn of(&self, number: u32) -> &[u32] {
        let at = |number: u32| self.starts.get(number as usize).map(|at| *at as usize);
        let range = at(number).zip(number.checked_add(1).and_then(at));
        range.and_then(|(from, to)| self.places.get(from..to)).unwrap_or_default()
    }
}

fn count(lengths: &mut [u32], number: u32) {
    if let Some(length) = lengths.get_mut(number as usize) {
        *length = length.saturating_add(1);
    }
}

/// Of how long lists are makes where they begin, one behind the other, and where the last ends.
fn begin(lengths: &mut Vec<u32>) {
    let mut from = 0u32;
    for length in &mut *lengths {
        let to = from.saturating_add(*length);
        *length = std::mem::replace(&mut from, to);
    }
    lengths.push(from);
}

/// Where the next entry of that number goes.
fn take(next: &mut [u32], number: u32) -> u32 {
    let Some(next) = next.get_mut(number as usize) else { return 0 };
    let at = *next;
    *next = at.saturating_add(1);
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_is_used_again_unless_it_is_far_too_much() {
        let mut list: Vec<u64> = Vec::new();
        let mut taken = |count: usize| {
            renew(&mut list, count);
            list.resize(count, 0);
            list.capacity()
        };
        assert_eq!([1 << 20, 1 << 19, 1 << 20, (1 << 20) + 1].map(&mut taken), [(1 << 20) + (1 << 17); 4]);
        assert_eq!([1 << 17, 1 << 10, 0].map(taken), [(1 << 17) + (1 << 14); 3]);
    }

    proptest! {
        #[test]
        fn what_belongs_together_stands_together(entries: Vec<(u8, u16)>) {
            // some are addresses of IPv4
            let key_of = |key: u8| if key < 128 { 0xffff_0000_0000 | Key::from(key) } else { Key::from(key) };
            let (mut placed, mut groups, mut order) = (entries.clone(), Addresses::default(), Order::default());
            by_key(&mut placed, &mut groups, &mut order, |(key, _)| key_of(*key), |range: &mut Range| range);
            let mut total = 0;
            for (key, (from, to)) in groups.iter() {
                let own: Vec<_> = entries.iter().copied().filter(|(of, _)| key_of(*of) == key).collect();
                prop_assert_eq!(&placed[*from as usize..*to as usize], &own[..]);
                total += own.len();
            }
            prop_assert_eq!((total, placed.len()), (entries.len(), entries.len()));
        }

        #[test]
        fn each_number_has_its_places(
            numbers in proptest::collection::vec(0u32..20, 0..100),
            before in proptest::collection::vec(0u32..30, 0..100),
        ) {
            // whatever they held before
            let (mut lists, mut order) = (Lists::default(), Order::default());
            lists.renew(30, before.iter().copied(), &mut order, |_| {});
            lists.renew(18, numbers.iter().copied(), &mut order, <[u32]>::reverse);
            for number in 0..20 {
                let mut places: Vec<u32> = (0..).zip(&numbers).filter(|(_, n)| **n == number).map(|(at, _)| at).collect();
                places.reverse();
                prop_assert_eq!(lists.of(number), if number < 18 { &places[..] } else { &[] });
            }
            prop_assert!(lists.of(u32::MAX).is_empty());
        }
    }
}
