//! Throughput of reading one datagram's message: a DNS response with four answers, a NetBIOS name, an NTP reply, a
//! router's, a STUN success, RTP, RTCP, what SCTP is proven and refused by, and a SIP head.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::inspect::{dns, message, ntp, portmap, rtp, sctp, stun};

const DNS_HEAD: &[u8] =
    b"\x12\x34\x81\x80\x00\x01\x00\x04\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";
const DNS_ANSWER: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
const STUN: &[u8] = b"\x01\x01\x00\x18\x21\x12\xa4\x42abcdefghijkl\x00\x20\x00\x08\x00\x01\x2c\xab\xe1\x12\xa6\x43\
    \x80\x22\x00\x08coturn-4";

fn messages(c: &mut Criterion) {
    let response = [DNS_HEAD, DNS_ANSWER, DNS_ANSWER, DNS_ANSWER, DNS_ANSWER].concat();
    let mut group = c.benchmark_group("messages");
    group.throughput(Throughput::Elements(1));
    group.bench_function("dns_response_4_answers", |b| {
        b.iter(|| {
            let message = dns::parse(black_box(&response)).ok()?;
            let question = message.question().map(|q| q.name.labels().map(<[u8]>::len).sum::<usize>());
            let addresses = message.answers().filter(|r| matches!(r.data(), dns::Data::A(_))).count();
            Some((question, addresses))
        });
    });
    let name = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01";
    group.bench_function("netbios_name", |b| b.iter(|| dns::is_netbios(black_box(name))));
    let reply = [&[0x24, 2, 6, 0xec][..], &[0xe3; 44]].concat();
    group.bench_function("ntp_reply", |b| {
        b.iter(|| ntp::parse(black_box(&reply)).map(|p| [p.origin, p.receive, p.transmit].map(ntp::moment)));
    });
    let mapped = [&[0, 128, 0, 0, 0, 0, 1, 0][..], &[100, 64, 3, 4]].concat();
    group.bench_function("nat_pmp_reply", |b| b.iter(|| portmap::outside(black_box(&mapped))));
    group.bench_function("stun_success", |b| {
        b.iter(|| stun::parse(black_box(STUN), STUN.len()).map(|m| m.details()));
    });
    let packet = [&b"\x80\x60\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03"[..], &[5; 160]].concat();
    group.bench_function("rtp", |b| b.iter(|| rtp::parse(black_box(&packet), 172)));
    let report = [&b"\x80\xc8\x00\x06"[..], &[1; 24], b"\x81\xca\x00\x01\x00\x00\x00\x01"].concat();
    group.bench_function("rtcp", |b| b.iter(|| rtp::report(black_box(&report), report.len())));
    // its chunk fills it, so it is summed
    let packet = [&b"\x13\x88\x13\x89\x00\x00\x00\x07\x00\x00\x00\x01\x00\x03\x04\xa4"[..], &[5; 1184]].concat();
    group.bench_function("sctp_1200_bytes", |b| b.iter(|| sctp::parse(black_box(&packet))));
    group.bench_function("not_sctp", |b| b.iter(|| sctp::parse(black_box(&[0x5a; 172]))));
    let head = b"REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\nUser-Agent: phone\r\nl: 0\r\n\r\n";
    group.bench_function("sip_head", |b| b.iter(|| message::datagram(black_box(head))));
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
