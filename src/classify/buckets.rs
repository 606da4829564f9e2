//! Lists in which what belongs together stands together: what sorting would bring, without comparing all with all.
//!
//! What was learnt is put in order at every look, and there is much of it. Most groups are small, so once they are apart
//! there is little to sort.

use super::names::Key;
use super::sieve::Addresses;

/// Where the entries of one key begin and end.
pub(super) type Range = (u32, u32);

/// Puts entries of one key together, keys in the order in which they first come and the entries of each in theirs. What is
/// given of each key has room for its range, which `range` finds.
pub(super) fn by_key<T: Copy, V: Default>(
    entries: Vec<T>,
    key: impl Fn(&T) -> Key,
    range: impl Fn(&mut V) -> &mut Range,
) -> (Vec<T>, Addresses<V>) {
    let mut groups = Addresses::default();
    let mut lengths: Vec<u32> = Vec::new();
    let mut numbers = Vec::with_capacity(entries.len());
    for entry in &entries {
        // until ranges are known: the number of the group, and that it has one
        let (number, known) = range(groups.of(key(entry)));
        if *known == 0 {
            (*number, *known) = (lengths.len() as u32, 1);
            lengths.push(0);
        }
        numbers.push(*number);
        count(&mut lengths, *number);
    }
    let starts = starts(lengths);
    for range in groups.values_mut().map(range) {
        let at = |number: u32| starts.get(number as usize).copied().unwrap_or(0);
        *range = (at(range.0), at(range.0.saturating_add(1)));
    }
    let mut next = starts;
    let mut placed = entries.clone();
    for (entry, number) in entries.iter().zip(numbers) {
        put(&mut placed, &mut next, number, *entry);
    }
    (placed, groups)
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
    /// Lists for the numbers below `count`: of each, the places at which it stands in `numbers`, put in order by `then`.
    pub fn new(count: usize, numbers: impl Iterator<Item = u32> + Clone, then: impl Fn(&mut [u32])) -> Lists {
        let mut lengths = vec![0; count];
        numbers.clone().for_each(|number| self::count(&mut lengths, number));
        let starts = starts(lengths);
        let mut next = starts.clone();
        let mut places = vec![0; starts.last().copied().unwrap_or(0) as usize];
        for (number, place) in numbers.zip(0u32..) {
            put(&mut places, &mut next, number, place);
        }
        for range in starts.windows(2) {
            let [from, to] = *range else { continue };
            let (from, to) = (from as usize, to as usize);
            if let Some(list) = places.get_mut(from..to).filter(|list| list.len() > 1) {
                then(list);
            }
        }
        Lists { places, starts }
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

/// Where lists of these lengths begin, one behind the other, and where the last ends.
fn starts(mut lengths: Vec<u32>) -> Vec<u32> {
    let mut from = 0u32;
    for length in &mut lengths {
        let to = from.saturating_add(*length);
        *length = std::mem::replace(&mut from, to);
    }
    lengths.push(from);
    lengths
}

/// Puts an entry where the next of its number goes.
fn put<T>(placed: &mut [T], next: &mut [u32], number: u32, entry: T) {
    let Some(at) = next.get_mut(number as usize) else { return };
    if let Some(slot) = placed.get_mut(*at as usize) {
        *slot = entry;
    }
    *at = at.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_belongs_together_stands_together(entries: Vec<(u8, u16)>) {
            // some are addresses of IPv4
            let key_of = |key: u8| if key < 128 { 0xffff_0000_0000 | Key::from(key) } else { Key::from(key) };
            let (placed, groups) = by_key(entries.clone(), |(key, _)| key_of(*key), |range: &mut Range| range);
            let mut total = 0;
            for (key, (from, to)) in groups.iter() {
                let own: Vec<_> = entries.iter().copied().filter(|(of, _)| key_of(*of) == key).collect();
                prop_assert_eq!(&placed[*from as usize..*to as usize], &own[..]);
                total += own.len();
            }
            prop_assert_eq!((total, placed.len()), (entries.len(), entries.len()));
        }

        #[test]
        fn each_number_has_its_places(numbers in proptest::collection::vec(0u32..20, 0..100)) {
            let lists = Lists::new(18, numbers.iter().copied(), <[u32]>::reverse);
            for number in 0..20 {
                let mut places: Vec<u32> = (0..).zip(&numbers).filter(|(_, n)| **n == number).map(|(at, _)| at).collect();
                places.reverse();
                prop_assert_eq!(lists.of(number), if number < 18 { &places[..] } else { &[] });
            }
            prop_assert!(lists.of(u32::MAX).is_empty());
        }
    }
}
