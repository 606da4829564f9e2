//! What was found wrong.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::word::words;
use super::{LegSide, is_zero};
use crate::short::Short;
use crate::time::Timestamp;

words! {
    /// How grave a finding is.
    #[derive(Serialize, Deserialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Severity {
        /// Worth knowing.
        Info "info",
        /// Something works badly.
        Warning "warning",
        /// Something does not work.
        Error "error",
    }
}

impl Severity {
    /// The severity that people mean by a word: its text, or `warn`.
    pub fn meant(text: &str) -> Option<Severity> {
        if text.eq_ignore_ascii_case("warn") { Some(Severity::Warning) } else { Severity::parse(text) }
    }
}

words! {
    /// What a finding says is wrong.
    #[derive(Serialize, Deserialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    #[allow(missing_docs)]
    Kind {
        ContentFilterStall "content-filter-stall",
        PostRefused "post-refused",
        BlockPage "block-page",
        ProxyAuthRequired "proxy-auth-required",
        ProxyUnsuitable "proxy-unsuitable",
        TlsIntercepted "tls-intercepted",
        TlsAlert "tls-alert",
        SniReset "sni-reset",
        ClientHelloLost "client-hello-lost",
        DnsBlocked "dns-blocked",
        DnsSlow "dns-slow",
        DnsBypassed "dns-bypassed",
        TcpBlocked "tcp-blocked",
        StunUnanswered "stun-unanswered",
        P2pFailed "p2p-failed",
        P2pFallback "p2p-fallback",
        SymmetricNat "symmetric-nat",
        Cgnat "cgnat",
        LsfMissed "lsf-missed",
        DirectBroken "direct-broken",
        UplinkSaturated "uplink-saturated",
        LossyPath "lossy-path",
        PmtuBlackhole "pmtu-blackhole",
        RecorderUnregistered "recorder-unregistered",
        WrongRegion "wrong-region",
        ClockSkew "clock-skew",
        NtpBlocked "ntp-blocked",
        S3Blocked "s3-blocked",
        AllowlistGap "allowlist-gap",
        TypoHost "typo-host",
        BrokenIpv6 "broken-ipv6",
        RemoteAssistOpen "remote-assist-open",
        CleartextExposure "cleartext-exposure",
        AddressConflict "address-conflict",
        SpanDuplicates "span-duplicates",
        SpanOneSided "span-one-sided",
        CaptureDrops "capture-drops",
        CaptureTruncated "capture-truncated",
    }
}

words! {
    /// What narrows a kind down.
    #[derive(Serialize, Deserialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Mode {
        /// A stall: nothing arrives.
        BufferAll "buffer-all",
        /// A stall: drops arrive, to keep the client waiting.
        Trickle "trickle",
        /// A stall: all of it arrives, late and at once.
        HoldRelease "hold-release",
        /// A stall: an upload is taken in and not passed on.
        UploadSwallow "upload-swallow",
        /// A stall: the receiver's window closes and stays closed.
        ZeroWindow "zero-window",
        /// DNS: the name does not exist, it says.
        Nxdomain "nxdomain",
        /// DNS: the resolver refuses.
        Refused "refused",
        /// DNS: the resolver fails.
        Servfail "servfail",
        /// DNS: the answer leads elsewhere.
        Sinkhole "sinkhole",
        /// DNS: no answer.
        Unanswered "unanswered",
        /// TCP: no answer.
        Drop "drop",
        /// TCP: a reset.
        Rst "rst",
        /// TCP: a router's word.
        Icmp "icmp",
        /// An upload: `Expect: 100-continue` is not met.
        Expect "expect",
    }
}

words! {
    /// How sure a finding is, in a word. In the order of certainty.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Word {
        /// Below 0.30.
        Guess "guess",
        /// At least 0.30.
        Low "low",
        /// At least 0.55.
        Medium "medium",
        /// At least 0.80.
        High "high",
        /// At least 0.95.
        Certain "certain",
    }
}

impl Word {
    /// The least confidence, 0 to 1, that the word stands for.
    pub const fn least(self) -> f64 {
        match self {
            Word::Guess => 0.0,
            Word::Low => 0.30,
            Word::Medium => CLAIM,
            Word::High => 0.80,
            Word::Certain => CERTAIN,
        }
    }

    /// The word for a confidence of 0 to 1.
    pub fn of(confidence: f64) -> Word {
        Word::ALL.iter().rev().copied().find(|w| confidence >= w.least()).unwrap_or(Word::Guess)
    }
}

words! {
    /// What a finding is more closely than its kind and mode say, for whoever puts it into words. It is not published:
    /// what others rely on are kind, mode and rule.
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    Manner {
        /// A proxy says or does it, and not a box on the way.
        ByProxy "by-proxy",
        /// A view is ended while it runs.
        CutOff "cut-off",
        /// Uploads that had been taken in whole.
        Whole "whole",
        /// What was held back has come in the end.
        Released "released",
        /// A request's body is longer than is let through.
        TooLarge "too-large",
        /// A request does not say how long its body is.
        NoLength "no-length",
        /// Somebody fails at a request rather than refuse it.
        Fails "fails",
        /// Whoever is asked refuses, and may know a login that would do.
        LoginKnown "login-known",
        /// Somebody answers, by a refusal.
        Refused "refused",
        /// Who was meant to be reached was, and refuses.
        Closed "closed",
        /// It is about the port for HTTPS.
        Https "https",
        /// It is about the port that carries video and nothing else.
        VideoPort "video-port",
        /// A name cannot be found, so that nothing of it was connected to.
        Unfound "unfound",
        /// Who is shown a certificate does not trust it.
        Distrust "distrust",
        /// Who is shown a certificate says that its time is over.
        Expired "expired",
        /// Both ends agree on no version or cipher.
        Terms "terms",
        /// Another router of the site's own stands before it.
        OtherRouter "other-router",
        /// The routers of both sites.
        BothSites "both-sites",
        /// A router lets in only what was written to.
        Filtering "filtering",
        /// Of whom it is said is not known to be a recorder.
        UnknownRole "unknown-role",
        /// What it speaks of hinders has worked all the same.
        Works "works",
    }
}

/// From this confidence on a finding is a claim; below it is a hint.
pub const CLAIM: f64 = 0.55;
/// The most that a hint is worth.
pub const HINT: f64 = CLAIM - 0.01;
/// From this confidence on a finding is certain; a stall only where both sides of the box were captured.
pub const CERTAIN: f64 = 0.95;

words! {
    /// How a finding stands, where it is told as things happen.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    State {
        /// It is new.
        Raised "raised",
        /// More is known of it.
        Updated "updated",
        /// What it is about is over.
        Ended "ended",
        /// It has proved otherwise.
        Withdrawn "withdrawn",
    }
}

words! {
    /// Where the capture stands in the path of a flow: `recorder - site filter - relay - client filter - client`.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Vantage {
        /// Between the recorder and its site's filter.
        RecorderLan "recorder-lan",
        /// Outside the filter of the recorder's site.
        RecorderWan "recorder-wan",
        /// Between the client and its site's filter.
        ClientLan "client-lan",
        /// Outside the filter of the client's site.
        ClientWan "client-wan",
        /// On both sides of the box.
        BothLegs "both-legs",
    }
}

impl Vantage {
    /// The same for people.
    pub const fn spoken(self) -> &'static str {
        match self {
            Vantage::RecorderLan => "inside the recorder's site",
            Vantage::RecorderWan => "outside the filter of the recorder's site",
            Vantage::ClientLan => "inside the viewer's site",
            Vantage::ClientWan => "outside the filter of the viewer's site",
            Vantage::BothLegs => "on both sides of the box",
        }
    }
}

/// The rules of the domain reference.
pub const RULES: [&str; 53] = [
    "CF-1", "CF-2", "CF-3", "CF-4", "CF-5", "CF-6", "CF-7", "CF-8", "CF-9", "CF-10", "CF-11", "CF-12", "D-1", "D-2",
    "D-3", "D-4", "D-5", "D-6", "D-7", "D-8", "D-9", "D-10", "D-11", "D-12", "D-13", "D-14", "D-15", "D-16", "D-17",
    "D-18", "D-19", "D-20", "D-21", "D-22", "D-23", "D-24", "D-25", "D-26", "D-27", "D-28", "D-29", "D-30", "D-31",
    "D-32", "D-33", "D-34", "D-35", "D-36", "D-37", "D-38", "D-39", "D-40", "D-41",
];

/// How many hexadecimal digits the id of a finding has.
pub const FINDING_ID_DIGITS: usize = 12;

/// One thing that was found, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingRecord {
    /// `finding`.
    #[cfg_attr(test, schemars(extend("const" = "finding")))]
    pub event_type: &'static str,
    /// Derived from the leading flow, rule and kind; the same in every run.
    pub id: String,
    /// What is wrong.
    pub kind: Kind,
    /// More closely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Which of the texts for its kind and mode it takes.
    #[serde(skip)]
    pub manner: Option<Manner>,
    /// The rule that found it: `CF-1`, `D-6`.
    pub rule: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// How sure it is, 0 to 1. Below 0.55 it is a hint and no claim.
    #[cfg_attr(test, schemars(range(min = 0, max = 1)))]
    pub confidence: f64,
    /// The same in a word.
    pub word: Word,
    /// How it stands; only where things are told as they happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// When it was first seen.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    /// How many times.
    pub count: u64,
    /// The first packet of the leading flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_start: Option<Timestamp>,
    /// The flows that it is about, the leading one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flow_ids: Vec<u64>,
    /// Flows that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub flow_ids_omitted: u64,
    /// The leading flow's originator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_ip: Option<IpAddr>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The leading flow's responder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_ip: Option<IpAddr>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// The leading flow's protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<Cow<'static, str>>,
    /// The leading flow's community id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub community_id: Option<Short>,
    /// The host that it is about, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where the capture stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vantage: Option<Vantage>,
    /// What is known of the box in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middlebox: Option<Middlebox>,
    /// What is wrong, in one sentence.
    pub title: String,
    /// Who must change what.
    pub advice: String,
    /// What shows it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<FindingEvidence>,
    /// Evidence that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub evidence_omitted: u64,
    /// What would show that it is wrong.
    pub disproved_if: String,
    /// The documents and lines that the rule rests on.
    pub source: String,
}

impl FindingRecord {
    /// Whether it is sure enough to be a claim; else it is a hint.
    pub fn is_claim(&self) -> bool {
        self.confidence >= CLAIM
    }

    /// What there is for its manner, or else for its mode.
    pub fn narrowed<'t, T>(&self, manners: &'t HashMap<Manner, T>, modes: &'t HashMap<Mode, T>) -> Option<&'t T> {
        let by_manner = self.manner.and_then(|manner| manners.get(&manner));
        by_manner.or_else(|| self.mode.and_then(|mode| modes.get(&mode)))
    }
}

/// One observation that a finding rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingEvidence {
    /// The capture that shows it, where two were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg: Option<LegSide>,
    /// In words.
    pub text: String,
    /// The frame that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

/// What is known of a box between the two ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Middlebox {
    /// The hops that its packets had left when they came (IPv4 TTL, IPv6 hop limit).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// Its round trip in the handshake, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<f64>,
    /// What it says of itself in HTTP (`Via` and its kin).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Who issued the certificates that it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What it may be; a hint that no confidence rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// What else is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::word::assert_told_as_typed;

    #[test]
    fn words_are_told_as_they_are_typed() {
        assert_told_as_typed(Severity::ALL, Severity::text);
        assert_told_as_typed(Kind::ALL, Kind::text);
        assert_told_as_typed(Mode::ALL, Mode::text);
        assert_told_as_typed(Word::ALL, Word::text);
        assert_told_as_typed(State::ALL, State::text);
        assert_told_as_typed(Vantage::ALL, Vantage::text);
        assert_eq!(Severity::meant("Warn"), Some(Severity::Warning));
        assert!(Severity::Error > Severity::Warning && Severity::Warning > Severity::Info);
    }

    #[test]
    fn words_of_confidence() {
        let words = [0.99, 0.95, 0.94, 0.80, 0.55, 0.54, 0.3, 0.0, f64::NAN].map(|c| Word::of(c).text());
        assert_eq!(words.join(" "), "certain certain high high medium low low guess guess");
    }
}
