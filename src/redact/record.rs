//! Records with pseudonyms in them.

use std::borrow::Cow;
use std::net::IpAddr;

use super::Redactor;
use super::literals::Full;
use crate::decode::proto;
use crate::diagnose::Diagnosis;
use crate::event::{
    CaptureQuality, End, FindingRecord, FlowRecord, HttpRecord, MessageRecord, Said, SessionRecord, SiteRecord,
    TlsRecord,
};
use crate::flow::key::community_id;
use crate::short::Short;

/// What stands for a text that may hold anything.
const HIDDEN: &str = "…";

/// Words that protocols have for such fields; any other may be anybody's. Methods of HTTP (RFC 9110 §9, RFC 5789 §2,
/// RFC 4918 §9), RTSP (RFC 2326 §10, RFC 7826 §13), SIP (RFC 3261 §7.1 and what extends it), SSDP and HTTP/2 (RFC 9113
/// §3.4).
const METHODS: [&str; 42] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "DESCRIBE",
    "ANNOUNCE",
    "GET_PARAMETER",
    "SET_PARAMETER",
    "PAUSE",
    "PLAY",
    "PLAY_NOTIFY",
    "RECORD",
    "REDIRECT",
    "SETUP",
    "TEARDOWN",
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
    "M-SEARCH",
    "PRI",
];
/// Codings (RFC 9112 §7).
const CODINGS: [&str; 8] = ["chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress", "identity", "trailers"];
/// What a connection may become (RFC 9110 §7.8), and the protocols of ALPN that IANA has and clients offer.
const PROTOCOLS: [&str; 24] = [
    "websocket",
    "h2c",
    "h2",
    "h3",
    "TLS/1.0",
    "TLS/1.1",
    "TLS/1.2",
    "TLS/1.3",
    "HTTP/2.0",
    "http/0.9",
    "http/1.0",
    "http/1.1",
    "spdy/1",
    "spdy/2",
    "spdy/3",
    "spdy/3.1",
    "stun.turn",
    "stun.nat-discovery",
    "webrtc",
    "c-webrtc",
    "imap",
    "ftp",
    "dot",
    "doq",
];
/// Kiss codes (RFC 5905 §7.4), and that of NTS (RFC 8915 §5.7).
const KISSES: [&str; 15] = [
    "ACST", "AUTH", "AUTO", "BCST", "CRYP", "DENY", "DROP", "RSTR", "INIT", "MCST", "NKEY", "NTSN", "RATE", "RMOT",
    "STEP",
];

impl Redactor {
    /// Remembers texts of a flow that sentences may repeat.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn learn(&mut self, flow: &FlowRecord<'_>) -> Result<(), Full> {
        if !self.what.names {
            return Ok(());
        }
        let mut texts: Vec<String> = Vec::new();
        if let Some(tls) = &flow.tls {
            texts.extend(tls.issuerdn.iter().chain(&tls.subject).map(|text| text.to_string()));
        }
        for text in texts {
            let by = self.owner(&text);
            self.replace(&text, &by)?;
            // sentences name an owner by its common name or organization alone
            for part in text.split(", ").filter_map(|part| part.split_once('=')) {
                if matches!(part.0, "CN" | "O" | "OU") && !self.is_public(part.1) {
                    let by = self.owner(part.1);
                    self.replace(part.1, &by)?;
                }
            }
        }
        let single = flow
            .dns
            .iter()
            .filter_map(|dns| dns.qname.as_deref())
            .chain(flow.http.iter().filter_map(|http| http.host.as_deref()));
        // what has two letters is a country, for whose servers resolvers ask: `in`, `to`, `is`
        let is_host = |name: &&str| !name.contains(['.', ':']) && name.len() > 2;
        let single: Vec<String> = single.filter(is_host).map(str::to_owned).collect();
        for name in single {
            let by = self.name(&name);
            self.replace(&name, &by)?;
        }
        Ok(())
    }

    /// Whether a name is one that the catalogue publishes.
    fn is_public(&self, name: &str) -> bool {
        self.names.name(name).eq_ignore_ascii_case(name)
    }

    fn owner(&self, text: &str) -> String {
        format!("owner-{}", self.token(b"owner", text))
    }

    fn cow<'a>(&self, text: &mut Cow<'a, str>, tell: impl Fn(&str) -> String) {
        *text = Cow::Owned(tell(text));
    }

    fn end(&self, End(end): &mut End) {
        end.set_ip(self.ip(end.ip()));
    }

    /// The community id of a flow whose ends are these now.
    fn community(&self, id: &mut Option<Short>, name: &str, src: (IpAddr, Option<u16>), dst: (IpAddr, Option<u16>)) {
        if self.what.ips {
            let number =
                [proto::TCP, proto::UDP, proto::SCTP].into_iter().find(|number| proto::name(*number) == Some(name));
            *id = match (id.as_ref(), number, src.1, dst.1) {
                (Some(_), Some(number), Some(from), Some(to)) => {
                    Some(community_id(0, number, (src.0, from), (dst.0, to)))
                }
                // of others it depends on what the record does not hold
                _ => None,
            };
        }
    }

    /// A flow.
    pub fn flow(&self, flow: &mut FlowRecord<'_>) {
        (flow.src_ip, flow.dest_ip) = (self.ip(flow.src_ip), self.ip(flow.dest_ip));
        let ends = ((flow.src_ip, flow.src_port), (flow.dest_ip, flow.dest_port));
        self.community(&mut flow.community_id, &flow.proto, ends.0, ends.1);
        for line in &mut flow.evidence {
            line.text = Said::Text(Cow::Owned(self.text(&line.text.to_string())));
        }
        if let Some(region) = &mut flow.region {
            *region = Cow::Owned(self.region(region));
        }
        if let Some(proxy) = &mut flow.via_proxy {
            proxy.ip = self.ip(proxy.ip);
            self.cow(&mut proxy.authority, |text| self.host(text));
        }
        if let Some(proxied) = &mut flow.proxied {
            (proxied.src_ip, proxied.dest_ip) = (self.ip(proxied.src_ip), self.ip(proxied.dest_ip));
        }
        if let Some(tls) = &mut flow.tls {
            self.tls(tls);
        }
        if let Some(quic) = &mut flow.quic {
            quic.sni.iter_mut().for_each(|name| self.cow(name, |name| self.host(name)));
            quic.user_agent.iter_mut().for_each(|text| self.cow(text, |text| self.agent(text)));
        }
        for dns in &mut flow.dns {
            dns.qname.iter_mut().for_each(|name| self.cow(name, |name| self.host(name)));
            dns.answers = Cow::Owned(dns.answers.iter().map(|answer| self.answer(answer)).collect());
        }
        flow.http.iter_mut().for_each(|http| self.http(http));
        flow.rtsp.iter_mut().chain(&mut flow.sip).for_each(|message| self.message(message));
        if let Some(kiss) = flow.ntp.as_mut().and_then(|ntp| ntp.kiss.as_mut()) {
            self.cow(kiss, |text| self.listed(text, &KISSES));
        }
        if let Some(stun) = &mut flow.stun {
            stun.mapped.iter_mut().chain(&mut stun.relayed).chain(&mut stun.peers).for_each(|end| self.end(end));
            if self.what.names {
                stun.username = None;
            }
            stun.software.iter_mut().for_each(|text| self.cow(text, |text| self.agent(text)));
        }
    }

    fn tls(&self, tls: &mut TlsRecord<'_>) {
        tls.sni.iter_mut().for_each(|name| self.cow(name, |name| self.host(name)));
        tls.san = tls.san.iter().map(|name| self.host(name)).collect();
        if !tls.alpn.is_empty() {
            tls.alpn = Cow::Owned(tls.alpn.iter().map(|text| self.listed(text, &PROTOCOLS)).collect());
        }
        if self.what.names {
            tls.subject.iter_mut().chain(&mut tls.issuerdn).for_each(|text| self.cow(text, |text| self.owner(text)));
            (tls.serial, tls.fingerprint) = (None, None);
        }
    }

    fn http(&self, http: &mut HttpRecord<'_>) {
        http.host.iter_mut().for_each(|name| self.cow(name, |name| self.host(name)));
        let connect = http.method.as_deref() == Some("CONNECT");
        if let Some(uri) = &mut http.uri {
            self.cow(uri, |uri| if connect { self.host(uri) } else { self.uri(uri) });
        }
        http.user_agent.iter_mut().for_each(|text| self.cow(text, |text| self.agent(text)));
        http.content_type.iter_mut().for_each(|text| self.cow(text, |text| self.text(text)));
        for (text, words) in [
            (&mut http.method, &METHODS[..]),
            (&mut http.transfer_encoding, &CODINGS[..]),
            (&mut http.upgrade, &PROTOCOLS[..]),
        ] {
            text.iter_mut().for_each(|text| self.cow(text, |text| self.listed(text, words)));
        }
    }

    /// A text that is one of a protocol's words, or several of them; where names are replaced any other is hidden.
    fn listed(&self, text: &str, words: &[&str]) -> String {
        let is_known = |word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word.trim()));
        match text.split(',').all(is_known) {
            true => text.to_owned(),
            false if self.what.names => HIDDEN.to_owned(),
            false => self.text(text),
        }
    }

    fn message(&self, message: &mut MessageRecord<'_>) {
        message.method.iter_mut().for_each(|method| self.cow(method, |text| self.listed(text, &METHODS)));
        message.uri.iter_mut().for_each(|uri| self.cow(uri, |uri| self.uri(uri)));
        message.user_agent.iter_mut().for_each(|text| self.cow(text, |text| self.agent(text)));
    }

    /// The address of a request: its host, and no more, where names are replaced.
    fn uri(&self, uri: &str) -> String {
        if !self.what.names {
            return self.text(uri);
        }
        match uri.split_once("://") {
            Some((scheme, rest)) => {
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
                format!("{scheme}://{}/{HIDDEN}", self.host(host))
            }
            None => format!("/{HIDDEN}"),
        }
    }

    /// The data of a DNS record: an address or a name; another text is hidden where names are replaced.
    fn answer(&self, answer: &str) -> String {
        if answer.parse::<IpAddr>().is_ok() || crate::classify::host::tidy(answer).is_some() {
            return self.host(answer);
        }
        if self.what.names { HIDDEN.to_owned() } else { self.text(answer) }
    }

    /// A region's label, which is a part of the relay's name.
    pub fn region(&self, region: &str) -> String {
        let told = self.name(&format!("{region}.u5fgb.com"));
        told.strip_suffix(".u5fgb.com").map_or(told.clone(), str::to_owned)
    }

    /// What was found, of everything.
    pub fn diagnosis(&self, diagnosis: &mut Diagnosis) {
        diagnosis.findings.iter_mut().for_each(|finding| self.finding(finding));
        diagnosis.sessions.iter_mut().for_each(|session| self.session(session));
        self.site(&mut diagnosis.site);
    }

    fn id(&self, id: &mut String) {
        if self.what.names {
            *id = self.token(b"id", id);
        }
    }

    /// A finding. Its id, which is made from its host's name among others, is another too.
    pub fn finding(&self, finding: &mut FindingRecord) {
        self.id(&mut finding.id);
        finding.src_ip = finding.src_ip.map(|ip| self.ip(ip));
        finding.dest_ip = finding.dest_ip.map(|ip| self.ip(ip));
        if let (Some(src), Some(dst)) = (finding.src_ip, finding.dest_ip) {
            let proto = finding.proto.clone().unwrap_or_default();
            let ends = ((src, finding.src_port), (dst, finding.dest_port));
            self.community(&mut finding.community_id, &proto, ends.0, ends.1);
        }
        finding.host = finding.host.as_ref().map(|host| self.host(host));
        for text in [&mut finding.title, &mut finding.advice, &mut finding.disproved_if] {
            *text = self.text(text);
        }
        finding.evidence.iter_mut().for_each(|line| line.text = self.text(&line.text));
        if let Some(between) = &mut finding.middlebox {
            for text in [&mut between.via, &mut between.text].into_iter().flatten() {
                *text = if self.what.names { self.owner(text) } else { self.text(text) };
            }
            between.issuer =
                between.issuer.as_ref().map(|text| if self.what.names { self.owner(text) } else { text.clone() });
        }
    }

    fn session(&self, session: &mut SessionRecord) {
        session.client = session.client.map(|ip| self.ip(ip));
        session.recorder = session.recorder.map(|ip| self.ip(ip));
        session.story = self.text(&session.story);
        session.steps.iter_mut().for_each(|step| step.reason = self.text(&step.reason));
        session.finding_ids.iter_mut().for_each(|id| self.id(id));
    }

    fn site(&self, site: &mut SiteRecord) {
        site.recorders.iter_mut().for_each(|recorder| recorder.ip = self.ip(recorder.ip));
        for row in &mut site.allow_list {
            row.names.iter_mut().for_each(|name| *name = self.host(name));
            row.how = self.text(&row.how);
            row.finding_ids.iter_mut().for_each(|id| self.id(id));
        }
        for upload in &mut site.bandwidth.uploads {
            upload.src_ip = self.ip(upload.src_ip);
            upload.host = upload.host.as_ref().map(|host| self.host(host));
        }
    }

    /// What the capture is worth: its warnings name files.
    pub fn quality(&self, quality: &mut CaptureQuality) {
        quality.warnings.iter_mut().for_each(|line| *line = self.text(line));
        quality.advice = self.text(&quality.advice);
    }

    /// Names for files, whose own may name a customer.
    pub fn files(&self, count: usize) -> Vec<String> {
        (1..=count).map(|n| format!("capture {n}")).collect()
    }
}
