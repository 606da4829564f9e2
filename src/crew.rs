//! Work on many things at once, by as many threads as are wanted.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a lock guards: a thread that has failed has left it as it was between two of its steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `work` for each item, on `threads` threads at most, and gives what came of each, in the order of the items. A
/// thread that the system does not give is one that others do the work of.
pub fn map<T: Send, R: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if threads <= 1 || items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    let threads = threads.min(items.len());
    let (waiting, done) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::new()));
    let toil = || {
        let next = || lock(&waiting).next();
        while let Some((at, item)) = next() {
            let result = work(item);
            lock(&done).push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            if std::thread::Builder::new().spawn_scoped(scope, toil).is_err() {
                break;
            }
        }
        toil();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_their_items() {
        for threads in [0, 1, 2, 7, 100] {
            let items: Vec<u32> = (0..50).collect();
            assert_eq!(map(threads, items, |n| n * 2), (0..50).map(|n| n * 2).collect::<Vec<_>>(), "{threads} threads");
        }
        assert!(map(4, Vec::<u8>::new(), |n| n).is_empty());
    }
}
