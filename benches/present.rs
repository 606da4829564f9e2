//! How many flows a second the machine outputs can write.

use std::hint::black_box;
use std::io;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::event::FlowRecord;
use relayscope::filter::Filter;
use relayscope::present::csv::Csv;
use relayscope::present::ndjson::Ndjson;

#[path = "../src/present/sample.rs"]
#[allow(dead_code)]
mod sample;

// The samples are a file of the library's own tests, which names these by `crate`.
use relayscope::{diagnose, engine, event, present, short, time};

fn records(c: &mut Criterion) {
    let flows: Vec<FlowRecord<'_>> = vec![sample::relay(), sample::dns()];
    let mut group = c.benchmark_group("present");
    group.throughput(Throughput::Elements(flows.len() as u64));
    group.bench_function("ndjson", |b| {
        let mut sink = Ndjson::new(io::BufWriter::with_capacity(256 << 10, io::sink()));
        b.iter(|| flows.iter().for_each(|f| sink.flow(black_box(f)).unwrap()));
    });
    group.bench_function("csv", |b| {
        let mut sink = Csv::begin(io::BufWriter::with_capacity(256 << 10, io::sink())).unwrap();
        b.iter(|| flows.iter().for_each(|f| sink.flow(black_box(f)).unwrap()));
    });
    group.bench_function("filter", |b| {
        let filter = Filter::parse("relay sni:*.u5fgb.com (port:80,443 or host:10.0.0.0/8) rate>1M").unwrap();
        let known = relayscope::filter::Known::default();
        b.iter(|| flows.iter().filter(|f| filter.matches(black_box(*f), &known)).count());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = records
}
criterion_main!(benches);
