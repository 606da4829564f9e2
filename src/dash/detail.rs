//! More of one flow: the tabs of the detail pane, as labelled lines.

use std::borrow::Cow;

use crate::event::{FlowRecord, Rfc3339};
use crate::evidence::ladder::Step;
use crate::present::human::ONE_SIDED;
use crate::text::icmp;
use crate::text::safe::{safe, safe_name};
use crate::text::units::{BitRate, Bytes, Count, Counted, Percent, RoundTrip, Span};
use crate::time::{SECOND, Timestamp};

use crate::event::word::words;

words! {
    /// The tabs of the detail pane.
    Tab {
        /// What it is, from whom to whom, how much.
        Summary "Summary",
        /// Why it is what it is, and what was found of it.
        Evidence "Evidence",
        /// How its TCP connection fares.
        Tcp "TCP",
        /// What TLS, QUIC, HTTP and DNS showed.
        Web "TLS/HTTP",
        /// What STUN, ICE and TURN showed.
        Stun "STUN/ICE",
        /// Its packets, one by one.
        Packets "Packets",
    }
}

/// A line: what it is about, and what is said.
pub type Line = (&'static str, String);

/// More of one flow.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// The flow.
    pub flow: u64,
    /// What it is, from whom to whom, how much.
    pub summary: Vec<Line>,
    /// Why it is what it is.
    pub evidence: Vec<Line>,
    /// TCP.
    pub tcp: Vec<Line>,
    /// TLS, QUIC, HTTP, DNS.
    pub web: Vec<Line>,
    /// STUN, ICE, TURN.
    pub stun: Vec<Line>,
    /// When its first packet came.
    pub begun: Timestamp,
    /// The packets that tell most; none where they cannot be read again.
    pub packets: Option<Vec<Step>>,
}

/// Gathers lines.
#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn add(&mut self, label: &'static str, text: impl ToString) {
        self.0.push((label, text.to_string()));
    }

    fn some(&mut self, label: &'static str, text: Option<impl ToString>) {
        if let Some(text) = text {
            self.add(label, text);
        }
    }

    fn count(&mut self, label: &'static str, n: u64) {
        if n > 0 {
            self.add(label, Count(n));
        }
    }
}

/// Seconds as people read them.
fn span(seconds: f64) -> Span {
    Span((seconds.max(0.0) * SECOND as f64) as u64)
}

impl Detail {
    /// Of a flow's record.
    pub fn of(record: &FlowRecord<'_>) -> Detail {
        Detail {
            flow: record.flow_id,
            summary: summary(record),
            evidence: evidence(record),
            tcp: tcp(record),
            web: web(record),
            stun: stun(record),
            begun: record.flow.start,
            packets: None,
        }
    }
}

/// What it says where it is ICMP, which has a type and a code in the place of ports.
fn says(record: &FlowRecord<'_>) -> Option<Cow<'static, str>> {
    let numbers = [record.src_port?, record.dest_port?];
    record.proto.ends_with("ICMP").then(|| icmp::words(record.proto != "ICMP", numbers))
}

fn summary(record: &FlowRecord<'_>) -> Vec<Line> {
    let mut lines = Lines::default();
    let end = |ip: std::net::IpAddr, port: Option<u16>| match port {
        Some(port) => std::net::SocketAddr::new(ip, port).to_string(),
        None => ip.to_string(),
    };
    let class = format!("{} {}", record.class.name(), record.subclass.join(" "));
    lines.add("class", class.trim_end());
    lines.add("sure", format!("{:.2} {}", record.confidence, crate::event::Word::of(record.confidence).text()));
    lines.some("region", record.region.as_deref().map(safe_name));
    let says = says(record);
    let port = |port: Option<u16>| port.filter(|_| says.is_none());
    lines.add("from", end(record.src_ip, port(record.src_port)));
    lines.add("to", end(record.dest_ip, port(record.dest_port)));
    lines.some("name", crate::present::name_of(record).map(safe_name));
    if let Some(proxy) = &record.via_proxy {
        let asked = safe(&proxy.authority);
        lines.add("by proxy", format!("{}, which was asked for {asked}", end(proxy.ip, Some(proxy.port))));
    }
    let spoken = says.as_deref().or(record.app_proto).unwrap_or_default();
    lines.add("protocol", format!("{} {spoken}", record.proto).trim_end());
    let counts = &record.flow;
    lines.add("began", Rfc3339(counts.start));
    lines.add("last", Rfc3339(counts.end));
    lines.add("took", span(counts.age));
    // what took no time has no rate
    let rate = |bytes: u64| match counts.age > 0.0 {
        true => format!(", {}", BitRate(bytes as f64 * 8.0 / counts.age)),
        false => String::new(),
    };
    let way = |payload: u64, bytes: u64, pkts: u64| {
        let frames = Counted(pkts, "frame");
        format!("{} payload, {} on the wire, {frames}{}", Bytes(payload), Bytes(bytes), rate(payload))
    };
    lines.add("up", way(counts.payload_toserver, counts.bytes_toserver, counts.pkts_toserver));
    lines.add("down", way(counts.payload_toclient, counts.bytes_toclient, counts.pkts_toclient));
    lines.count("copies", counts.duplicates);
    let words = |state| if counts.one_sided { ONE_SIDED } else { state_in_words(state) };
    lines.some("state", counts.conn_state.map(|state| format!("{state} ({})", words(state))));
    let notes = [("began before the capture", counts.midstream), ("one direction only", counts.one_sided)];
    for (note, _) in notes.iter().filter(|(_, holds)| *holds) {
        lines.add("note", note);
    }
    lines.some("oddities", (!record.flags.is_empty()).then(|| record.flags.join(" ")));
    lines.some("vlan", (!record.vlan.is_empty()).then(|| join(record.vlan.iter())));
    lines.some("tunnel", (!record.tunnel.is_empty()).then(|| record.tunnel.join(" ")));
    lines.some("community", record.community_id.as_deref());
    lines.add("flow id", record.flow_id);
    lines.0
}

/// What one of Zeek's states means.
pub fn state_in_words(state: &str) -> &'static str {
    match state {
        "S0" | "SH" => "no answer",
        "S1" => "open",
        "S2" | "S3" => "closing",
        "SF" => "closed",
        "REJ" => "refused",
        "RSTO" | "RSTR" | "RSTOS0" | "RSTRH" => "reset",
        "SHR" => "half seen",
        _ => "begun before",
    }
}

fn join<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

fn evidence(record: &FlowRecord<'_>) -> Vec<Line> {
    let mut lines = Lines::default();
    for reason in &record.evidence {
        let frame = reason.frame.map(|frame| format!("  [frame {}]", Count(frame))).unwrap_or_default();
        lines.add(reason.tier, format!("{}{frame}", safe(&reason.text.to_string())));
    }
    lines.0
}

fn tcp(record: &FlowRecord<'_>) -> Vec<Line> {
    let mut lines = Lines::default();
    let Some(tcp) = &record.tcp else { return lines.0 };
    lines.some("rtt least", tcp.rtt_min.map(RoundTrip));
    lines.some("rtt p95", tcp.rtt_p95.map(RoundTrip));
    let frames = record.flow.pkts_toserver.saturating_add(record.flow.pkts_toclient).max(1);
    let share = Percent(tcp.retransmissions as f64 / frames as f64);
    lines.add("sent again", format!("{} ({share})", Count(tcp.retransmissions)));
    lines.add("overtaken", Count(tcp.out_of_order));
    lines.add("zero windows", Count(tcp.zero_windows));
    lines.add("window full", Count(tcp.window_full));
    let who = |side: &str| if side == "orig" { "the originator" } else { "the responder" };
    lines.some("reset by", tcp.rst_by.map(who));
    lines.some("closed by", tcp.fin_by.map(who));
    lines.some("mss", tcp.mss);
    lines.add("not captured", format!("{} in {} gaps", Bytes(tcp.missed_bytes), Count(tcp.gaps)));
    lines.add("history", record.flow.history);
    lines.0
}

fn web(record: &FlowRecord<'_>) -> Vec<Line> {
    let mut lines = Lines::default();
    if let Some(tls) = &record.tls {
        lines.some("sni", tls.sni.as_deref().map(safe_name));
        lines.some("version", tls.version.as_deref());
        lines.some("cipher", tls.cipher.as_deref());
        lines.some("alpn", (!tls.alpn.is_empty()).then(|| safe(&join(tls.alpn.iter())).to_string()));
        for ja4 in tls.ja4.iter().flat_map(|j| j.iter()) {
            lines.add("ja4", ja4);
        }
        lines.some("subject", tls.subject.as_deref().map(safe));
        lines.some("issuer", tls.issuerdn.as_deref().map(safe));
        // certificates know whole seconds
        let second = |time: &String| time.chars().take(19).collect::<String>();
        let valid = tls.notbefore.as_ref().map(second).zip(tls.notafter.as_ref().map(second));
        lines.some("valid", valid.map(|(begin, end)| format!("{begin} to {end}")));
        lines.some("resumed", tls.resumed.then_some("yes"));
        lines.some("ech", tls.ech);
        lines.some("alert", tls.alert.as_deref());
    }
    if let Some(quic) = &record.quic {
        lines.some("quic", quic.version.as_deref());
        lines.some("sni", quic.sni.as_deref().map(safe_name));
    }
    for http in &record.http {
        let part = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(|t| safe(t).to_string());
        let asked = [part(&http.method), part(&http.host), part(&http.uri)].into_iter().flatten();
        lines.add("http", asked.collect::<Vec<_>>().join(" "));
        let body = [part(&http.content_type), part(&http.transfer_encoding), part(&http.upgrade)].into_iter().flatten();
        let length = http.content_length.map(|n| Bytes(n).to_string());
        let status = http.status.map(|s| s.to_string());
        let answer: Vec<_> = status.into_iter().chain(body).chain(length).collect();
        lines.some("", (!answer.is_empty()).then(|| answer.join(", ")));
    }
    lines.count("http more", record.http_omitted);
    for dns in &record.dns {
        let name = dns.qname.as_deref().map(|name| safe_name(name).to_string()).unwrap_or_default();
        let answers: Vec<_> = dns.answers.iter().map(|a| safe(a).to_string()).collect();
        let code = dns.rcode.as_deref().unwrap_or("no answer");
        let rtt = dns.rtt.map(|rtt| format!(" in {}", RoundTrip(rtt))).unwrap_or_default();
        let kind = dns.qtype.as_deref().unwrap_or_default();
        lines.add("dns", format!("{name} {kind}: {code}{rtt} {}", answers.join(" ")).trim_end());
    }
    lines.count("dns more", record.dns_omitted);
    for (label, message) in [("rtsp", &record.rtsp), ("sip", &record.sip)] {
        let text = message.as_ref().map(|m| {
            let parts = [m.method.as_deref(), m.uri.as_deref(), m.user_agent.as_deref()];
            parts.into_iter().flatten().map(|part| safe(part).to_string()).collect::<Vec<_>>().join(" ")
        });
        lines.some(label, text);
    }
    lines.0
}

fn stun(record: &FlowRecord<'_>) -> Vec<Line> {
    let mut lines = Lines::default();
    let Some(stun) = &record.stun else { return lines.0 };
    for (method, counts) in &stun.methods.0 {
        let text = format!(
            "{} asked, {} answered, {} refused",
            Count(counts.requests.into()),
            Count(counts.success.into()),
            Count(counts.error.into())
        );
        lines.add("exchange", format!("{}: {text}", safe(method)));
    }
    lines.some("mapped", (!stun.mapped.is_empty()).then(|| join(stun.mapped.iter())));
    lines.some("user", stun.username.as_deref().map(safe));
    lines.some("software", stun.software.as_deref().map(safe));
    if let Some(ice) = &stun.ice {
        lines.some("ice role", ice.role);
        lines.add("nominated", if ice.nominated { "yes" } else { "no pair of addresses was agreed on" });
    }
    lines.some("turn", stun.turn.then_some("yes"));
    lines.some("relayed", (!stun.relayed.is_empty()).then(|| join(stun.relayed.iter())));
    lines.some("peers", (!stun.peers.is_empty()).then(|| join(stun.peers.iter())));
    lines.count("channels", stun.channel_data);
    lines.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ViaProxy;
    use crate::present::sample;

    #[test]
    fn every_part_of_a_record_has_its_tab() {
        let detail = Detail::of(&sample::relay());
        let has = |lines: &[Line], label: &str| lines.iter().any(|(l, text)| *l == label && !text.is_empty());
        assert!(has(&detail.summary, "from") && has(&detail.summary, "up") && has(&detail.web, "sni"));
        assert!(has(&detail.tcp, "sent again") && !detail.evidence.is_empty());
        assert!(has(&Detail::of(&sample::dns()).web, "dns"));
    }

    #[test]
    fn a_proxy_is_told_by_its_address() {
        let authority = "a1b2.us-west.u5fgb.com:443".into();
        let proxy = ViaProxy { ip: [192, 168, 1, 1].into(), port: 3128, authority };
        let told = summary(&FlowRecord { via_proxy: Some(Box::new(proxy)), ..sample::relay() });
        let line = told.iter().find(|(label, _)| *label == "by proxy").unwrap();
        assert_eq!(line.1, "192.168.1.1:3128, which was asked for a1b2.us-west.u5fgb.com:443");
    }

    #[test]
    fn of_a_flow_seen_from_one_side_no_answer_is_missed() {
        let mut record = sample::relay();
        (record.flow.conn_state, record.flow.one_sided) = (Some("S0"), true);
        assert!(summary(&record).contains(&("state", "S0 (1-sided)".to_owned())));
    }

    #[test]
    fn icmp_has_no_ports() {
        let echo = FlowRecord { proto: "ICMP".into(), src_port: Some(8), dest_port: Some(0), ..sample::relay() };
        let told = summary(&echo);
        let text = |label: &str| told.iter().find(|(l, _)| *l == label).map(|(_, text)| &**text);
        assert_eq!((text("protocol"), text("to")), (Some("ICMP echo"), Some(&*echo.dest_ip.to_string())));
    }
}
