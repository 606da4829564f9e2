//! What must hold of the whole engine, whatever the wire shows: it never panics, no frame is lost from the count, and
//! the order in which a network delivers a stream changes nothing of what the stream says.

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use relayscope::engine::analysis::{Analysis, Wanted};
use relayscope::engine::{Config, Engine};
use relayscope::flow::INSPECTED;
use relayscope::source::{Chunk, Frame, FrameRef, LinkType};
use relayscope::time::Timestamp;
use support::{ACK, FIN, PSH, RST, SYN, Segment, application_data, client_hello, dns, server_hello, tcp, udp};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;
const YEAR: u64 = 365 * 86_400 * SECOND;
const START: u64 = 1_700_000_000 * SECOND;

const CLIENT: &str = "192.168.1.50";
const SERVER: &str = "198.51.100.10";
/// The initial sequence numbers; the client's wraps round within its first bytes.
const ISN: [u32; 2] = [0xffff_ff00, 7_000];

/// A frame and when it was seen.
type Shot = (u64, Vec<u8>);

fn config() -> Config {
    Config { records: true, secret: 0x0123_4567_89ab_cdef, ..Config::default() }
}

/// Runs frames of one link type one by one.
fn run(link: u16, frames: &[Shot]) -> Analysis {
    let mut engine = Engine::new(&config());
    for (ts, bytes) in frames {
        let len = u32::try_from(bytes.len()).unwrap();
        engine.frame(Frame { ts: Timestamp(*ts), link: LinkType(link), len, bytes });
    }
    engine.finish()
}

/// Runs frames of one link type as one chunk.
fn run_chunk(link: u16, frames: &[Shot]) -> Analysis {
    let mut chunk = Chunk::default();
    for (ts, bytes) in frames {
        let (start, caplen) = (u32::try_from(chunk.buf.len()).unwrap(), u32::try_from(bytes.len()).unwrap());
        let (ts, link) = (Timestamp(*ts), LinkType(link));
        chunk.buf.extend(bytes);
        chunk.frames.push(FrameRef { ts, start, caplen, len: caplen, link });
    }
    let mut engine = Engine::new(&config());
    engine.chunk(&chunk);
    engine.finish()
}

#[test]
fn a_server_is_called_as_its_client_was_told_before() {
    let told = |client: &str, seconds: u64, name: &str, server: [u8; 4]| {
        let answer = dns(7, name, Some(server));
        (START + seconds * SECOND, udp(53, 50_000).payload(answer).ipv4("192.168.1.1", client).frame())
    };
    let (server, other) = ([198, 51, 100, 10], [198, 51, 100, 11]);
    let answers = [
        told(CLIENT, 1, "old.example", server),
        told(CLIENT, 2, "new.example", server),
        told(CLIENT, 3, "elsewhere.example", other),
        told("192.168.1.51", 4, "neighbour.example", server),
        told(CLIENT, 9, "late.example", server),
    ];
    let analysis = run(1, &answers);
    let wanted = |client: &str, server: &str, seconds: u64| Wanted {
        client: client.parse().unwrap(),
        server: server.parse().unwrap(),
        start: Timestamp(START + seconds * SECOND),
    };
    let wanted = [
        wanted(CLIENT, SERVER, 5),
        wanted("192.168.1.51", SERVER, 5),
        wanted(CLIENT, SERVER, 0),
        wanted(CLIENT, SERVER, 20),
        wanted(CLIENT, "198.51.100.12", 5),
        wanted("192.168.1.52", SERVER, 5),
    ];
    let names = [Some("new.example"), Some("neighbour.example"), Some("old.example"), Some("late.example"), None, None];
    assert_eq!(analysis.told_names(&wanted), names);
}

/// What is compared of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    ports: [u16; 2],
    midstream: bool,
    pkts: u64,
    payload: [u64; 2],
    duplicates: u32,
    retransmissions: u32,
    missed: u64,
    sni: String,
    version: u16,
    host: String,
    status: Option<u16>,
    /// Requests and responses of the whole run.
    exchanges: [u64; 2],
}

/// What all flows have told, in a fixed order.
fn told(analysis: &Analysis) -> Vec<Told> {
    let mut all = Vec::new();
    let counts = analysis.counts();
    for shard in &analysis.shards {
        for (_, flow) in shard.table.flows() {
            let name = |n: Option<u32>| n.map_or(String::new(), |n| shard.learner.strings.get(n).to_owned());
            let (tcp, counted) = (shard.table.tcp(flow), shard.table.counted(flow));
            let troubles = || tcp.and_then(|t| t.log.troubles()).into_iter().flatten();
            let mut told = Told {
                ports: flow.oriented(shard.table.sides(flow).map(|e| e.port)),
                midstream: flow.midstream(),
                pkts: counted.pkts.iter().sum(),
                payload: flow.oriented(counted.payload),
                duplicates: counted.duplicates,
                retransmissions: troubles().map(|t| t.retransmissions).sum(),
                missed: troubles().map(|t| t.missed).sum(),
                exchanges: [counts.http_requests, counts.http_responses],
                ..Told::default()
            };
            if let Some(tls) = shard.learner.tls_of(flow) {
                told.sni = name(tls.sni().map(|n| n.name));
                told.version = tls.version;
            }
            if let Some(http) = shard.learner.http_of(flow) {
                told.host = name(http.host.map(|n| n.name));
                told.status = http.status.map(|s| s.0);
            }
            all.push(told);
        }
    }
    all.sort();
    all
}

/// The one flow of a capture.
fn only(frames: &[Shot]) -> Told {
    let analysis = run(1, frames);
    assert_balanced(&analysis, frames.len());
    let mut all = told(&analysis);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// Every frame is in a flow or among those not decoded; the engine holds none back at the end.
fn assert_balanced(analysis: &Analysis, frames: usize) {
    let counted = || analysis.shards.iter().flat_map(|s| s.table.flows().map(|(_, flow)| s.table.counted(flow)));
    let in_flows: u64 = counted().flat_map(|flow| flow.pkts).sum();
    let undecoded: u64 = analysis.totals.undecoded.iter().sum();
    assert_eq!(analysis.totals.frames, frames as u64);
    assert_eq!(in_flows + undecoded, frames as u64);
    let bytes: u64 = counted().flat_map(|flow| flow.bytes).sum();
    assert!(bytes <= analysis.totals.bytes);
}

/// A segment of the connection from port 40,000 to `port`, from its server when `back`.
fn segment(port: u16, back: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let with = |s: Segment| s.flags(flags).seq(seq).ack(ack).payload(payload);
    let packet =
        if back { with(tcp(port, 40_000)).ipv4(SERVER, CLIENT) } else { with(tcp(40_000, port)).ipv4(CLIENT, SERVER) };
    packet.frame()
}

/// SYN, SYN and ACK, ACK.
fn opening(port: u16) -> Vec<Vec<u8>> {
    let [c, s] = ISN;
    vec![
        segment(port, false, SYN, c, 0, b""),
        segment(port, true, SYN | ACK, s, c.wrapping_add(1), b""),
        segment(port, false, ACK, c.wrapping_add(1), s.wrapping_add(1), b""),
    ]
}

/// One side's stream in pieces that are cut at `cuts`: offset, bytes.
fn pieces<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<(usize, &'a [u8])> {
    let mut at: Vec<usize> = cuts.iter().map(|c| c.index(stream.len())).chain([0, stream.len()]).collect();
    at.sort_unstable();
    at.dedup();
    at.windows(2).map(|w| (w[0], &stream[w[0]..w[1]])).collect()
}

/// Segments of one side's stream. `other`: the other side's stream has come so far.
fn segments(port: u16, back: bool, parts: &[(usize, &[u8])], other: usize) -> Vec<Vec<u8>> {
    let (own, peer) = (ISN[usize::from(back)], ISN[usize::from(!back)]);
    let place = |isn: u32, n: usize| isn.wrapping_add(1).wrapping_add(n as u32);
    let make =
        |&(at, bytes): &(usize, &[u8])| segment(port, back, PSH | ACK, place(own, at), place(peer, other), bytes);
    parts.iter().map(make).collect()
}

/// Frames ten milliseconds apart: far enough that none is taken for a mirror's copy.
fn timed(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Shot> {
    frames.into_iter().enumerate().map(|(n, frame)| (START + n as u64 * 10 * MILLISECOND, frame)).collect()
}

/// A connection whose two streams come as they are.
fn plain(port: u16, up: &[u8], down: &[u8]) -> Vec<Vec<u8>> {
    let up_parts: Vec<_> = up.chunks(1400).scan(0, |at, c| Some((std::mem::replace(at, *at + c.len()), c))).collect();
    let down_parts: Vec<_> =
        down.chunks(1400).scan(0, |at, c| Some((std::mem::replace(at, *at + c.len()), c))).collect();
    let streams = [segments(port, false, &up_parts, 0), segments(port, true, &down_parts, up.len())];
    [opening(port), streams.concat()].concat()
}

/// The streams of a connection: to the server, and back.
fn streams() -> impl Strategy<Value = (u16, Vec<u8>, Vec<u8>)> {
    let tls = (0usize..6000, any::<bool>(), 0usize..3000).prop_map(|(padding, tls13, n)| {
        let down = [server_hello(tls13), application_data(n)].concat();
        (443, client_hello("relay.example.com", padding), down)
    });
    let http = (0usize..3000, 0usize..3000).prop_map(|(up, down)| {
        let post =
            format!("POST /upload HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: {up}\r\n\r\n{}", "u".repeat(up));
        let get = "GET / HTTP/1.1\r\nHost: other.example.com\r\nUser-Agent: x\r\n\r\n";
        let ok = format!("HTTP/1.1 201 Created\r\nContent-Length: {down}\r\n\r\n{}", "d".repeat(down));
        let gone = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        (80, (post + get).into_bytes(), (ok + gone).into_bytes())
    });
    prop_oneof![tls, http]
}

/// What of a flow the order of its segments may not change.
fn facts(told: Told) -> Told {
    Told { pkts: 0, payload: [0; 2], retransmissions: 0, ..told }
}

/// A capture with something of everything.
fn mixture() -> Vec<Shot> {
    let get = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let mut frames = plain(80, get, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    frames.extend(plain(443, &client_hello("b.example", 3000), &server_hello(true)));
    frames.push(udp(5353, 53).payload(dns(1, "c.example", None)).ipv4(CLIENT, "198.51.100.53").frame());
    frames.push(udp(53, 5353).payload(dns(1, "c.example", Some([1, 2, 3, 4]))).ipv4("198.51.100.53", CLIENT).frame());
    frames.push(udp(9, 9).payload([0x80; 900]).ipv6("fd00::1", "fd00::2").vlan(7).frame());
    let whole = udp(6000, 6001).payload([5; 1600]).ipv4(CLIENT, SERVER);
    for (at, more) in [(0, true), (800, true), (1600, false)] {
        frames.push(fragment(&whole, 77, at, 800, more));
    }
    // an ICMP error about the DNS query
    let query = udp(5353, 53).payload(dns(1, "c.example", None)).ipv4(CLIENT, "198.51.100.53");
    let mut error = udp(0, 0).payload(query.ip()).ipv4(SERVER, CLIENT).frame();
    error[14 + 9] = 1;
    error[34..42].copy_from_slice(&[3, 1, 0, 0, 0, 0, 0, 0]);
    frames.push(error);
    frames.push([&[0xff; 6][..], &[2; 6], &[8, 6], &[0; 28]].concat());
    timed(frames)
}

/// The part of an IPv4 packet at `at`, of `n` bytes, as a fragment.
fn fragment(packet: &support::Packet, id: u16, at: usize, n: usize, more: bool) -> Vec<u8> {
    let (header, body) = packet.ip().split_at(20);
    let part = &body[at.min(body.len())..(at + n).min(body.len())];
    let mut ip = header.to_vec();
    ip[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
    ip[4..6].copy_from_slice(&id.to_be_bytes());
    ip[6..8].copy_from_slice(&((at / 8) as u16 | if more { 0x2000 } else { 0 }).to_be_bytes());
    [&[2; 12][..], &[8, 0], &ip, part].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics(
        link in prop::sample::select(vec![0u16, 1, 12, 14, 101, 108, 113, 228, 229, 276, 105, 65_535]),
        frames in prop::collection::vec((any::<u64>(), any::<Vec<u8>>()), 0..40),
    ) {
        assert_balanced(&run(link, &frames), frames.len());
    }

    #[test]
    fn noise_in_good_packets_never_panics(
        frames in prop::collection::vec(
            (any::<u32>(), any::<bool>(), 0usize..7, any::<[u8; 3]>(), prop::collection::vec(any::<u8>(), 0..200)), 0..60),
    ) {
        const PORTS: [u16; 7] = [53, 80, 443, 123, 3478, 5353, 50_000];
        let frames: Vec<Shot> = frames.into_iter().map(|(ts, over_tcp, port, [flags, seq, ack], payload)| {
            let segment = if over_tcp { tcp(40_000, PORTS[port]) } else { udp(40_000, PORTS[port]) };
            let segment = segment.flags(flags).seq(u32::from(seq)).ack(u32::from(ack)).payload(payload);
            (START + u64::from(ts) * MILLISECOND, segment.ipv4(CLIENT, SERVER).frame())
        }).collect();
        let analysis = run(1, &frames);
        assert_balanced(&analysis, frames.len());
        prop_assert_eq!(told(&analysis), told(&run_chunk(1, &frames)));
    }

    #[test]
    fn a_damaged_capture_balances(
        harm in prop::collection::vec((0u8..5, any::<Index>(), any::<Index>(), any::<u8>()), 0..40),
    ) {
        let mut frames = mixture();
        for (what, a, b, byte) in harm {
            let (n, m) = (a.index(frames.len()), b.index(frames.len()));
            let at = b.index(frames[n].1.len().max(1));
            match what {
                0 => frames.swap(n, m),
                1 => frames.push(frames[n].clone()),
                2 => frames[n].1.truncate(at),
                3 => frames[n].1.iter_mut().skip(at).take(1).for_each(|b| *b = byte),
                _ => frames[n].0 = frames[m].0.saturating_add(u64::from(byte) * SECOND),
            }
        }
        let analysis = run(1, &frames);
        assert_balanced(&analysis, frames.len());
        prop_assert_eq!(told(&analysis), told(&run_chunk(1, &frames)));
    }

    #[test]
    fn the_order_of_delivery_changes_no_fact(
        (port, up, down) in streams(),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
        extra in prop::collection::vec((any::<Index>(), any::<Index>()), 0..12),
        order in prop::collection::vec(any::<u64>(), 40),
    ) {
        let mut frames = opening(port);
        for (back, stream, other) in [(false, &up, 0), (true, &down, up.len())] {
            let mut parts = pieces(stream, &cuts);
            // the same bytes once more, cut in other places
            parts.extend(extra.iter().filter_map(|(from, to)| {
                let (from, to) = (from.index(stream.len()), to.index(stream.len()));
                (from < to).then(|| (from, &stream[from..to]))
            }));
            let mut keyed: Vec<_> = order.iter().zip(segments(port, back, &parts, other)).collect();
            keyed.sort();
            frames.extend(keyed.into_iter().map(|(_, frame)| frame));
        }
        let (shuffled, in_order) = (only(&timed(frames)), only(&timed(plain(port, &up, &down))));
        prop_assert_eq!(facts(shuffled), facts(in_order.clone()));
        prop_assert!(in_order.sni == "relay.example.com" || in_order.host == "api.example.com");
        prop_assert!(in_order.version != 0 || in_order.exchanges == [2, 2], "{:?}", in_order);
    }

    #[test]
    fn a_hello_in_many_segments_gives_its_name(
        padding in 0usize..14_000,
        cuts in prop::collection::vec(any::<Index>(), 0..40),
        order in prop::collection::vec(any::<u64>(), 42),
    ) {
        let hello = client_hello("many.example.com", padding);
        let parts = pieces(&hello, &cuts);
        let mut keyed: Vec<_> = order.iter().zip(segments(443, false, &parts, 0)).collect();
        keyed.sort();
        let frames = opening(443).into_iter().chain(keyed.into_iter().map(|(_, frame)| frame));
        let flow = only(&timed(frames));
        prop_assert_eq!((flow.sni.as_str(), flow.payload[0]), ("many.example.com", hello.len() as u64));
    }

    #[test]
    fn a_mirrors_copies_are_not_sent_again((port, up, down) in streams(), later in 1u64..900_000, hop in any::<bool>()) {
        let frames = timed(plain(port, &up, &down));
        let copies = frames.iter().flat_map(|(ts, frame)| {
            // the other VLAN's view, or a router's
            let mut copy = frame.clone();
            if hop {
                copy[14 + 8] -= 1;
            } else {
                copy.splice(12..12, [0x81, 0, 0, 7]);
            }
            [(*ts, frame.clone()), (*ts + later, copy)]
        });
        let (once, twice) = (only(&frames), only(&copies.collect::<Vec<_>>()));
        prop_assert_eq!(twice.duplicates as usize, frames.len());
        prop_assert_eq!(twice.retransmissions, 0);
        prop_assert_eq!(Told { pkts: once.pkts, duplicates: 0, ..twice }, once);
    }

    #[test]
    fn an_acknowledgement_may_come_before_its_data((port, up, down) in streams()) {
        let mut frames = plain(port, &up, &down);
        let ack = segment(port, true, ACK, ISN[1] + 1, ISN[0].wrapping_add(1).wrapping_add(up.len() as u32), b"");
        frames.insert(3, ack);
        let (flow, plain) = (only(&timed(frames)), only(&timed(plain(port, &up, &down))));
        prop_assert_eq!((flow.missed, flow.retransmissions), (0, 0));
        prop_assert_eq!(Told { pkts: 0, ..flow }, Told { pkts: 0, ..plain });
    }

    #[test]
    fn fragments_in_any_order_are_one_datagram(
        sizes in prop::collection::vec(1usize..40, 1..12),
        order in prop::collection::vec(any::<u64>(), 12),
    ) {
        let mut at = 0;
        let total: usize = sizes.iter().sum::<usize>() * 8;
        let whole = udp(40_000, 53).payload(vec![0xff; total - 8]).ipv4(CLIENT, SERVER);
        let parts: Vec<_> = sizes.iter().map(|n| {
            let part = fragment(&whole, 5, at, n * 8, at + n * 8 < total);
            at += n * 8;
            part
        }).collect();
        let mut keyed: Vec<_> = order.iter().zip(&parts).collect();
        keyed.sort();
        let flow = only(&timed(keyed.into_iter().map(|(_, frame)| frame.clone())));
        prop_assert_eq!((flow.ports, flow.payload[0], flow.pkts), ([40_000, 53], total as u64 - 8, parts.len() as u64));
    }
}

#[test]
fn a_flow_whose_opening_was_missed() {
    let hello = client_hello("middle.example", 0);
    let down = [application_data(900), application_data(10)].concat();
    let frames = [segments(443, true, &[(0, &down)], 0), segments(443, false, &[(0, &hello)], 0)].concat();
    let flow = only(&timed(frames));
    assert_eq!((flow.ports, flow.midstream, flow.sni.as_str()), ([40_000, 443], true, "middle.example"));
}

#[test]
fn a_port_used_again_is_another_flow() {
    let connection = |name: &str, isn: u32| {
        let hello = client_hello(name, 0);
        let end = isn.wrapping_add(1 + hello.len() as u32);
        vec![
            segment(443, false, SYN, isn, 0, b""),
            segment(443, true, SYN | ACK, isn ^ 5, isn.wrapping_add(1), b""),
            segment(443, false, ACK, isn.wrapping_add(1), (isn ^ 5) + 1, &hello),
            segment(443, false, FIN | ACK, end, (isn ^ 5) + 1, b""),
            segment(443, true, RST, (isn ^ 5) + 1, 0, b""),
        ]
    };
    let frames = timed([connection("first.example", 1000), connection("second.example", 900_000)].concat());
    let analysis = run(1, &frames);
    assert_balanced(&analysis, frames.len());
    let flows = told(&analysis);
    let names: Vec<_> = flows.iter().map(|f| (f.sni.as_str(), f.pkts)).collect();
    assert_eq!(names, [("first.example", 5), ("second.example", 5)]);
}

#[test]
fn a_connection_that_the_capture_cuts_is_not_inspected_for_ever() {
    let mut engine = Engine::new(&config());
    let mut show = |bytes: Vec<u8>, caplen: usize| {
        let (len, bytes) = (u32::try_from(bytes.len()).unwrap(), &bytes[..bytes.len().min(caplen)]);
        engine.frame(Frame { ts: Timestamp(START), link: LinkType(1), len, bytes });
        engine.look().shards.iter().flat_map(|shard| shard.table.flows()).all(|(_, flow)| flow.phase == INSPECTED)
    };
    let (port, mut seq) = (50_000, ISN[1].wrapping_add(1));
    let hello = client_hello("nvr.example", 0);
    for frame in opening(port).into_iter().chain([segment(port, false, ACK | PSH, ISN[0].wrapping_add(1), seq, &hello)])
    {
        assert!(!show(frame, usize::MAX));
    }
    let mut answer = || {
        let frame = segment(port, true, ACK, seq, ISN[0], &application_data(1300));
        seq = seq.wrapping_add(1305);
        frame
    };
    assert!((0..20).all(|_| !show(answer(), 96)));
    let done = (0..200).filter(|_| show(answer(), 96)).count();
    assert!(done > 50, "{done}");
}

/// Were time walked second by second, or flows looked at each step, this would take longer than anyone waits.
#[test]
fn years_of_silence_cost_nothing() {
    let mut frames = Vec::new();
    for n in 0..5_000u32 {
        let port = 1024 + (n % 50_000) as u16;
        // to and fro over five hundred years, and flows that live through it
        let ts = if n % 2 == 0 { START + u64::from(n % 53) * 10 * YEAR } else { u64::from(n) };
        frames.push((ts, udp(port, 9).payload([1; 10]).ipv4(CLIENT, SERVER).frame()));
    }
    frames.extend([0, 1, u64::MAX, u64::MAX - 1, 0].map(|ts| (ts, segment(80, false, SYN, 1, 0, b""))));
    assert_balanced(&run(1, &frames), frames.len());
    let slow: Vec<Shot> = (0..50).map(|n| (START + n * 10 * YEAR, segment(80, false, ACK, 1, 1, b"x"))).collect();
    let analysis = run(1, &slow);
    assert_eq!(told(&analysis).len(), 50);
    assert_eq!(analysis.shards.iter().map(|s| s.table.active()).sum::<usize>(), 1);
}

#[test]
fn the_mixture_tells_all_that_is_in_it() {
    let analysis = run(1, &mixture());
    let flows = told(&analysis);
    assert!(flows.iter().any(|f| f.sni == "b.example" && f.version == 0x0304));
    assert!(flows.iter().any(|f| f.host == "a.example" && f.status == Some(200)));
    assert!(flows.iter().any(|f| f.ports == [6000, 6001] && f.payload == [1600, 0] && f.pkts == 3));
    let learners = analysis.shards.iter().map(|s| &s.learner);
    assert_eq!(learners.clone().map(|l| l.counts.dns_exchanges).sum::<u64>(), 1);
    let quoted = analysis.shards.iter().any(|s| !s.learner.icmp.is_empty());
    assert!(quoted);
    assert_eq!(analysis.totals.undecoded.iter().sum::<u64>(), 1);
}
