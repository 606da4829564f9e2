//! The hot path takes no memory: once a flow is known, its packets cost no allocation; a new flow costs a few.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use relayscope::engine::{Config, Engine};
use relayscope::source::{Chunk, FrameRef, LinkType};
use relayscope::time::Timestamp;
use support::{ACK, PSH, SYN, application_data, client_hello, dns, server_hello, tcp, udp};

thread_local! {
    /// Allocations of this thread: tests run beside each other.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CLIENT: &str = "192.168.1.50";
const SERVER: &str = "198.51.100.10";
const MILLISECOND: u64 = 1_000_000;

/// Frames a millisecond and more apart, as one chunk; `at` is moved on.
fn chunk(at: &mut u64, frames: impl IntoIterator<Item = Vec<u8>>) -> Chunk {
    let mut chunk = Chunk::default();
    for frame in frames {
        *at += 1_100_000;
        let (start, caplen) = (chunk.buf.len() as u32, frame.len() as u32);
        let (ts, link) = (Timestamp(1_700_000_000_000 * MILLISECOND + *at), LinkType(1));
        chunk.buf.extend(frame);
        chunk.frames.push(FrameRef { ts, start, caplen, len: caplen, link });
    }
    chunk
}

/// How many allocations the engine makes for a chunk.
fn cost(engine: &mut Engine, chunk: &Chunk) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    engine.chunk(chunk);
    ALLOCATIONS.with(Cell::get) - before
}

fn engine() -> Engine {
    Engine::new(&Config { records: true, secret: 1, ..Config::default() })
}

/// A connection up to and with both hellos, or the head of an HTTP response: frames, and where the streams stand.
fn opened(port: u16, up: &[u8], down: &[u8]) -> (Vec<Vec<u8>>, [u32; 2]) {
    let (u, d) = (1 + up.len() as u32, 1 + down.len() as u32);
    let frames = vec![
        tcp(40_000, port).flags(SYN).options(&[2, 4, 5, 0xb4, 3, 3, 7]).ipv4(CLIENT, SERVER).frame(),
        tcp(port, 40_000).flags(SYN | ACK).ack(1).options(&[2, 4, 5, 0xb4, 3, 3, 7]).ipv4(SERVER, CLIENT).frame(),
        tcp(40_000, port).seq(1).ack(1).payload(up).ipv4(CLIENT, SERVER).frame(),
        tcp(port, 40_000).seq(1).ack(u).payload(down).ipv4(SERVER, CLIENT).frame(),
        tcp(40_000, port).seq(u).ack(d).ipv4(CLIENT, SERVER).frame(),
    ];
    (frames, [u, d])
}

/// `n` segments of a stream from the server, an acknowledgement after each second; the places are moved on.
fn download(port: u16, n: usize, stream: &mut impl FnMut(usize) -> Vec<u8>, places: &mut [u32; 2]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for k in 0..n {
        let payload = stream(k);
        let [u, d] = *places;
        places[1] = d.wrapping_add(payload.len() as u32);
        frames.push(tcp(port, 40_000).flags(PSH | ACK).seq(d).ack(u).payload(payload).ipv4(SERVER, CLIENT).frame());
        if k % 2 == 1 {
            frames.push(tcp(40_000, port).seq(u).ack(places[1]).ipv4(CLIENT, SERVER).frame());
        }
    }
    frames
}

/// A stream of records, cut into segments without regard to them.
fn records() -> impl FnMut(usize) -> Vec<u8> {
    let mut waiting = Vec::new();
    move |_| {
        while waiting.len() < 1400 {
            waiting.extend(application_data(2311));
        }
        waiting.drain(..1400).collect()
    }
}

/// How long a connection is watched before its packets are counted, in the unit of `at`: past the first window of its
/// payload rates (5 s), at whose end a connection gets, once, a place of its own for them.
const PAST_FIRST_WINDOW: u64 = 6_000_000_000;

/// Warms the engine up with the opening and a tenth of the stream, then counts over 10,000 packets more.
fn steady(port: u16, up: &[u8], down: &[u8], mut stream: impl FnMut(usize) -> Vec<u8>) -> u64 {
    let (mut engine, mut at) = (engine(), 0);
    let (frames, mut places) = opened(port, up, down);
    cost(&mut engine, &chunk(&mut at, frames));
    at += PAST_FIRST_WINDOW;
    cost(&mut engine, &chunk(&mut at, download(port, 1000, &mut stream, &mut places)));
    let rest = chunk(&mut at, download(port, 6667, &mut stream, &mut places));
    assert!(rest.frames.len() >= 10_000);
    let cost = cost(&mut engine, &rest);
    let analysis = engine.finish();
    assert_eq!(analysis.shards.iter().map(|s| s.table.len()).sum::<usize>(), 1);
    cost
}

#[test]
fn a_tunnel_costs_no_allocation() {
    let packet = |n: u32| {
        let inner = tcp(443, 40_000).seq(1 + n * 1000).payload(vec![7; 1000]).ipv4(SERVER, CLIENT).frame();
        let payload = [&[8, 0, 0, 0, 0, 0, 9, 0][..], &inner].concat();
        udp(50_000, 4789).payload(payload).ipv4("203.0.113.1", "203.0.113.2").frame()
    };
    let (mut engine, mut at) = (engine(), 0);
    cost(&mut engine, &chunk(&mut at, (0..1).map(packet)));
    at += PAST_FIRST_WINDOW;
    cost(&mut engine, &chunk(&mut at, (1..1000).map(packet)));
    assert_eq!(cost(&mut engine, &chunk(&mut at, (1000..5000).map(packet))), 0);
}

#[test]
fn video_over_tls_costs_no_allocation() {
    let hello = client_hello("relay.example.com", 500);
    assert_eq!(steady(443, &hello, &server_hello(true), records()), 0);
}

#[test]
fn video_over_http_costs_no_allocation() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n";
    let get = b"GET /live HTTP/1.1\r\nHost: relay.example.com\r\n\r\n";
    assert_eq!(steady(80, get, head, |_| vec![0xee; 1400]), 0);
}

#[test]
fn video_in_chunks_costs_no_allocation() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let get = b"GET /live HTTP/1.1\r\nHost: relay.example.com\r\n\r\n";
    assert_eq!(steady(80, get, head, |_| [&b"3e8\r\n"[..], &[0xee; 1000], b"\r\n"].concat()), 0);
}

#[test]
fn an_unknown_stream_costs_no_allocation() {
    assert_eq!(steady(8887, b"\xff\xfe\xfd\xfc", b"\x99\x98\x97\x96", |_| vec![0xc3; 1400]), 0);
}

#[test]
fn media_over_udp_costs_no_allocation() {
    let (mut engine, mut at) = (engine(), 0);
    let datagram = |k: usize| {
        let payload = [&[0x80, 96][..], &(k as u16).to_be_bytes(), &[7; 1100]].concat();
        let packet = udp(50_000, 50_001).payload(payload);
        if k.is_multiple_of(9) {
            packet.ipv6("fd00::1", "fd00::2").frame()
        } else {
            packet.ipv4(CLIENT, SERVER).vlan(5).frame()
        }
    };
    cost(&mut engine, &chunk(&mut at, (0..1000).map(datagram)));
    assert_eq!(cost(&mut engine, &chunk(&mut at, (1000..11_000).map(datagram))), 0);
}

/// Many short connections of one kind; gives the allocations per flow, tables warmed up by as many before.
fn per_flow(of: impl Fn(u16) -> Vec<Vec<u8>>) -> f64 {
    const FLOWS: u16 = 8192;
    let (mut engine, mut at) = (engine(), 0);
    cost(&mut engine, &chunk(&mut at, (1024..1024 + FLOWS).flat_map(&of)));
    let fresh = chunk(&mut at, (1024 + FLOWS..1024 + 2 * FLOWS).flat_map(&of));
    cost(&mut engine, &fresh) as f64 / f64::from(FLOWS)
}

#[test]
fn a_lone_datagram_costs_next_to_nothing() {
    let cost = per_flow(|port| vec![udp(port, 9).payload([1; 40]).ipv4(CLIENT, SERVER).frame()]);
    assert!(cost < 0.1, "{cost} allocations a flow");
}

#[test]
fn an_unanswered_syn_costs_next_to_nothing() {
    let cost = per_flow(|port| vec![tcp(port, 443).flags(SYN).ipv4(CLIENT, SERVER).frame()]);
    assert!(cost < 0.1, "{cost} allocations a flow");
}

#[test]
fn a_dns_exchange_costs_a_few() {
    let cost = per_flow(|port| {
        let (query, answer) = (dns(port, "a.example.com", None), dns(port, "a.example.com", Some([1, 2, 3, 4])));
        let query = udp(port, 53).payload(query).ipv4(CLIENT, SERVER).frame();
        vec![query, udp(53, port).payload(answer).ipv4(SERVER, CLIENT).frame()]
    });
    // what is known of it, the list of its exchanges, the list of answers, the answer's text
    assert!(cost < 8.0, "{cost} allocations a flow");
}

#[test]
fn a_tls_opening_costs_a_few() {
    let (hello, answer) = (client_hello("relay.example.com", 300), server_hello(true));
    let cost = per_flow(|port| {
        vec![
            tcp(port, 443).flags(SYN).ipv4(CLIENT, SERVER).frame(),
            tcp(443, port).flags(SYN | ACK).ack(1).ipv4(SERVER, CLIENT).frame(),
            tcp(port, 443).seq(1).ack(1).payload(&hello[..]).ipv4(CLIENT, SERVER).frame(),
            tcp(443, port).seq(1).ack(1 + hello.len() as u32).payload(&answer[..]).ipv4(SERVER, CLIENT).frame(),
        ]
    });
    // most of them are the fingerprints' texts, which only records want
    assert!(cost < 40.0, "{cost} allocations a flow");
}
