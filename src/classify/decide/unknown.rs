//! No rule matched: why, and what it looks like at best.

use super::super::facts::{TCP, is_literal};
use super::super::site::is_public;
use super::super::verdict::{Evidence, Tier, Verdict, What};
use super::super::words::{Sub, Subs};
use super::blank;
use super::case::{Case, Opinion};
use crate::event::Class;

/// How many windows of one-way video it takes to look like a relay.
pub const LOOKS_LIKE_VIDEO: u32 = 6;

pub(super) fn unknown<'a>(case: &Case<'a, '_>) -> Verdict<'a> {
    let f = case.facts;
    let mut verdict = blank(Class::Unknown, f.authority);
    let lead = case.lead();
    let nameless = lead.is_none() && !case.know.names.is_named(f.resp.0);
    let literal = [f.http_host, f.sni, f.authority.map(|a| a.host)].iter().flatten().any(|s| is_literal(s.name));
    verdict.subclass = Subs::NONE
        .with_if(f.midstream, Sub::Midstream)
        .with_if(nameless, Sub::NoName)
        .with_if(f.ech && nameless, Sub::Ech)
        .with_if(f.cut, Sub::Truncated)
        .with_if(f.one_sided, Sub::OneSided)
        .with_if(nameless && case.know.roles.encrypted_dns(f.orig.0), Sub::EncryptedDns)
        .with_if(literal, Sub::IpLiteral)
        .with_if(!nameless, Sub::Unlisted);
    verdict.flags = case.flags();
    for opinion in case.opinions() {
        let Opinion { tier, what, frame, .. } = *opinion;
        verdict.evidence.push(Evidence { tier, what, frame, against: false });
    }
    let [up, _] = f.rates.video_windows;
    if nameless && f.proto == TCP && up >= LOOKS_LIKE_VIDEO && !is_public(f.orig.0) && is_public(f.resp.0) {
        let what = What::Note("looks like relay: long one-way upload to a public address");
        verdict.evidence.push(Evidence { tier: Tier::E7, what, frame: Some(f.first_frame), against: false });
        verdict.confidence = case.know.rules.confidence.shape;
    }
    verdict
}
