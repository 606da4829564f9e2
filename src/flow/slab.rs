//! Dense storage that grows by blocks: growth never needs the memory twice, but for the first few elements, and seldom
//! asks the kernel for any, which keeps other threads waiting. What of a block was never used is not touched, and so
//! takes no memory; that is why it is not counted.

use super::NONE;

/// How many elements one block holds.
const BLOCK: usize = 1024;
/// How many the first one holds until it is full: most rows stay shorter. In steps of so many memory is counted.
const FEW: usize = 256;

/// A growing row of elements, each known by its number.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    blocks: Vec<Vec<T>>,
    free: Vec<u32>,
    len: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { blocks: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// Stores `value` and gives its number.
    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(number) = self.free.pop() {
            if let Some(slot) = self.get_mut(number) {
                *slot = value;
            }
            return number;
        }
        let number = self.len;
        if (number as usize).is_multiple_of(BLOCK) {
            self.blocks.push(Vec::with_capacity(if number == 0 { FEW } else { BLOCK }));
        }
        if let Some(block) = self.blocks.last_mut() {
            if block.len() == FEW {
                block.reserve_exact(BLOCK - FEW);
            }
            block.push(value);
        }
        self.len = self.len.wrapping_add(1);
        number
    }

    /// Gives the place `number` to the next element; what stands in it is left as it is until then.
    pub fn release(&mut self, number: u32) {
        self.free.push(number);
    }

    /// The element `number`.
    #[inline(always)]
    pub fn get(&self, number: u32) -> Option<&T> {
        self.blocks.get(number as usize / BLOCK)?.get(number as usize % BLOCK)
    }

    /// The element `number`, to change.
    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.blocks.get_mut(number as usize / BLOCK)?.get_mut(number as usize % BLOCK)
    }

    /// Every element that was ever stored, with its number; released places included.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.blocks.iter().flatten().enumerate().map(|(n, value)| (n as u32, value))
    }

    /// Every element, the one with the greatest number first.
    pub fn newest(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().rev().flat_map(|block| block.iter().rev())
    }

    /// Every element, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.blocks.iter_mut().flatten().enumerate().map(|(n, value)| (n as u32, value))
    }

    /// Keeps the elements for which `keep` holds, in their order and without gaps, and says which numbers they have
    /// now. They stay in the blocks that are there, and those that come free are given back: if all blocks were taken
    /// anew each time, that would leave gaps between them.
    pub fn compact(&mut self, keep: impl Fn(u32) -> bool) -> Renumbered {
        let mut numbers = Vec::with_capacity(self.len());
        let mut len = 0u32;
        let mut full: Vec<Vec<T>> = Vec::with_capacity(self.blocks.len());
        for mut block in std::mem::take(&mut self.blocks) {
            block.retain(|_| {
                let kept = keep(numbers.len() as u32);
                numbers.push(if kept { len } else { NONE });
                len = len.wrapping_add(u32::from(kept));
                kept
            });
            if let Some(last) = full.last_mut() {
                let room = BLOCK.saturating_sub(last.len());
                last.extend(block.drain(..room.min(block.len())));
            }
            if !block.is_empty() {
                full.push(block);
            }
        }
        if let [block] = &mut full[..]
            && block.len() <= FEW
        {
            block.shrink_to(FEW);
        }
        *self = Slab { blocks: full, free: Vec::new(), len };
        Renumbered(numbers)
    }

    /// How many places there are, free ones included.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nothing was ever stored.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that the blocks hold.
    pub fn memory(&self) -> usize {
        self.len().next_multiple_of(FEW).saturating_mul(size_of::<T>())
    }
}

/// The numbers that elements have after a slab was made compact, by those that they had before.
#[derive(Debug)]
pub struct Renumbered(Vec<u32>);

impl Renumbered {
    /// From a list of new numbers.
    pub fn new(numbers: Vec<u32>) -> Self {
        Renumbered(numbers)
    }

    /// The number that `before` has now; [`NONE`] if it is no longer there.
    pub fn of(&self, before: u32) -> u32 {
        self.0.get(before as usize).copied().unwrap_or(NONE)
    }
}

/// Marks on the elements of a slab.
#[derive(Debug)]
pub struct Marks(Vec<bool>);

impl Marks {
    /// No mark on any element of that slab.
    pub fn of<T>(slab: &Slab<T>) -> Self {
        Marks::new(slab.len())
    }

    /// No mark on any of so many elements.
    pub fn new(elements: usize) -> Self {
        Marks(vec![false; elements])
    }

    /// Marks the element `number`; [`NONE`] is none.
    pub fn mark(&mut self, number: u32) {
        if let Some(mark) = self.0.get_mut(number as usize) {
            *mark = true;
        }
    }

    /// Whether the element `number` is marked.
    pub fn has(&self, number: u32) -> bool {
        self.0.get(number as usize).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_released_places_are_used_again() {
        let mut slab = Slab::default();
        let numbers: Vec<u32> = (0..1000u32).map(|n| slab.insert(n)).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
        slab.release(7);
        assert_eq!(slab.insert(70), 7);
        assert_eq!((slab.get(7), slab.get(1000), slab.len()), (Some(&70), None, 1000));
        assert_eq!(slab.iter().count(), 1000);
    }

    #[test]
    fn what_is_kept_moves_up_in_order() {
        let mut slab = Slab::default();
        (0..1000u32).for_each(|n| _ = slab.insert(n));
        let numbers = slab.compact(|n| n % 10 == 3);
        assert_eq!((slab.len(), slab.memory()), (100, FEW * 4));
        assert_eq!([3, 4, 13, 993, 1000].map(|n| numbers.of(n)), [0, NONE, 1, 99, NONE]);
        assert!(slab.iter_mut().all(|(at, n)| *n == at * 10 + 3));
        assert_eq!(slab.insert(7), 100);
    }

    #[test]
    fn blocks_stay_where_they_are() {
        let mut slab = Slab::default();
        let fill = |slab: &mut Slab<u32>, to: u32| (slab.len() as u32..to).for_each(|n| assert_eq!(slab.insert(n), n));
        let places = |slab: &Slab<u32>| slab.blocks.iter().map(|block| block.as_ptr()).collect::<Vec<_>>();
        fill(&mut slab, 5000);
        let before = places(&slab);
        let numbers = slab.compact(|n| n % 3 != 1);
        let kept = places(&slab);
        assert_eq!((slab.len(), slab.memory(), kept.len()), (3333, 14 * FEW * 4, 4));
        assert!(kept.iter().all(|place| before.contains(place)));
        assert!(slab.iter().all(|(at, n)| *n == at / 2 * 3 + at % 2 * 2 && numbers.of(*n) == at));
        assert_eq!(slab.newest().next(), Some(&4998));
        fill(&mut slab, 5000);
        assert!((3333..5000).all(|at| slab.get(at) == Some(&at)) && places(&slab).starts_with(&kept));
        slab.compact(|_| false);
        assert!(slab.is_empty() && slab.blocks.is_empty());
        assert_eq!((slab.insert(7), slab.get(0)), (0, Some(&7)));
    }
}
