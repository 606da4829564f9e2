//! Traffic of each class, made up, for benches: long video, many short TLS openings, DNS, strangers that send once.

use relayscope::source::{Chunk, FrameRef, LinkType};
use relayscope::time::Timestamp;

use super::support::{ACK, PSH, SYN, application_data, client_hello, dns, server_hello, tcp, udp};

const SERVER: &str = "198.51.100.10";

/// Frames ten microseconds apart.
pub fn chunk(frames: Vec<Vec<u8>>) -> Chunk {
    let mut chunk = Chunk::default();
    for (n, frame) in frames.into_iter().enumerate() {
        let (start, caplen) = (chunk.buf.len() as u32, frame.len() as u32);
        let (ts, link) = (Timestamp(1_700_000_000_000_000_000 + n as u64 * 10_000), LinkType(1));
        chunk.buf.extend(frame);
        chunk.frames.push(FrameRef { ts, start, caplen, len: caplen, link });
    }
    chunk
}

fn client(n: u16) -> String {
    format!("10.{}.{}.1", n >> 8, n & 0xff)
}

/// SYN, SYN and ACK, both hellos.
fn opening(n: u16) -> Vec<Vec<u8>> {
    let (hello, answer, client) = (client_hello("relay.example.com", 300), server_hello(true), client(n));
    let seen = 1 + hello.len() as u32;
    vec![
        tcp(40_000, 443).flags(SYN).ipv4(&client, SERVER).frame(),
        tcp(443, 40_000).flags(SYN | ACK).ack(1).ipv4(SERVER, &client).frame(),
        tcp(40_000, 443).seq(1).ack(1).payload(hello).ipv4(&client, SERVER).frame(),
        tcp(443, 40_000).seq(1).ack(seen).payload(answer).ipv4(SERVER, &client).frame(),
    ]
}

/// Two hundred connections that each send a segment in turn.
fn video() -> Vec<Vec<u8>> {
    let mut frames: Vec<_> = (0..200).flat_map(opening).collect();
    let data = application_data(1395);
    for round in 0..100 {
        for n in 0..200 {
            let segment = tcp(443, 40_000).flags(PSH | ACK).seq(100 + round * 1400).ack(500).payload(&data[..]);
            frames.push(segment.ipv4(SERVER, &client(n)).frame());
        }
    }
    frames
}

fn exchange(n: u16) -> Vec<Vec<u8>> {
    let (name, client) = (format!("host{}.example.com", n % 97), client(n));
    vec![
        udp(50_000, 53).payload(dns(n, &name, None)).ipv4(&client, SERVER).frame(),
        udp(53, 50_000).payload(dns(n, &name, Some([192, 0, 2, 1]))).ipv4(SERVER, &client).frame(),
    ]
}

/// A datagram that nobody answers.
fn stranger(n: u16) -> Vec<u8> {
    udp(50_000 | n >> 8, 9_000).payload(&[0x5a; 40][..]).ipv4(&client(n), SERVER).frame()
}

/// Every class, by name.
pub fn classes() -> [(&'static str, Chunk); 4] {
    [
        ("video", chunk(video())),
        ("handshakes", chunk((0..5000).flat_map(opening).collect())),
        ("dns", chunk((0..10_000).flat_map(exchange).collect())),
        ("many-flows", chunk((0..20_000).map(stranger).collect())),
    ]
}
