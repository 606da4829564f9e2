//! The whole engine: a byte for the link type, then frames (two bytes of length, a shift for the time since the last,
//! their bytes). No frame may be lost from the count, and every flow is named and written.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use relayscope::classify::site::Site;
use relayscope::engine::naming::KnowledgeBase;
use relayscope::engine::{Config, Engine};
use relayscope::source::{Frame, LinkType};
use relayscope::time::Timestamp;
use relayscope::wire::Reader;

static KNOWLEDGE: LazyLock<Option<KnowledgeBase>> = LazyLock::new(|| KnowledgeBase::new(None, Site::default()).ok());

const LINKS: [u16; 22] =
    [1, 0, 12, 14, 101, 108, 113, 228, 229, 276, 9, 50, 104, 105, 107, 119, 127, 192, 239, 129, 252, 258];

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(data);
    let link = LinkType(LINKS[usize::from(reader.u8().unwrap_or(0)) % LINKS.len()]);
    let mut engine = Engine::new(&Config { records: true, secret: 7, ..Config::default() });
    let (mut ts, mut frames) = (Timestamp(1 << 60), 0);
    while let Ok(length) = reader.u16() {
        ts = ts.after(1 << (reader.u8().unwrap_or(0) & 63));
        let bytes = reader.take_up_to(usize::from(length & 0x7ff));
        // the highest bit: the capture cut it
        let len = bytes.len() as u32 + u32::from(length >> 15) * 100;
        engine.frame(Frame { ts, link, len, bytes });
        frames += 1;
    }
    let analysis = engine.finish();
    let packets: u64 = analysis.shards.iter().flat_map(|s| s.table.flows().flat_map(|(_, flow)| s.table.pkts(flow))).sum();
    assert_eq!(packets + analysis.totals.undecoded.iter().sum::<u64>(), frames);
    let Some(base) = &*KNOWLEDGE else { panic!("the embedded knowledge cannot be read") };
    let naming = analysis.name(base);
    for at in analysis.in_order() {
        let Some(view) = analysis.view(at, &naming) else { panic!("a flow's place without a flow") };
        let _ = view.record(&view.verdict(&view.facts()));
    }
});
