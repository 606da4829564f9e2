//! Hand-made records for tests and benches.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId, Rules};
use crate::engine::analysis::Identity;
use crate::event::*;
use crate::short::Short;
use crate::time::Timestamp;

/// A relay flow that uploads video, with every kind of detail that a TLS flow has.
pub fn relay() -> FlowRecord<'static> {
    FlowRecord {
        src_ip: "192.168.1.50".parse().unwrap(),
        src_port: Some(50_123),
        dest_ip: "203.0.113.7".parse().unwrap(),
        dest_port: Some(443),
        vlan: vec![100],
        flow: FlowCounts {
            start: Timestamp(1_750_000_000_000_000_007),
            end: Timestamp(1_750_000_072_000_000_007),
            age: 72.0,
            pkts_toserver: 30_000,
            pkts_toclient: 12_034,
            bytes_toserver: 37_000_000,
            bytes_toclient: 900_000,
            payload_toserver: 35_000_000,
            payload_toclient: 100_000,
            conn_state: Some("S1"),
            history: Short::of(*b"ShADad"),
            ..FlowCounts::default()
        },
        class: Class::Relay,
        subclass: ["video-up"].into_iter().collect(),
        region: Some("us-west".into()),
        confidence: 0.97,
        evidence: [Evidence { tier: "E1", text: Said::Text("SNI rec1.us-west.u5fgb.com".into()), frame: Some(17) }]
            .into_iter()
            .collect(),
        tls: Some(TlsRecord {
            sni: Some("rec1.us-west.u5fgb.com".into()),
            version: Some("TLSv1.3".into()),
            alpn: Cow::Owned(["http/1.1"].into_iter().collect()),
            ja4: Fingerprints::of(&["t13d1516h2_8daaf6152771_e5627efa2ab1"]),
            ja3: Fingerprints::of(&["cd08e31494f9531f560d64c695473da9"]),
            cipher: Some("TLS_AES_128_GCM_SHA256".into()),
            ..TlsRecord::default()
        }),
        tcp: Some(TcpRecord {
            rtt_min: Some(0.031),
            rtt_p95: Some(0.052),
            retransmissions: 12,
            ..TcpRecord::default()
        }),
        ..flow(0x1234_5678_9abc_def0, "TCP")
    }
}

/// A DNS flow of one exchange.
pub fn dns() -> FlowRecord<'static> {
    FlowRecord {
        src_ip: "192.168.1.50".parse().unwrap(),
        src_port: Some(40_000),
        dest_ip: "192.168.1.1".parse().unwrap(),
        dest_port: Some(53),
        class: Class::Dns,
        subclass: ["udp53"].into_iter().collect(),
        confidence: 0.95,
        dns: [DnsRecord {
            id: 7,
            qname: Some("rec1.us-west.u5fgb.com".into()),
            qtype: Some("A".into()),
            rcode: Some("NOERROR".into()),
            answers: Cow::Owned(["203.0.113.7"].into_iter().collect()),
            ttl: Some(60),
            rtt: Some(0.012),
        }]
        .into_iter()
        .collect(),
        ..flow(2, "UDP")
    }
}

/// An IPv6 flow of which nothing is known.
pub fn unknown() -> FlowRecord<'static> {
    FlowRecord {
        src_ip: "2001:db8::1".parse().unwrap(),
        src_port: Some(1234),
        dest_ip: "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap(),
        dest_port: Some(8443),
        subclass: ["midstream", "no-name"].into_iter().collect(),
        flags: ["unusual-port"].into_iter().collect(),
        flow: FlowCounts { midstream: true, one_sided: true, conn_state: Some("OTH"), ..FlowCounts::default() },
        ..flow(3, "TCP")
    }
}

/// A record of which only identity is filled in.
pub fn flow(flow_id: u64, proto: &'static str) -> FlowRecord<'static> {
    FlowRecord {
        schema_version: SCHEMA_VERSION,
        event_type: "flow",
        flow_id,
        community_id: Some(Short::of(*b"1:LQU9qZlK+B5F3KDmev6m5PMibrg=")),
        src_ip: "0.0.0.0".parse().unwrap(),
        src_port: None,
        dest_ip: "0.0.0.0".parse().unwrap(),
        dest_port: None,
        proto: proto.into(),
        vlan: Vec::new(),
        tunnel: Vec::new(),
        app_proto: None,
        flow: FlowCounts::default(),
        class: Class::Unknown,
        subclass: Words::new(),
        flags: Words::new(),
        region: None,
        confidence: 0.0,
        evidence: SmallVec::new(),
        via_proxy: None,
        proxied: None,
        tls: None,
        quic: None,
        dns: SmallVec::new(),
        dns_omitted: 0,
        http: Vec::new(),
        http_omitted: 0,
        rtsp: None,
        sip: None,
        stun: None,
        ntp: None,
        sctp: None,
        rtp: None,
        tcp: None,
    }
}

/// The facts of a slightly damaged capture.
pub fn quality() -> CaptureQuality {
    CaptureQuality {
        event_type: "capture_quality",
        frames: 12_034,
        bytes: 38_123_456,
        first: Some(Timestamp(1_750_000_000_000_000_000)),
        last: Some(Timestamp(1_750_000_262_000_000_000)),
        link_types: vec!["Ethernet".into()],
        kernel_drops: Some(3),
        duplicate_share: 0.021,
        missed_bytes: 4096,
        undecoded: [("cut-ip", 2), ("bad-ip", 1)].into(),
        warnings: vec!["site.pcapng ends within a block, at byte 38200000".into()],
        advice: "Good enough to judge: both directions were captured and little was lost.".into(),
        sound: true,
        ..CaptureQuality::default()
    }
}

/// Findings of every severity, and hints.
pub fn findings() -> Vec<FindingRecord> {
    let rules = Rules::embedded().unwrap();
    let at = Timestamp(1_750_000_010_000_000_000);
    let flow = |flow_id, proto: &'static str, dest_port| Identity {
        flow_id,
        protocol: if proto == "TCP" { 6 } else { 17 },
        src_ip: "192.168.1.50".parse().unwrap(),
        src_port: Some(40_112),
        dest_ip: "203.0.113.9".parse().unwrap(),
        dest_port: Some(dest_port),
        proto: proto.into(),
        start: at,
        first_frame: 1,
    };
    let draft = |rule| Draft::new(&rules, rule, at, Timestamp(at.0 + 40_000_000_000));
    let held =
        draft(RuleId::Cf1).lead(&flow(1, "TCP", 443)).host("a1.us-west.u5fgb.com").vantage(Some(Vantage::ClientLan));
    let held = held.say(Place::Seconds, 40).adjust(0.36).flows([4]).count(2);
    let held = held.evidence("a request of 417 bytes, acknowledged at once", Some(31), Some(at));
    let held = held.middlebox(Middlebox { ttl: Some(64), rtt: Some(0.000_8), ..Middlebox::default() });
    let stun = draft(RuleId::D13).lead(&flow(2, "UDP", 3478)).host("stun.u5fgb.com");
    let trickle = draft(RuleId::Cf3).lead(&flow(3, "TCP", 443)).say(Place::Seconds, 10).say(Place::Bytes, "1 B");
    let copies = draft(RuleId::D21).say(Place::Share, "2.1 %");
    [held, stun, copies, trickle].map(Draft::build).into()
}

/// A view that fell back to the relay.
pub fn session() -> SessionRecord {
    let at = |seconds: u64| Timestamp(1_750_000_000_000_000_000 + seconds * 1_000_000_000);
    let step = |method, outcome, reason: &str, flow, start: Option<u64>| SessionStep {
        method,
        outcome,
        reason: reason.into(),
        flow_ids: flow,
        flow_ids_omitted: 0,
        start: start.map(at),
        end: start.map(|s| at(s + 5)),
    };
    SessionRecord {
        event_type: "session",
        client: Some("198.51.100.7".parse().unwrap()),
        recorder: None,
        start: at(1),
        end: at(60),
        steps: vec![
            step(Method::Direct, StepOutcome::NotTried, "no connection to a forwarded port was seen", vec![], None),
            step(Method::P2p, StepOutcome::Failed, "STUN on UDP 3478 is not answered", vec![2], Some(1)),
            step(Method::Relay, StepOutcome::Worked, "", vec![1, 4], Some(6)),
        ],
        path: Some(Method::Relay),
        bit_rate: Some(3_900_000.0),
        table: Some(table(1, Quality::Hd, 4_000_000.0)),
        unseen: false,
        story: "Video came by the relay at 3.9 Mb/s; p2p failed: STUN on UDP 3478 is not answered.".into(),
        finding_ids: vec!["0123456789ab".into()],
        interim: false,
    }
}

fn table(channels: u32, quality: Quality, bit_rate: f64) -> TableRate {
    TableRate { channels, quality, bit_rate, source: "S1:167-172".into() }
}

/// A site with a recorder, of whose allow-list a row works, one is blocked, and one nobody tried.
pub fn site() -> SiteRecord {
    let at = |seconds: u64| Some(Timestamp(1_750_000_000_000_000_000 + seconds * 1_000_000_000));
    let row = |id: &str, pattern: &str, state, how: &str| AllowRow {
        id: id.into(),
        pattern: pattern.into(),
        ports: vec!["TCP 443".into()],
        requirement: "required",
        purpose: "API services".into(),
        state,
        how: how.into(),
        names: vec![pattern.into()],
        last: at(9),
        frame: Some(12),
        finding_ids: Vec::new(),
        finding_ids_omitted: 0,
        sources: vec!["S1:19-20".into()],
    };
    SiteRecord {
        product: "ows",
        product_assumed: false,
        recorders: vec![RecorderRecord {
            ip: "192.168.1.50".parse().unwrap(),
            given: false,
            last_active: at(61),
            last_registered: at(1),
            last_response: None,
            response_sequence: 41,
        }],
        recorders_omitted: 0,
        allow_list: vec![
            row("api", "restapi.gp4f.com", AllowState::Working, ""),
            row("lsf", "lsf.u5fgb.com", AllowState::Blocked, "no connection can be made on TCP 443 (rst, D-6)"),
            row("login", "ows.openeye.net", AllowState::NotExercised, ""),
        ],
        bandwidth: bandwidth(),
        flows_omitted: 12_345,
    }
}

fn bandwidth() -> Bandwidth {
    let upload = UploadRecord {
        flow_id: 9,
        src_ip: "192.168.1.50".parse().unwrap(),
        host: Some("oe-prod-media.s3.us-west-2.amazonaws.com".into()),
        start: Timestamp(1_750_000_000_000_000_000),
        bytes: 306_000_000,
        bit_rate: Some(5_000_000.0),
        clip_seconds: Some(1200.0),
    };
    Bandwidth {
        uplink_bit_rate: Some(5e6),
        uplink_by: Some(UplinkBy::Site),
        used_bit_rate: Some(1e6),
        headroom_bit_rate: Some(4e6),
        room_for: vec![table(4, Quality::Sd, 3e6), table(1, Quality::Hd, 4e6)],
        recommended_bit_rate: Some(5e6),
        uploads: vec![upload],
        uploads_omitted: 0,
        data: vec![DataUsage {
            what: "baseline cloud communication".into(),
            bytes: 31_250,
            seconds: 60.0,
            bytes_30_days: Some(1.35e9),
            table_bytes_30_days: Some(1.35e9),
            source: "S1:184".into(),
        }],
    }
}

/// The summary of a few flows of many classes.
pub fn summary() -> crate::present::summary::Summary {
    let mut builder = crate::present::summary::SummaryBuilder::new();
    for i in 0..3u64 {
        let mut flow = relay();
        flow.flow_id = i;
        flow.flow.payload_toserver /= i + 1;
        if i == 2 {
            flow.tls.as_mut().unwrap().sni = Some("a-recorder-with-a-rather-long-name.eu-central.u5fgb.com".into());
            flow.region = Some("eu-central".into());
            flow.confidence = 0.85;
        }
        builder.record(&flow);
    }
    let mut s3 = relay();
    (s3.class, s3.region, s3.flow_id) = (Class::S3, None, 9);
    s3.flow.payload_toserver = 1_234_567;
    s3.flow.conn_state = Some("SF");
    s3.tls.as_mut().unwrap().sni = Some("oe-prod-clips-bucket.s3.us-west-2.amazonaws.com".into());
    builder.record(&s3);
    builder.record(&dns());
    builder.record(&unknown());
    let files = vec!["site-1.pcapng".into(), "site-2.pcapng".into()];
    builder.finish(files, quality(), Stats { event_type: "stats", frames: 12_034, flows: 6, ..Stats::default() })
}
