//! Captures that are made while they are told.

use relayscope::monitor::Monitor;
use relayscope::present::ndjson::Ndjson;
use relayscope::source::{Frame, LinkType};
use relayscope::time::Timestamp;

use super::{ACK, FIN, PSH, SYN, client_hello, dns, server_hello, tcp, udp};

/// Seconds of packet time, in the unit of frames.
pub const SECOND: u64 = 1_000_000_000;
/// When synthetic captures begin.
pub const BEGIN: u64 = 1_700_000_000 * SECOND;

/// A capture that is made while it is told.
pub struct Tape<'a> {
    /// What tells it.
    pub monitor: Monitor<'a>,
    /// What it tells.
    pub sink: Ndjson<Vec<u8>>,
}

impl<'a> Tape<'a> {
    pub fn new(monitor: Monitor<'a>) -> Self {
        Tape { monitor, sink: Ndjson::new(Vec::new()) }
    }

    /// A frame at so many milliseconds.
    pub fn frame(&mut self, ms: u64, packet: super::Packet) {
        let bytes = packet.frame();
        let ts = Timestamp(BEGIN + ms * 1_000_000);
        let len = u32::try_from(bytes.len()).unwrap();
        self.monitor.frame(Frame { ts, link: LinkType(1), len, bytes: &bytes }, &mut self.sink).unwrap();
    }
}

/// A lookup, and a connection to the server that it names which says its name, is answered and closed: at so many
/// milliseconds, of the client that `n` tells.
pub fn visit(tape: &mut Tape<'_>, ms: u64, n: u64) {
    let name = format!("site{n}.example.net");
    let [_, _, _, _, _, a, b, c] = n.to_be_bytes();
    let (client, server) = (format!("10.{a}.{b}.{c}"), format!("203.{a}.{b}.{c}"));
    let port = 20_000 + (n % 40_000) as u16;
    tape.frame(ms, udp(port, 53).payload(dns(n as u16, &name, None)).ipv4(&client, "10.0.0.1"));
    let answer = dns(n as u16, &name, Some([203, a, b, c]));
    tape.frame(ms + 1, udp(53, port).payload(answer).ipv4("10.0.0.1", &client));
    let hello = client_hello(&name, 0);
    let end = 2 + hello.len() as u32;
    tape.frame(ms + 2, tcp(port, 443).seq(1).flags(SYN).ipv4(&client, &server));
    tape.frame(ms + 3, tcp(443, port).seq(9).ack(2).flags(SYN | ACK).ipv4(&server, &client));
    tape.frame(ms + 4, tcp(port, 443).seq(2).ack(10).flags(PSH | ACK).payload(hello).ipv4(&client, &server));
    let there = server_hello(true);
    let back = 10 + there.len() as u32;
    tape.frame(ms + 5, tcp(443, port).seq(10).ack(end).flags(PSH | ACK).payload(there).ipv4(&server, &client));
    tape.frame(ms + 6, tcp(port, 443).seq(end).ack(back).flags(FIN | ACK).ipv4(&client, &server));
    tape.frame(ms + 7, tcp(443, port).seq(back).ack(end + 1).flags(FIN | ACK).ipv4(&server, &client));
}
