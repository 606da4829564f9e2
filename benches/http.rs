//! HTTP/1.x: heads per second beside httparse, and chunked bodies passed over.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::inspect::http::HttpStream;
use relayscope::inspect::{Direction, StreamInspector};

const REQUEST: &[u8] = b"POST /stream/17?session=4be1 HTTP/1.1\r\nHost: a1.us-west.example.net\r\n\
    User-Agent: recorder/2.4 (linux; arm64)\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: keep-alive\r\n\
    Cookie: id=0123456789abcdef0123456789abcdef; theme=dark\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 02:05:43 GMT\r\nServer: example/1.18\r\n\
    Content-Type: application/json; charset=utf-8\r\nContent-Length: 0\r\nConnection: keep-alive\r\nVia: 1.1 edge\r\n\
    Cache-Control: no-store, must-revalidate\r\nX-Request-Id: 8f14e45f-ceea-467f-a0e6-1c2d3e4f5a6b\r\n\r\n";

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("http/heads");
    group.throughput(Throughput::Bytes((REQUEST.len() + RESPONSE.len()) as u64));
    group.bench_function("inspect", |b| {
        let mut stream = HttpStream::default();
        b.iter(|| {
            let mut facts = 0;
            stream.feed(Direction::Orig, black_box(REQUEST), &mut |_, _| facts += 1);
            stream.feed(Direction::Resp, black_box(RESPONSE), &mut |_, _| facts += 1);
            facts
        });
    });
    group.bench_function("httparse", |b| {
        b.iter(|| {
            let mut headers = [httparse::EMPTY_HEADER; 128];
            let request = httparse::Request::new(&mut headers).parse(black_box(REQUEST)).is_ok();
            let mut headers = [httparse::EMPTY_HEADER; 128];
            request && httparse::Response::new(&mut headers).parse(black_box(RESPONSE)).is_ok()
        });
    });
    group.finish();
}

fn chunks(c: &mut Criterion) {
    const CHUNK: usize = 8192;
    const SEGMENT: usize = 1448;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut wire = head.to_vec();
    for _ in 0..64 {
        wire.extend_from_slice(format!("{CHUNK:x}\r\n").as_bytes());
        wire.resize(wire.len() + CHUNK, 0x5a);
        wire.extend_from_slice(b"\r\n");
    }
    let mut group = c.benchmark_group("http/chunked");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function("segments", |b| {
        b.iter(|| {
            let mut stream = HttpStream::default();
            let (mut at, mut end) = (0, 0);
            while end < wire.len() {
                end = (end + SEGMENT).min(wire.len());
                if at < end {
                    let progress = stream.feed(Direction::Resp, &wire[at..end], &mut |_, _| {});
                    at += progress.consumed + progress.skip as usize;
                }
            }
            at
        });
    });
    group.finish();
}

criterion_group!(benches, heads, chunks);
criterion_main!(benches);
