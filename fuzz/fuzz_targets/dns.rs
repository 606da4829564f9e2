//! DNS and NetBIOS messages, alone and over a stream in pieces: every name and every record's text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::dns::{self, DnsStream};

mod feed;

fuzz_target!(|data: &[u8]| {
    let _ = (dns::is_plausible(data), dns::is_netbios(data), dns::probe_tcp(data));
    if let Ok(message) = dns::parse(data) {
        let mut text = String::new();
        for question in message.questions() {
            let _ = question.name.write_to(&mut text);
        }
        for record in message.records() {
            let _ = (record.name.write_to(&mut text), record.data().to_string());
        }
        let _ = message.rcode();
    }
    feed::feed(&mut DnsStream::new(), data, &mut |_, _| {});
});
