//! Dense storage that grows by blocks: no element ever moves, and growth never needs the memory twice.

/// How many elements one block holds.
const BLOCK: usize = 256;

/// A growing row of elements, each known by its number.
#[derive(Debug)]
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
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        if let Some(block) = self.blocks.last_mut() {
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
        self.blocks.len().saturating_mul(BLOCK.saturating_mul(size_of::<T>()))
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
}
