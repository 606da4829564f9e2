//! The plain case: a flow to somewhere outside that nothing connects with the system.
//!
//! Most flows of most captures are of this kind. What is said of them here is what the whole table would say (a
//! property test holds the two against each other), without asking every rule.

use super::super::facts::{FlowFacts, TCP, is_literal};
use super::super::host::HostMatch;
use super::super::names::UNLISTED;
use super::super::verdict::{Evidence, Tier, Verdict, What};
use super::super::words::{Sub, Subs};
use super::outline::is_known;
use super::unknown::LOOKS_LIKE_VIDEO;
use super::{Knowledge, blank};
use crate::event::Class;

/// The verdict on a plain flow; `None` if any rule might have something to say of it.
pub(super) fn plain<'a>(facts: &FlowFacts<'a>, know: &Knowledge<'a>) -> Option<Verdict<'a>> {
    let (orig, resp) = (facts.orig.0, facts.resp.0);
    if has_evidence(facts) || know.roles.site.inside(resp) || is_known(orig, know) || is_known(resp, know) {
        return None;
    }
    let name = match (facts.sni, facts.http_host) {
        (Some(seen), None) => Some((seen, What::Sni(seen.name))),
        (None, Some(seen)) => Some((seen, What::HttpHost(seen.name))),
        (None, None) => None,
        _ => return None,
    };
    let mut verdict = blank(Class::Unknown, None);
    let told = match name {
        Some((seen, what)) => {
            let unlisted = seen.id == Some(UNLISTED) || know.catalogue.look_up(seen.name) == HostMatch::NONE;
            if !unlisted || is_literal(seen.name) {
                return None;
            }
            verdict.evidence.push(Evidence { tier: Tier::E1, what, frame: Some(seen.frame), against: false });
            true
        }
        None => {
            let video = facts.proto == TCP && facts.rates.video_windows.iter().any(|w| *w >= LOOKS_LIKE_VIDEO);
            if video {
                return None;
            }
            know.names.is_named(resp)
        }
    };
    verdict.subclass = Subs::NONE
        .with_if(facts.midstream, Sub::Midstream)
        .with_if(!told, Sub::NoName)
        .with_if(facts.cut, Sub::Truncated)
        .with_if(facts.one_sided, Sub::OneSided)
        .with_if(told, Sub::Unlisted);
    Some(verdict)
}

/// Whether the flow's payload or what it asked for speaks for a class.
fn has_evidence(f: &FlowFacts<'_>) -> bool {
    let protocols = [f.message_http, f.dns, f.ntp, f.dtls, f.sctp, f.rtsp].iter().any(Option::is_some);
    protocols
        || f.stun.is_some()
        || f.authority.is_some()
        || f.quic_sni.is_some()
        || f.cert_name.is_some()
        || f.ech
        || f.dns_offered.is_some()
        || f.rtp != 0
        || f.media_datagrams != 0
        || matches!(f.resp.1, 53 | 123 | 554 | 853 | 2001 | 3478 | 3479 | 8531 | 8554)
}
