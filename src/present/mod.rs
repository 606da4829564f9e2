//! Presentation: records and summaries onto a writer.
//!
//! Every sink writes to an [`std::io::Write`] that the caller chose and buffered (256 KiB serve well), and passes
//! every error up with its kind, so that the caller can end quietly when a pipe was closed
//! ([`std::io::ErrorKind::BrokenPipe`]).

pub mod color;
mod compact;
pub mod compared;
pub mod csv;
pub mod human;
pub mod json;
pub mod legs;
pub mod ndjson;
pub mod page;
pub mod report;
mod site;
pub mod summary;
mod verdict;

pub use verdict::{POOR, in_order, in_short, nothing_proved};

#[cfg(test)]
pub(crate) mod sample;

use crate::event::{Class, FlowRecord};

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Summary,
    /// One object a line.
    Ndjson,
    /// One document.
    Json,
    /// A flow a row.
    Csv,
}

/// Whether a class is the vendor's own traffic: a way to view, or a service of its cloud.
pub const fn is_vendor(class: Class) -> bool {
    use Class::*;
    match class {
        Relay | P2p | Lsf | Direct | S3 | Api | Licensing | Login | Pos | RemoteAssist | Reportstar | LsfControl
        | VendorOther => true,
        Update | Stun | Ntp | Dns | Dmp | Camera | LocalIp | LocalDirect | Unknown => false,
    }
}

/// A word of a record as people read it: `not tried`.
fn spoken(word: &str) -> String {
    word.replace('-', " ")
}

/// What the flow itself called its responder, the most telling name first.
pub fn host_of<'f>(flow: &'f FlowRecord<'_>) -> Option<&'f str> {
    let tls = flow.tls.as_ref().and_then(|t| t.sni.as_deref());
    let quic = || flow.quic.as_ref().and_then(|q| q.sni.as_deref());
    let http = || flow.http.iter().find_map(|h| h.host.as_deref());
    let proxied = || flow.via_proxy.as_ref().map(|p| &*p.authority);
    tls.or_else(quic).or_else(http).or_else(proxied)
}

/// Like [`host_of`], else the first name that the flow asked DNS for.
pub fn name_of<'f>(flow: &'f FlowRecord<'_>) -> Option<&'f str> {
    host_of(flow).or_else(|| flow.dns.iter().find_map(|d| d.qname.as_deref()))
}

/// Like [`name_of`], else the name by which it was told what the flow is.
pub fn told_name_of<'f>(flow: &'f FlowRecord<'_>) -> Option<&'f str> {
    name_of(flow).or_else(|| flow.evidence.iter().find_map(|reason| reason.text.name()))
}
