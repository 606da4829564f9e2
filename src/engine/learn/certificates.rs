//! What only a record needs of TLS, or a flow whose client has asked for no name.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Context, Learner, NameAt, direction};
use crate::engine::learnt::tls as mark;
use crate::engine::learnt::{CertificateDetail, TlsDetail};
use crate::inspect::ja::{Memo, Prints, Transport};
use crate::inspect::{Direction, tls};

/// How many fingerprints one flow keeps of each kind.
const MAX_FINGERPRINTS: usize = 8;
/// How many certificates of one chain are counted.
const MAX_CHAIN: usize = 64;
/// How many certificates of hosts that are not watched a shard looks at: who signs them shows whose hand is in between.
const SAMPLES: u16 = 64;

impl Learner {
    /// Whether certificates are wanted of hosts that are not watched.
    pub fn wants_samples(&self) -> bool {
        self.sampled < SAMPLES
    }

    pub(super) fn certificates(&mut self, cx: &mut Context<'_>, mut chain: tls::Chain<'_>) {
        let (frame, records, samples) = (cx.packet.frame, self.records, self.wants_samples());
        let by_client = direction(cx.second, cx.flow.flipped()) == Direction::Orig;
        let Some(tls) = self.tls_for(cx.flow) else { return };
        let (named, dtls, watched) = (tls.name != 0, tls.has(mark::DTLS), tls.has(mark::WATCHED));
        // the server's may be missing; in TCP a stream has one side's alone
        if dtls && by_client {
            return;
        }
        let sample = !watched && !dtls && samples;
        let whole = records || watched || sample;
        let known = tls.detail.as_ref().is_some_and(|d| d.host.is_some() || d.certificate.is_some());
        if known || (named || dtls) && !whole {
            return;
        }
        let Some(der) = chain.next() else { return };
        // an association's certificate is made for the moment (RFC 8827 §6.5), and names nobody
        let read = self.leaves.certificate(der);
        let host = read.as_ref().filter(|_| !named && !dtls).and_then(|read| read.host.as_deref());
        let host = host.map(|host| NameAt { name: self.strings.keep(host), frame });
        let leaf = read.filter(|_| whole);
        let sampled = sample && leaf.is_some();
        self.sampled = self.sampled.saturating_add(u16::from(sampled));
        let Some(tls) = self.tls_for(cx.flow).filter(|_| host.is_some() || leaf.is_some()) else { return };
        tls.mark(mark::SAMPLED, sampled);
        let detail = tls.detail.get_or_insert_default();
        detail.host = host;
        detail.certificate = leaf.map(|leaf| {
            let chain = chain.take(MAX_CHAIN).count().saturating_add(1);
            Box::new(CertificateDetail { leaf, chain })
        });
    }
}

/// Keeps a hello's fingerprints, if they are new. A hello in SSL 2.0 dress has none that anybody else would give it.
pub(super) fn note_fingerprints(memo: &mut Memo, detail: &mut TlsDetail, hello: &tls::ClientHello<'_>) {
    let transport = match hello.form {
        tls::Form::Tls => Transport::Tcp,
        tls::Form::Dtls => Transport::Dtls,
        tls::Form::Quic => Transport::Quic,
        tls::Form::SslV2 => return,
    };
    let keep = |list: &mut SmallVec<[Arc<str>; 1]>, print: Arc<str>| {
        if list.len() < MAX_FINGERPRINTS && !list.contains(&print) {
            list.push(print);
        }
    };
    let Prints { ja4, ja3 } = memo.prints(hello, transport);
    keep(&mut detail.ja4, ja4);
    keep(&mut detail.ja3, ja3);
}
