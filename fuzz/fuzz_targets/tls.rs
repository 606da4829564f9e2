//! TLS over a stream in pieces, DTLS, and the fingerprints of whatever hello is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::ja::{Transport, ja3, ja4};
use relayscope::inspect::tls::{self, TlsStream};
use relayscope::inspect::dtls::{self, DtlsState, Wanted};
use relayscope::inspect::x509::Certificate;
use relayscope::inspect::{Direction, Fact};

mod feed;

fn look(fact: Fact<'_>) {
    match fact {
        Fact::ClientHello(hello) => {
            let _ = (ja3(&hello), ja4(&hello, Transport::Tcp), hello.sni(), hello.ech(), hello.alpn().count());
        }
        Fact::Certificates(chain) => chain.for_each(|der| drop(Certificate::parse(der))),
        _ => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let _ = tls::probe(data);
    let _ = Certificate::parse(data);
    feed::feed(&mut TlsStream::with_certificates(), data, &mut |_: Direction, fact| look(fact));
    dtls::inspect(data, Wanted::Certificates, &mut look);
    let mut state = DtlsState::new();
    for (n, datagram) in data.chunks(64).enumerate() {
        let direction = if n % 3 == 0 { Direction::Resp } else { Direction::Orig };
        let _ = dtls::has_piece(datagram, Wanted::Hellos);
        state.inspect(direction, datagram, Wanted::Certificates, &mut look);
    }
});
