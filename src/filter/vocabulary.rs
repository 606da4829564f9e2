//! Keys whose values are words of a closed set. A value that none of them fits passes nothing, whatever was captured: it
//! is a slip, and is told as one.

use super::ast::TextKey;
use super::text::Pattern;
use crate::event::labels::{Flag, Sub};
use crate::event::{FINDING_ID_DIGITS, Kind, Mode, RULES};

/// What is told as a flow's transport by name, and what may be spoken within.
const PROTOCOLS: &str = "TCP UDP SCTP ICMP IPv6-ICMP icmp6 IGMP GRE ESP AH OSPF PIM VRRP tls dtls quic http http2 \
    websocket rtsp sip ssdp ws-discovery dns mdns llmnr netbios-ns dot doq doh stun ntp rtp";

/// What a host may be.
const ROLES: &[&str] = &["recorder", "client"];

/// The words that a value of a key is one of; none where it may be anything.
pub(super) fn words(key: TextKey) -> Option<Vec<&'static str>> {
    match key {
        TextKey::Role => Some(ROLES.to_vec()),
        TextKey::Proto => Some(PROTOCOLS.split(' ').collect()),
        TextKey::Flag => Some(Flag::ALL.iter().map(|flag| flag.name()).collect()),
        TextKey::Subclass => Some(Sub::ALL.iter().map(|sub| sub.name()).collect()),
        TextKey::Finding => Some(findings().collect()),
        _ => None,
    }
}

/// The rules, the kinds and the words of them, and the modes, by which a finding is called.
fn findings() -> impl Iterator<Item = &'static str> {
    let kinds = Kind::ALL.iter().map(|kind| kind.text());
    let words = kinds.clone().flat_map(|kind| kind.split('-'));
    RULES.into_iter().chain(kinds).chain(words).chain(Mode::ALL.iter().map(|mode| mode.text()))
}

/// What is meant by a value: people who view are clients.
pub(super) fn meant(key: TextKey, pattern: &Pattern) -> Pattern {
    match pattern.word() {
        Some(word) if key == TextKey::Role && word.eq_ignore_ascii_case("viewer") => Pattern::Glob("client".to_owned()),
        _ => pattern.clone(),
    }
}

/// Whether a value may pass what is in no list: the id of a finding, the number of a transport.
pub(super) fn is_open(key: TextKey, pattern: &Pattern) -> bool {
    let all = |holds: fn(char) -> bool| match pattern {
        Pattern::Glob(text) | Pattern::Literal(text) => text.chars().all(|c| holds(c) || matches!(c, '*' | '?')),
        Pattern::Regex(_) => true,
    };
    match key {
        TextKey::Finding => {
            all(|c| c.is_ascii_hexdigit()) && pattern.word().is_none_or(|id| id.len() == FINDING_ID_DIGITS)
        }
        TextKey::Proto => all(|c| c.is_ascii_digit()) && pattern.word().is_none_or(|n| n.parse::<u8>().is_ok()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::proto;
    use crate::diagnose::rules::RuleId;
    use crate::inspect::message::Protocol;

    #[test]
    fn every_rule_is_known_and_no_other() {
        assert!(RULES.into_iter().eq(RuleId::ALL.iter().map(|rule| rule.text())));
    }

    #[test]
    fn every_protocol_with_a_name_is_known() {
        let known: Vec<_> = PROTOCOLS.split(' ').collect();
        let spoken =
            [Protocol::Rtsp, Protocol::Sip, Protocol::Ssdp, Protocol::WsDiscovery, Protocol::Http2].map(Protocol::name);
        for name in (0..=255).filter_map(proto::name).chain(spoken) {
            assert!(known.contains(&name), "{name}");
        }
    }
}
