//! HTTP over a stream in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::Fact;
use relayscope::inspect::http::{self, HttpStream};

mod feed;

fuzz_target!(|data: &[u8]| {
    let _ = http::probe(data);
    feed::feed(&mut HttpStream::default(), data, &mut |_, fact| {
        if let Fact::HttpRequest(request) = fact {
            let _ = (request.authority_form(), request.absolute_form());
        }
    });
});
