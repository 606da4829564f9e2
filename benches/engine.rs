//! How many packets a second the engine takes, and the whole of what a summary needs, by class of traffic.

#[path = "../tests/support/mod.rs"]
mod support;
#[path = "../tests/support/workload.rs"]
mod workload;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use relayscope::classify::site::Site;
use relayscope::diagnose::diagnose;
use relayscope::diagnose::rules::Rules;
use relayscope::diagnose::scene::Scene;
use relayscope::engine::naming::KnowledgeBase;
use relayscope::engine::{Config, Engine};
use relayscope::source::Chunk;

fn engine() -> Engine {
    Engine::new(&Config { secret: 7, ..Config::default() })
}

/// Names and judges what an engine has seen; the number of findings.
fn judged(engine: Engine, base: &KnowledgeBase, rules: &Rules) -> usize {
    let analysis = engine.finish();
    let naming = analysis.name(base);
    let cases = analysis.cases(&naming);
    let quality = analysis.quality([].into_iter(), None, None, Vec::new());
    diagnose(&Scene { cases: &cases, rules, base, quality: &quality }).findings.len()
}

fn fed(mut engine: Engine, chunk: &Chunk) -> Engine {
    engine.chunk(black_box(chunk));
    engine
}

fn benches(c: &mut Criterion) {
    let (base, rules) = (KnowledgeBase::new(None, Site::default()).unwrap(), Rules::embedded().unwrap());
    for (name, chunk) in workload::classes() {
        let mut group = c.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Elements(chunk.frames.len() as u64));
        group.bench_function("engine", |b| {
            b.iter_batched(engine, |engine| fed(engine, &chunk), BatchSize::PerIteration)
        });
        group.bench_function("engine, names and diagnosis", |b| {
            b.iter_batched(engine, |engine| judged(fed(engine, &chunk), &base, &rules), BatchSize::PerIteration);
        });
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);
