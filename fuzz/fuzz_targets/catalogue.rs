//! The catalogue: any name is looked up, and what is found of it is a part of that name.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use relayscope::classify::catalogue::Catalogue;

static CATALOGUE: LazyLock<Option<Catalogue>> = LazyLock::new(|| Catalogue::embedded().ok());

fuzz_target!(|name: &str| {
    let Some(catalogue) = &*CATALOGUE else { panic!("the embedded catalogue cannot be read") };
    let told = catalogue.look_up(name);
    let lower = name.to_ascii_lowercase();
    for part in [told.region(name), told.bucket(name)].into_iter().flatten() {
        assert!(lower.contains(&*part.to_ascii_lowercase()));
    }
});
