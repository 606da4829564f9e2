//! TLS over a stream in pieces, DTLS, and the fingerprints of whatever hello is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::ja::{Transport, ja3, ja4};
use relayscope::inspect::tls::{self, TlsStream};
use relayscope::inspect::{Direction, Fact, dtls};

mod feed;

fn look(fact: Fact<'_>) {
    if let Fact::ClientHello(hello) = fact {
        let _ = (ja3(&hello), ja4(&hello, Transport::Tcp), hello.sni(), hello.ech(), hello.alpn().count());
    }
}

fuzz_target!(|data: &[u8]| {
    let _ = tls::probe(data);
    feed::feed(&mut TlsStream::new(), data, &mut |_: Direction, fact| look(fact));
    dtls::inspect(data, &mut look);
});
