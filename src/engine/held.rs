//! How much memory the lists and texts of single flows hold: what a ceiling goes by, beside the tables.
//!
//! Counted by what is in them, so that it depends on the packets alone; with what an allocator adds to each piece.

use super::case::{Case, Cases, DnsCase, HttpCase, TcpCase, TlsCase, TurnCase};
use super::learn::Learner;
use super::learnt::{
    CertificateDetail, Dns, DnsExchange, Exchanges, Http, HttpExchange, HttpList, Mapped, MediaDetail, PendingQuery,
    Quic, Spoken, SpokenDetail, Stun, StunDetail, Tls, TlsDetail,
};
use crate::flow::course::Burst;
use crate::inspect::x509::{Certificate, Memo};

/// What an allocator adds to a piece of memory, in bytes.
const PIECE: usize = 16;

impl Learner {
    /// Bytes of memory that lists and texts of single flows hold.
    pub(super) fn held(&self) -> usize {
        let tls = self.tls.iter().map(|(_, tls)| of_tls(tls, &self.leaves));
        let http = self.http.iter().map(|(_, http)| of_http(http));
        let dns = self.dns.iter().map(|(_, dns)| of_dns(dns));
        let stun = self.stun.iter().map(|(_, stun)| of_stun(stun));
        let quic = self.quic.iter().map(|(_, quic)| of_quic(quic));
        let media = self.media.iter().map(|(_, media)| boxed::<MediaDetail>(media.detail.is_some()));
        let messages = self.messages.iter().map(|(_, spoken)| of_message(spoken));
        let leaves = self.leaves.kept().map(|(der, leaf)| list::<u8>(der).saturating_add(leaf.map_or(0, of_leaf)));
        tls.chain(http).chain(dns).chain(stun).chain(quic).chain(media).chain(messages).chain(leaves).sum()
    }
}

impl Cases {
    /// Bytes of memory that they hold.
    pub fn held(&self) -> usize {
        /// What a place in the index takes for each list that a flow is in, and how many these are.
        const PLACES: usize = 6 * size_of::<usize>();
        let flows: usize = self.flows.iter().map(of_case).sum();
        let dns = |dns: &DnsCase| {
            let addresses = if dns.addresses.spilled() { list::<std::net::IpAddr>(dns.addresses.len()) } else { 0 };
            text(&dns.name).saturating_add(addresses).saturating_add(size_of_val(dns))
        };
        let asked: usize = self.dns.iter().map(dns).sum();
        [flows, asked, self.flows.len().saturating_mul(PLACES)].iter().sum()
    }
}

fn of_case(case: &Case) -> usize {
    let words = [&case.region, &case.host].into_iter().flatten().map(|t| text(t)).sum::<usize>();
    let bursts = |tcp: &TcpCase| tcp.bursts.iter().map(|bursts| list::<Burst>(bursts.len())).sum::<usize>();
    let turns = |http: &HttpCase| list::<TurnCase>(http.turns.len());
    let names = |tls: &TlsCase| [&tls.issuer, &tls.subject].into_iter().flatten().map(|t| text(t)).sum::<usize>();
    let parts = [case.tcp.as_ref().map_or(0, bursts), case.http.as_ref().map_or(0, turns)];
    let told = case.tls.as_ref().map_or(0, names).saturating_add(parts.iter().sum());
    size_of_val(case).saturating_add(words).saturating_add(told)
}

/// Bytes of a box, if it is there.
pub(super) fn boxed<T>(there: bool) -> usize {
    if there { size_of::<T>().saturating_add(PIECE) } else { 0 }
}

fn text(text: &str) -> usize {
    text.len().saturating_add(PIECE)
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t Option<Box<str>>>) -> usize {
    texts.into_iter().flatten().map(|t| text(t)).sum()
}

fn list<T>(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { capacity.saturating_mul(size_of::<T>()).saturating_add(PIECE) }
}

fn of_tls(tls: &Tls, leaves: &Memo) -> usize {
    let small = boxed::<[u64; 4]>(tls.alert.is_some()).saturating_add(boxed::<[u64; 6]>(tls.flight.is_some()));
    let Some(detail) = &tls.detail else { return small };
    let prints = detail.ja4.iter().chain(&detail.ja3).map(|print| &**print);
    let words: usize = prints.map(text).sum();
    let own = boxed::<TlsDetail>(true).saturating_add(list::<u8>(detail.alpn.memory()));
    let certificate = detail.certificate.as_deref().map_or(0, |known| of_certificate(known, leaves));
    [small, words, own, certificate].iter().sum()
}

/// What is known again is counted there, once for all flows that have it. Of what is not any more each flow counts all:
/// which of them keeps it last is not known.
fn of_certificate(known: &CertificateDetail, leaves: &Memo) -> usize {
    let leaf = if leaves.keeps(&known.leaf) { 0 } else { of_leaf(&known.leaf) };
    boxed::<CertificateDetail>(true).saturating_add(leaf)
}

fn of_leaf(leaf: &Certificate) -> usize {
    let texts = [&leaf.subject, &leaf.issuer, &leaf.serial, &leaf.fingerprint].map(|t| text(t));
    let names: usize = leaf.names.iter().chain(&leaf.host).map(|name| text(name)).sum();
    // beside it how many have it
    let own = boxed::<(usize, usize, Certificate)>(true).saturating_add(list::<String>(leaf.names.capacity()));
    texts.iter().sum::<usize>().saturating_add(names).saturating_add(own)
}

fn of_http(http: &Http) -> usize {
    let turns = if http.turns.spilled() { list::<[u64; 12]>(http.turns.capacity()) } else { 0 };
    let told = |e: &HttpExchange| {
        texts([&e.method, &e.host, &e.uri, &e.user_agent, &e.content_type, &e.transfer_encoding, &e.upgrade])
    };
    let Some(record) = &http.record else { return turns };
    let exchanges: usize = record.list.iter().map(told).sum();
    let own = boxed::<HttpList>(true).saturating_add(list::<HttpExchange>(record.list.capacity()));
    [turns, exchanges, own].iter().sum()
}

pub(super) fn of_dns(dns: &Dns) -> usize {
    let (Some(pending), Some(record)) = (dns.boxed(), dns.record()) else { return 0 };
    let told = |e: &DnsExchange| list::<u8>(e.answers.memory());
    let exchanges: usize = record.list.iter().map(told).sum();
    let own = boxed::<Exchanges>(true).saturating_add(list::<DnsExchange>(record.list.capacity()));
    [list::<PendingQuery>(pending), exchanges, own].iter().sum()
}

fn of_stun(stun: &Stun) -> usize {
    let own = |room| boxed::<Vec<Mapped>>(true).saturating_add(list::<Mapped>(room));
    let mapped = stun.mapped.boxed().map_or(0, own);
    let spilled = stun.detail.as_ref().filter(|detail| detail.methods.spilled());
    let methods = spilled.map_or(0, |detail| list::<[u32; 4]>(detail.methods.capacity()));
    [mapped, methods, boxed::<StunDetail>(stun.detail.is_some())].iter().sum()
}

fn of_quic(quic: &Quic) -> usize {
    texts([&quic.user_agent])
}

fn of_message(spoken: &Spoken) -> usize {
    let Some(detail) = &spoken.detail else { return 0 };
    texts([&detail.method, &detail.uri, &detail.user_agent]).saturating_add(boxed::<SpokenDetail>(true))
}
