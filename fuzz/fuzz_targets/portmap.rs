//! What routers say of their outside address: whatever comes, an answer or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::portmap;

fuzz_target!(|data: &[u8]| {
    if let Some(address) = portmap::outside(data) {
        assert!(!address.is_unspecified());
    }
});
