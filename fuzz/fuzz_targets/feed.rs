//! Feeds a stream inspector as the engine does: both directions, cut at will, what is not consumed shown again.

use relayscope::inspect::{Direction, Fact, Next, StreamInspector};
use relayscope::wire::Reader;

/// `data`: a byte each for the direction, the length and now and then a hole, then the bytes.
pub fn feed(inspector: &mut dyn StreamInspector, data: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) {
    let mut reader = Reader::new(data);
    let mut held = [Vec::new(), Vec::new()];
    while let Ok(how) = reader.u8() {
        let (side, direction) = if how & 1 == 0 { (0, Direction::Orig) } else { (1, Direction::Resp) };
        if how & 0x3e == 0x3e {
            inspector.cut_short(direction, &held[side], emit);
            held[side].clear();
            if !inspector.gap(direction) {
                return;
            }
        }
        held[side].extend(reader.take_up_to(usize::from(how >> 1) * 2));
        while !held[side].is_empty() {
            let progress = inspector.feed(direction, &held[side], emit);
            assert!(progress.consumed <= held[side].len());
            let skip = usize::try_from(progress.skip).unwrap_or(usize::MAX);
            let taken = progress.consumed.saturating_add(skip).min(held[side].len());
            held[side].drain(..taken);
            if matches!(progress.next, Next::Finished | Next::Handover | Next::Reject) {
                return;
            }
            if taken == 0 || progress.next == Next::Done {
                break;
            }
        }
    }
}
