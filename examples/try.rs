use relayscope::{engine::*, source::*};
fn main() {
    let paths: Vec<std::path::PathBuf> = std::env::args().skip(1).map(Into::into).collect();
    let mut source = Source::open(&paths, CHUNK_BYTES);
    let mut engine = Engine::new(&Config { secret: 0x1234_5678_9abc_def1, ..Config::default() });
    let mut chunk = Chunk::default();
    while source.fill(&mut chunk) == Fill::More {
        engine.chunk(&chunk);
    }
    for p in source.take_problems() {
        eprintln!("{p:?}");
    }
    let a = engine.finish();
    let mut c = [0u64; 10];
    for s in &a.shards {
        let k = &s.learner.counts;
        for (x, y) in c.iter_mut().zip([
            k.tls_sni_flows,
            k.dtls_flows,
            k.dns_flows,
            k.dns_exchanges,
            k.stun_flows,
            k.http_requests,
            k.http_responses,
            s.table.len() as u64,
            s.memory() as u64,
        ]) {
            *x += y
        }
    }
    println!(
        "frames {} bytes {} sni {} dtls {} dns {} ex {} stun {} req {} resp {} flows {} mem {}",
        a.totals.frames, a.totals.bytes, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]
    );
    println!("sizes flow {} tcp {} ", size_of::<relayscope::flow::Flow>(), size_of::<relayscope::flow::tcp::Tcp>());
    if let Ok(s) = std::fs::read_to_string("/proc/self/status") {
        for l in s.lines().filter(|l| l.starts_with("RssAnon")) {
            println!("{l}");
        }
    }
}
