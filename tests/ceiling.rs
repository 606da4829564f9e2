//! What is let go of, so that memory has a ceiling whatever arrives.

mod support;

use std::collections::BTreeSet;

use relayscope::engine::ceiling;
use relayscope::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Stats};
use relayscope::monitor::{Options, Sink};
use relayscope::source::{Frame, LinkType};
use relayscope::time::Timestamp;
use serde_json::Value;
use support::knowledge::Knowledge;
use support::lab::records;
use support::tape::{BEGIN, SECOND, Tape, visit};
use support::{SYN, dns, tcp, udp};

#[test]
fn memory_does_not_grow_with_what_comes_and_goes() {
    let mut knowledge = Knowledge::new();
    knowledge.config.flow.timeouts.other = 20 * SECOND;
    let mut options = knowledge.options();
    options.settings.let_go_flows = 64.0;
    options.settings.linger_seconds = 10.0;
    options.settings.answers_seconds = 30.0;
    options.settings.names_seconds = 60.0;
    let mut tape = Tape::new(knowledge.monitor_with(options));
    let mut held = Vec::new();
    for n in 0..6_000u64 {
        visit(&mut tape, n * 250, n);
        if n % 1_500 == 1_499 {
            let look = tape.monitor.look();
            held.push((look.analysis.len(), look.stats.memory_bytes));
        }
    }
    let [_, (flows, bytes), _, (flows_later, bytes_later)] = held[..] else { panic!("{held:?}") };
    assert!(flows < 2_000 && flows_later < flows * 5 / 4 && bytes_later < bytes * 5 / 4, "{held:?}");
    tape.monitor.finish(&mut tape.sink).unwrap();
    let told = records(&tape.sink.finish().unwrap());
    let flows: Vec<&Value> = told.iter().filter(|r| r["event_type"] == "flow").collect();
    let ids: BTreeSet<u64> = flows.iter().map(|flow| flow["flow_id"].as_u64().unwrap()).collect();
    assert_eq!((flows.len(), ids.len()), (12_000, 12_000), "each is told once");
    // what is let go takes nothing from what stays: names, numbers, parts
    for flow in flows.iter().filter(|flow| flow["proto"] == "TCP") {
        let sni = flow["tls"]["sni"].as_str().unwrap();
        let [_, a, b, c]: [u64; 4] = flow["dest_ip"]
            .as_str()
            .unwrap()
            .split('.')
            .map(|n| n.parse().unwrap())
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        assert_eq!(sni, format!("site{}.example.net", a << 16 | b << 8 | c), "{flow}");
        assert_eq!((&flow["flow"]["conn_state"], &flow["flow"]["pkts_toserver"]), (&"SF".into(), &3.into()), "{flow}");
        let told = flow["evidence"].as_array().unwrap().iter().any(|e| e["text"].as_str().unwrap().contains(sni));
        assert!(told, "{flow}");
    }
    for flow in flows.iter().filter(|flow| flow["proto"] == "UDP") {
        assert_eq!(flow["dns"].as_array().unwrap().len(), 1, "{flow}");
        assert!(flow["dns"][0]["qname"].as_str().unwrap().starts_with("site"), "{flow}");
    }
    let stats = told.iter().rfind(|r| r["event_type"] == "stats").unwrap();
    assert_eq!(
        (&stats["flows"], &stats["tls_sni_flows"], &stats["dns_exchanges"]),
        (&12_000.into(), &6_000.into(), &6_000.into())
    );
    assert!(stats["evicted_flows"].as_u64().unwrap() > 9_000, "{stats}");
}
#[test]
fn what_is_known_of_http_counts_below_the_ceiling() {
    let knowledge = Knowledge::new();
    const FLOWS: u16 = 2_000;
    let held = |text: &'static [u8]| {
        let mut monitor = knowledge.monitor();
        let mut count = Count::default();
        for n in 0..FLOWS {
            let ends = ("10.0.0.2", "203.0.113.9");
            let syn = tcp(10_000 + n, 80).seq(0).flags(SYN).ipv4(ends.0, ends.1).frame();
            let data = tcp(10_000 + n, 80).seq(1).ack(1).payload(text).ipv4(ends.0, ends.1).frame();
            for bytes in [syn, data] {
                let ts = Timestamp(BEGIN + u64::from(n));
                let frame = Frame { ts, link: LinkType(1), len: bytes.len() as u32, bytes: &bytes };
                monitor.frame(frame, &mut count).unwrap();
            }
        }
        monitor.held()
    };
    // neither is whole, so that nothing else is known of it yet
    let (other, http) = (held(&[0x80; 18]), held(b"GET / HTTP/1.1\r\nHo"));
    let each = http.saturating_sub(other) / usize::from(FLOWS);
    assert!(each >= std::mem::size_of::<relayscope::inspect::http::HttpStream>(), "{each} bytes a connection");
}

#[test]
fn a_flood_of_flows_stays_below_the_ceiling() {
    let knowledge = Knowledge::new();
    let most = ceiling::LEAST;
    let options = Options { max_memory: Some(most), ..knowledge.options() };
    let mut monitor = knowledge.monitor_with(options);
    let mut count = Count::default();
    let mut bytes = udp(5_000, 6_000).payload([1; 8]).ipv4("10.0.0.3", "203.0.113.9").frame();
    const FLOWS: u32 = 300_000;
    let mut highest = 0;
    for n in 0..FLOWS {
        // the source address; its checksums do not matter
        bytes[26..30].copy_from_slice(&(0x0a00_0000 | n).to_be_bytes());
        let ts = Timestamp(BEGIN + u64::from(n) * 10_000);
        monitor.frame(Frame { ts, link: LinkType(1), len: 50, bytes: &bytes }, &mut count).unwrap();
        if n % 1_000 == 0 {
            highest = highest.max(monitor.held());
        }
    }
    assert!(highest > most / 2 && highest <= most, "{highest}");
    monitor.finish(&mut count).unwrap();
    let Count { flows, evicted, stats } = count;
    assert_eq!(flows, u64::from(FLOWS), "each is told once");
    assert!(evicted > u64::from(FLOWS) / 2 && evicted == monitor.given_up());
    assert_eq!((stats.flows, stats.evicted_flows), (u64::from(FLOWS), evicted));
}

#[test]
fn what_goes_for_want_of_room_is_the_same_in_every_run() {
    let told = |secret: u64| {
        let mut knowledge = Knowledge::new();
        knowledge.config.secret = secret;
        let options = Options { max_memory: Some(ceiling::LEAST), ..knowledge.options() };
        let mut tape = Tape::new(knowledge.monitor_with(options));
        (0..9_000).for_each(|n| visit(&mut tape, n * 10, n));
        tape.monitor.finish(&mut tape.sink).unwrap();
        (tape.monitor.given_up(), tape.sink.finish().unwrap())
    };
    let (gone, first) = told(7);
    assert!(gone > 1_000 && told(u64::MAX).1 == first, "{gone}");
}

/// Lists that grow in flows which are never silent are told early, before flows that are not even old.
#[test]
fn hosts_that_ask_from_one_port_do_not_put_out_all_others() {
    // those who asked for a name of the system may keep more, and not all
    for first in ["example.com", "restapi.gp4f.com"] {
        let (asking, others) = evicted_where_all_ask(first);
        assert!(asking > 0 && others == 0, "{first}: {asking} {others}");
    }
}

/// How many flows of DNS and how many others are let go of below the least ceiling, where a hundred hosts ask from one
/// port, each for that name first, and others send a frame each.
fn evicted_where_all_ask(first: &str) -> (usize, usize) {
    const ASKED: u64 = 50_000;
    let knowledge = Knowledge::new();
    let options = Options { max_memory: Some(ceiling::LEAST), ..knowledge.options() };
    let mut tape = Tape::new(knowledge.monitor_with(options));
    for n in 0..ASKED {
        let client = format!("10.9.0.{}", n % 100);
        let name = if n < 100 { first.to_owned() } else { format!("{n:060}.{0:060}.{0:060}.example", 0) };
        tape.frame(n * 10, udp(5_000, 53).payload(dns(n as u16, &name, None)).ipv4(&client, "10.0.0.1"));
        let answer = dns(n as u16, &name, Some([198, 51, 100, 7]));
        tape.frame(n * 10 + 1, udp(53, 5_000).payload(answer).ipv4("10.0.0.1", &client));
        if n % 20 == 0 {
            let port = 10_000 + (n / 20) as u16;
            tape.frame(n * 10 + 2, udp(port, 6_000).payload([1; 8]).ipv4("10.9.1.1", "203.0.113.9"));
        }
    }
    tape.monitor.finish(&mut tape.sink).unwrap();
    let told = records(&tape.sink.finish().unwrap());
    let flows = || told.iter().filter(|r| r["event_type"] == "flow" && r["flow"]["interim"] != true);
    let lists = flows().filter(|r| r["src_port"] == 5_000 && r["dns_omitted"].is_null());
    // question and answer together
    let whole = |dns: &&Value| dns["rcode"] == "NOERROR" && dns["rtt"].is_number();
    assert_eq!(lists.flat_map(|r| r["dns"].as_array().unwrap()).filter(whole).count() as u64, ASKED);
    let evicted = |port: u64| flows().filter(|r| r["dest_port"] == port && r["flow"]["evicted"] == true).count();
    (evicted(53), evicted(6_000))
}

/// Counts what is told.
#[derive(Default)]
struct Count {
    flows: u64,
    evicted: u64,
    stats: Stats,
}

impl Sink for Count {
    type Error = std::convert::Infallible;

    fn flow(&mut self, record: &FlowRecord<'_>) -> Result<(), Self::Error> {
        self.flows += u64::from(!record.flow.interim);
        self.evicted += u64::from(record.flow.evicted);
        Ok(())
    }

    fn session(&mut self, _: &SessionRecord) -> Result<(), Self::Error> {
        Ok(())
    }

    fn finding(&mut self, _: &FindingRecord) -> Result<(), Self::Error> {
        Ok(())
    }

    fn capture_quality(&mut self, _: &CaptureQuality) -> Result<(), Self::Error> {
        Ok(())
    }

    fn stats(&mut self, record: &Stats) -> Result<(), Self::Error> {
        self.stats = record.clone();
        Ok(())
    }
}
