//! The filter language: any text is read or refused with a message that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::filter::Filter;

fuzz_target!(|text: &str| {
    match Filter::parse(text) {
        Ok(filter) => drop(filter.asks_findings()),
        Err(error) => drop((error.offset(), error.render(text), error.to_string())),
    }
});
