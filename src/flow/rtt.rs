//! Round-trip times: the smallest, and a high percentile, in a few bytes a flow.

/// Samples kept one by one before a histogram is worth its memory: as many as short connections have.
const FEW: usize = 10;
/// Histogram cells per doubling: a cell is at most 1/8 wide.
const PER_OCTAVE: usize = 8;
/// Cells: 2 µs to 2^32 µs.
const CELLS: usize = 32 * PER_OCTAVE;

/// Round-trip samples of one flow, in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Rtt {
    /// The smallest sample of each direction's data, by who sent it; 0 is none.
    min: [u32; 2],
    samples: Samples,
}

#[derive(Debug, Clone)]
enum Samples {
    /// So many, one by one, packed.
    Few(u8, [u16; FEW]),
    /// More than these: how many are in each cell.
    Many(Box<[u16; CELLS]>),
}

impl Default for Samples {
    fn default() -> Self {
        Samples::Few(0, [0; FEW])
    }
}

/// A sample in 16 bits, to one part in a thousand: a factor, and a power of two by which it is multiplied. The order
/// of samples is that of their packed forms.
const fn pack(micros: u32) -> u16 {
    match micros.checked_ilog2() {
        Some(top @ 11..) => {
            let shift = top.wrapping_sub(10);
            (shift << 11 | (micros >> shift)) as u16
        }
        _ => micros as u16,
    }
}

const fn unpack(packed: u16) -> u32 {
    (packed as u32 & 0x7ff) << (packed >> 11)
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
    /// Bytes of memory held beside its own.
    pub fn held(&self) -> usize {
        if let Samples::Many(cells) = &self.samples { size_of_val(&**cells) } else { 0 }
    }

    /// Takes the time, in microseconds, from a segment of `sender` (0 or 1) to its acknowledgement.
    ///
    /// A mirror in the middle sees each direction's data make only its own part of the way: the path's round trip is
    /// a sample of one side and the smallest of the other.
    ///
    /// A time that has no room in the number is none: nobody waits an hour for an acknowledgement.
    pub fn sample(&mut self, sender: usize, micros: u32) {
        let micros = micros.max(1);
        if micros == u32::MAX {
            return;
        }
        let Some(min) = self.min.get_mut(sender) else { return };
        if *min == 0 || micros < *min {
            *min = micros;
        }
        let other = self.min.get(1usize.wrapping_sub(sender)).copied().unwrap_or(0);
        self.keep(micros.saturating_add(other));
    }

    fn keep(&mut self, micros: u32) {
        match &mut self.samples {
            Samples::Few(count, first) => {
                if let Some(slot) = first.get_mut(usize::from(*count)) {
                    *slot = pack(micros);
                    *count = count.saturating_add(1);
                } else {
                    let mut cells = Box::new([0u16; CELLS]);
                    first.iter().for_each(|&m| bump(&mut cells, unpack(m)));
                    bump(&mut cells, micros);
                    self.samples = Samples::Many(cells);
                }
            }
            Samples::Many(cells) => bump(cells, micros),
        }
    }

    /// The smallest round trip of the whole path, in seconds.
    pub fn min(&self) -> Option<f64> {
        let [a, b] = self.min;
        (a != 0 || b != 0).then(|| f64::from(a.saturating_add(b)) / 1e6)
    }

    /// The 95th percentile of round trips, in seconds; within 1/8 once there are many.
    pub fn p95(&self) -> Option<f64> {
        self.percentile(95)
    }

    /// The 25th percentile: it stays low where a queue builds up and drains, and is high where one stands. In seconds,
    /// and as exact as the 95th; `None` while there are but a few samples.
    pub fn p25(&self) -> Option<f64> {
        self.of_many(25)
    }

    /// The median, as [`Rtt::p25`].
    pub fn p50(&self) -> Option<f64> {
        self.of_many(50)
    }

    fn of_many(&self, percent: u64) -> Option<f64> {
        if matches!(self.samples, Samples::Many(_)) { self.percentile(percent) } else { None }
    }

    fn percentile(&self, percent: u64) -> Option<f64> {
        let cells = match &self.samples {
            Samples::Many(cells) => cells,
            // a high one of so few is the highest
            Samples::Few(count, first) => {
                let highest = first.get(..usize::from(*count))?.iter().max()?;
                return Some(self.at_least_min(f64::from(unpack(*highest)) / 1e6));
            }
        };
        let total: u64 = cells.iter().map(|&c| u64::from(c)).sum();
        let wanted = total.saturating_mul(percent).div_ceil(100);
        let mut seen = 0u64;
        let found = cells.iter().position(|&c| {
            seen = seen.saturating_add(u64::from(c));
            seen >= wanted
        });
        found.map(|at| self.at_least_min(middle(at) / 1e6))
    }

    /// Samples are kept rounded, and the smallest is not: none was below it.
    fn at_least_min(&self, seconds: f64) -> f64 {
        self.min().map_or(seconds, |min| seconds.max(min))
    }

    /// The smallest round trip of the whole path, in microseconds, once both sides' parts of it are known.
    pub fn path(&self) -> Option<u32> {
        let [a, b] = self.min;
        (a != 0 && b != 0).then(|| a.saturating_add(b))
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
        rtt.sample(0, 30_000);
        rtt.sample(1, 1_000);
        assert_eq!(rtt.min(), Some(0.031));
        // what it is made of is kept rounded down
        assert_eq!(rtt.p95(), Some(0.031));
        assert_eq!((rtt.p25(), rtt.p50()), (None, None));
    }

    #[test]
    fn a_packed_sample_keeps_its_size_and_its_order() {
        let samples = [0u32, 1, 999, 2047, 2048, 2049, 31_000, 65_535, 1_000_003, 1 << 31, u32::MAX];
        for pair in samples.windows(2) {
            assert!(pack(pair[0]) <= pack(pair[1]));
        }
        for sample in samples {
            let error = f64::from(sample - unpack(pack(sample)));
            assert!(error <= f64::from(sample) / 1024.0, "{sample}");
        }
    }

    #[test]
    fn what_has_no_room_is_no_round_trip() {
        let mut rtt = Rtt::default();
        rtt.sample(0, u32::MAX);
        assert_eq!((rtt.min(), rtt.p95()), (None, None));
    }

    #[test]
    fn the_percentile_is_within_an_eighth() {
        let mut rtt = Rtt::default();
        for n in 1..=1000u32 {
            rtt.sample(0, n * 1_000);
        }
        let p95 = rtt.p95().unwrap();
        assert!((0.83..1.07).contains(&p95), "{p95}");
        let p25 = rtt.p25().unwrap();
        assert!((0.22..0.28).contains(&p25), "{p25}");
        let p50 = rtt.p50().unwrap();
        assert!((0.44..0.57).contains(&p50), "{p50}");
    }
}
