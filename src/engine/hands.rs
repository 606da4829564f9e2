//! Who does work that falls into parts.
//!
//! The engine knows no threads: it says what the parts are, and who runs it has them done, by one hand or by many. What
//! comes of it is the same.

/// Those who do the parts of some work.
pub trait Hands {
    /// Into how many parts it pays to cut work that may be cut at will.
    fn count(&self) -> usize;

    /// Does `work` for each number below `parts`, in whatever order, and gives what came of each, in theirs.
    fn each<R: Send>(&self, parts: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R>;
}

/// One after the other.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Hands for Alone {
    fn count(&self) -> usize {
        1
    }

    fn each<R: Send>(&self, parts: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        (0..parts).map(work).collect()
    }
}
