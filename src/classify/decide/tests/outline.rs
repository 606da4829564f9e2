//! Flows of one outline have one verdict.

use std::collections::HashMap;

use super::*;
use crate::classify::decide::outline::Sketch;

const ENDS: [&str; 8] = [
    "192.168.1.77",
    "192.168.1.9",
    "203.0.114.9",
    "52.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "93.184.216.35",
    "224.0.0.1",
];
const NAMES: [&str; 5] = ["www.example.com", "mail.example.org", "a.us-west.u5fgb.com", "93.184.216.34", "dns.google"];

/// Flows of few outlines, so that many of them have one in common.
fn facts() -> impl Strategy<Value = FlowFacts<'static>> {
    let ports = vec![80u16, 443, 8887, 53, 123, 137, 554, 853, 2001, 3478, 5000, 5353, 8531, 8554, 9000, 61_000];
    let ports = prop::sample::select(ports);
    let ends = (0..8usize, 0..8usize, 40_000u16..40_003, ports);
    let names = (prop::option::weighted(0.2, 0..5usize), prop::option::weighted(0.1, 0..5usize));
    let shown = (any::<u8>(), 0u8..12, prop::sample::select(vec![0u32, 3, 9, 2000]));
    let small = (0u64..3, 0u64..400, 1u64..99);
    (ends, prop::sample::select(vec![TCP, UDP]), names, shown, small).prop_map(
        |((orig, resp, orig_port, port), proto, (sni, host), (bits, kind, media), (at, bytes, frame))| {
            let mut f = flow(proto, ENDS[orig], ENDS[resp], port, 100 + at);
            (f.orig.1, f.first_frame) = (orig_port, frame);
            (f.payload, f.bytes, f.pkts) = ([bytes, 3 * bytes], [2 * bytes, 4 * bytes], [bytes / 50, 1]);
            let seen = |n: usize| Seen { name: NAMES[n], id: None, frame };
            (f.sni, f.http_host) = (sni.map(seen), host.map(seen));
            let bit = |n: u8| bits >> n & 1 == 1;
            (f.midstream, f.one_sided, f.established) = (bit(0), bit(1), bit(2));
            let at_frame = Some(frame);
            match kind {
                0 => f.dns = at_frame,
                1 => f.ntp = at_frame,
                2 => f.ech = true,
                3 => f.rtsp = at_frame,
                4 | 5 => {
                    let requests = [1, u32::from(bit(4))];
                    let (ice, success) = (bit(3), u32::from(bit(5)));
                    f.stun = Some(StunFacts {
                        frame,
                        ice,
                        requests,
                        success,
                        turn: bit(6) && bit(7),
                        ..StunFacts::default()
                    });
                    (f.dtls, f.rtp) = (bit(6).then_some(frame), u32::from(bit(7)));
                    f.media_datagrams = media;
                }
                6 => (f.dtls, f.media_datagrams) = (at_frame, media),
                7 => f.rates.video_windows = [media, 0],
                8 => f.dns_offered = at_frame,
                _ => {}
            }
            f
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn flows_with_one_outline_have_one_verdict(
        all in prop::collection::vec(facts(), 300),
        site in prop::sample::select(vec!["", "recorders = [\"192.168.1.77\"]", "wan = [\"203.0.114.9\"]\ndirect_ports = [5000]"]),
    ) {
        let answers = [("192.168.1.77", "52.1.1.1", "a.us-west.u5fgb.com", 90), ("192.168.1.9", "93.184.216.34", "www.example.com", 95)];
        let world = World::new(site, &answers, &all[..3]);
        let know = world.knowledge();
        let mut known = HashMap::new();
        for f in &all {
            let Some(outline) = Sketch::of(f, &know).and_then(|sketch| sketch.outline(&know)) else { continue };
            let verdict = ask_every_rule(f, &know);
            prop_assert!(verdict.region.is_none() && verdict.via_proxy.is_none());
            let said = (verdict.class, verdict.subclass, verdict.confidence);
            let (before, other) = *known.entry(outline).or_insert((said, f));
            prop_assert_eq!(said, before, "{:?}\n{:?}", f, other);
        }
        prop_assert!(known.len() < all.len() || known.is_empty());
    }
}
