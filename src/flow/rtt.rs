//! Round-trip times: the smallest, and a high percentile, in a few bytes a flow.

/// Samples kept as they are before a histogram is worth its memory.
const EXACT: usize = 6;
/// Histogram cells per doubling: a cell is at most 1/8 wide.
const PER_OCTAVE: usize = 8;
/// Cells: 2 µs to 2^32 µs.
const CELLS: usize = 32 * PER_OCTAVE;

/// Round-trip samples of one flow, in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Rtt {
    /// The smallest sample of each direction's data, by who sent it; 0 is none.
    min: [u32; 2],
    count: u32,
    first: [u32; EXACT],
    cells: Option<Box<[u16; CELLS]>>,
}

fn cell(micros: u32) -> usize {
    let value = micros.max(1);
    let octave = value.ilog2();
    let within = (u64::from(value) << 3 >> octave) as usize % PER_OCTAVE;
    (octave as usize).wrapping_mul(PER_OCTAVE).wrapping_add(within)
}

/// The middle of a cell.
fn middle(cell: usize) -> f64 {
    let (octave, within) = (cell / PER_OCTAVE, cell % PER_OCTAVE);
    f64::from(2u32).powi(i32::try_from(octave).unwrap_or(31)) * (1.0 + (within as f64 + 0.5) / PER_OCTAVE as f64)
}

impl Rtt {
    /// Takes the time, in nanoseconds, from a segment of `sender` (0 or 1) to its acknowledgement.
    ///
    /// A mirror in the middle sees each direction's data make only its own part of the way: the path's round trip is
    /// a sample of one side and the smallest of the other.
    pub fn sample(&mut self, sender: usize, nanos: u64) {
        let micros = u32::try_from(nanos / 1000).unwrap_or(u32::MAX).max(1);
        let Some(min) = self.min.get_mut(sender) else { return };
        if *min == 0 || micros < *min {
            *min = micros;
        }
        let other = self.min.get(1usize.wrapping_sub(sender)).copied().unwrap_or(0);
        self.keep(micros.saturating_add(other));
    }

    fn keep(&mut self, micros: u32) {
        if let Some(slot) = self.first.get_mut(self.count as usize) {
            *slot = micros;
        } else {
            let first = &self.first;
            let cells = self.cells.get_or_insert_with(|| {
                let mut cells = Box::new([0u16; CELLS]);
                first.iter().for_each(|&m| bump(&mut cells, m));
                cells
            });
            bump(cells, micros);
        }
        self.count = self.count.saturating_add(1);
    }

    /// The smallest round trip of the whole path, in seconds.
    pub fn min(&self) -> Option<f64> {
        let [a, b] = self.min;
        (a != 0 || b != 0).then(|| f64::from(a.saturating_add(b)) / 1e6)
    }

    /// The 95th percentile of round trips, in seconds; within 1/8 once there are many.
    pub fn p95(&self) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        if let Some(cells) = &self.cells {
            let total: u64 = cells.iter().map(|&c| u64::from(c)).sum();
            let wanted = total.saturating_mul(95).div_ceil(100);
            let mut seen = 0u64;
            let found = cells.iter().position(|&c| {
                seen = seen.saturating_add(u64::from(c));
                seen >= wanted
            });
            return found.map(|at| middle(at) / 1e6);
        }
        let mut samples = self.first;
        let samples = samples.get_mut(..self.count as usize)?;
        samples.sort_unstable();
        samples.last().map(|&m| f64::from(m) / 1e6)
    }

    /// The smallest round trip of the whole path, in nanoseconds, once both sides' parts of it are known.
    pub fn path(&self) -> Option<u64> {
        let [a, b] = self.min;
        (a != 0 && b != 0).then(|| u64::from(a).saturating_add(u64::from(b)).saturating_mul(1000))
    }
}

fn bump(cells: &mut [u16; CELLS], micros: u32) {
    if let Some(count) = cells.get_mut(cell(micros)) {
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_the_path_add_up() {
        let mut rtt = Rtt::default();
        assert_eq!((rtt.min(), rtt.p95()), (None, None));
        rtt.sample(0, 30_000_000);
        rtt.sample(1, 1_000_000);
        assert_eq!(rtt.min(), Some(0.031));
        assert_eq!(rtt.p95(), Some(0.031));
    }

    #[test]
    fn the_percentile_is_within_an_eighth() {
        let mut rtt = Rtt::default();
        for n in 1..=1000u64 {
            rtt.sample(0, n * 1_000_000);
        }
        let p95 = rtt.p95().unwrap();
        assert!((0.83..1.07).contains(&p95), "{p95}");
    }
}
