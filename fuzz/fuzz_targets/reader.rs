//! The cursor: no read may pass the end, and what was read and what is left must add up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::wire::Reader;

fuzz_target!(|data: &[u8]| {
    let (program, bytes) = data.split_at(data.len() / 2);
    let mut reader = Reader::new(bytes);
    for step in program {
        let before = reader.left();
        let n = usize::from(step >> 3);
        let (failed, taken) = match step & 7 {
            0 => (reader.u8().is_err(), 1),
            1 => (reader.u16().is_err(), 2),
            2 => (reader.u24().is_err(), 3),
            3 => (reader.u64().is_err(), 8),
            4 => (reader.take(n).is_err(), n),
            5 => (reader.sub(n).is_err(), n),
            6 => (false, reader.take_up_to(n).len()),
            _ => {
                let length = reader.rest().first().map_or(0, |&b| usize::from(b));
                let failed = reader.vec8().is_err();
                // A length without its bytes costs the length alone.
                (failed && before == 0, if failed { usize::from(before > 0) } else { length + 1 })
            }
        };
        assert_eq!(reader.left(), if failed { before } else { before - taken });
    }
});
