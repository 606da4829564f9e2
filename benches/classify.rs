//! Host look-up and classification, one flow at a time.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::classify::catalogue::Catalogue;
use relayscope::classify::decide::outline::KnownEnds;
use relayscope::classify::decide::{Knowledge, classify};
use relayscope::classify::facts::{FlowFacts, Seen};
use relayscope::classify::names::Learnt;
use relayscope::classify::roles::RoleGather;
use relayscope::classify::rules::Rules;
use relayscope::classify::site::Site;
use relayscope::time::{SECOND, Timestamp};

const NAMES: [&str; 4] =
    ["a1b2.us-west.u5fgb.com", "www.example.com", "oe-prod-media.s3.us-west-2.amazonaws.com", "cdn.some.thing.net"];

fn benches(c: &mut Criterion) {
    let (catalogue, rules) = (Catalogue::embedded().expect("embedded"), Rules::embedded().expect("embedded"));
    let mut group = c.benchmark_group("classify");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    group.throughput(Throughput::Elements(NAMES.len() as u64));
    group.bench_function("look_up", |b| b.iter(|| NAMES.map(|n| catalogue.look_up(black_box(n)).class)));

    let client: IpAddr = [10, 0, 0, 1].into();
    let mut learnt = Learnt::new(1 << 20);
    let mut flows = Vec::new();
    for i in 0..100_000u32 {
        let server = IpAddr::from((0x3400_0000 + i).to_be_bytes());
        let name = NAMES[i as usize % NAMES.len()];
        let id = learnt.names.intern(name);
        let mut flow = FlowFacts::new(6, (client, 40_000), (server, 443), Timestamp(u64::from(i) * SECOND));
        flow.sni = (i % 2 == 0).then_some(Seen { name, id, frame: u64::from(i) });
        if let Some(id) = id {
            learnt.answer(client, server, id, flow.start, 60, u64::from(i));
            learnt.carried(server, id, flow.start, u64::from(i));
        }
        flows.push(flow);
    }
    let names = learnt.freeze(&catalogue, &rules);
    let roles = RoleGather::new().freeze(&Site::default(), &rules);
    let known = KnownEnds::of(&catalogue, &names, &roles);
    let knowledge = Knowledge { catalogue: &catalogue, rules: &rules, names: &names, roles: &roles, known: &known };
    group.throughput(Throughput::Elements(flows.len() as u64));
    group.bench_function("classify", |b| {
        b.iter(|| flows.iter().map(|f| classify(f, &knowledge).confidence).sum::<f32>());
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
