//! Two captures of the same traffic, compared.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use super::word::words;
use super::{Class, is_zero};
use crate::time::Timestamp;

words! {
    /// One of two captures.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    LegSide {
        /// The inner one.
        Lan "lan",
        /// The outer one.
        Wan "wan",
    }
}

words! {
    /// By what flows of two captures are known to be one.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Clue {
        /// The same TCP sequence numbers.
        TcpSequence "tcp-sequence",
        /// The same random in the ClientHello.
        ClientHello "client-hello",
        /// The same STUN transaction.
        StunTransaction "stun-transaction",
        /// The same question of DNS.
        DnsQuestion "dns-question",
        /// The same first bytes.
        Payload "payload",
        /// The same addresses and ports, or those of the far end.
        Addresses "addresses",
        /// The same name in TLS.
        Sni "sni",
        /// The same name, by HTTP, a proxy's request or DNS.
        Name "name",
        /// As many bytes, both ways.
        Bytes "bytes",
        /// Begun at the same time.
        Time "time",
    }
}

words! {
    /// What became of a flow between two captures.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Passed {
        /// It is one connection end to end.
        Same "same",
        /// A box ends it and passes its bytes on.
        Through "through",
        /// The box holds its bytes.
        Held "held",
        /// The box passes each message on with the next.
        Late "late",
        /// Something was held, and the box may not be to blame.
        Unclear "unclear",
        /// The outer capture has no such flow.
        NotSeen "not-seen",
    }
}

/// Two captures: how their clocks stand, and how much of them is the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LegsRecord {
    /// `legs`.
    #[cfg_attr(test, schemars(extend("const" = "legs")))]
    pub event_type: &'static str,
    /// The version of the schema.
    pub schema_version: u32,
    /// The inner capture.
    pub lan: LegRecord,
    /// The outer capture.
    pub wan: LegRecord,
    /// How the clocks stand; absent where the captures have nothing in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockRecord>,
    /// When the time begins that both cover, by the inner capture's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Flows that were joined one to one.
    pub joined: u64,
    /// Flows of the inner capture that are known by their destination only.
    pub pooled: u64,
    /// Flows of both captures that go where so many others go that they were not compared each with each.
    #[serde(skip_serializing_if = "is_zero")]
    pub pool_omitted: u64,
    /// Flows that only the inner capture has.
    pub lan_only: u64,
    /// Flows that only the outer capture has.
    pub wan_only: u64,
    /// What the user should know of the captures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One of two captures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LegRecord {
    /// Frames.
    pub frames: u64,
    /// The first frame's time, by its own clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// The last frame's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Flows.
    pub flows: u64,
    /// Flows that there was no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub flows_omitted: u64,
    /// Bytes that were acknowledged and not captured.
    pub missed_bytes: u64,
}

/// The outer capture's clock against the inner one's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockRecord {
    /// Seconds by which the outer clock is ahead; negative where it is behind.
    pub wan_ahead: f64,
    /// How far that may be off, in seconds.
    pub uncertainty: f64,
    /// How many differences were measured.
    pub moments: u64,
    /// How many of them agree.
    pub agreeing: u64,
    /// What they are measured by: `packets` that are in both captures, or flows to the same `names`.
    pub by: &'static str,
}

/// A flow of the inner capture, with its other half in the outer one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JoinedFlow {
    /// `joined_flow`.
    #[cfg_attr(test, schemars(extend("const" = "joined_flow")))]
    pub event_type: &'static str,
    /// Its protocol.
    pub proto: Cow<'static, str>,
    /// What it is.
    pub class: Class,
    /// What it goes to, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The flow of the inner capture.
    pub lan: FlowRef,
    /// Those of the outer capture; empty where none is known to be the same.
    pub wan: Vec<FlowRef>,
    /// By what they are known to be one: `tcp-sequence` `client-hello` `stun-transaction` `dns-question` `payload`
    /// `addresses` `sni` `name` `bytes` `time`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joined_by: Vec<&'static str>,
    /// Bytes from the originator to the responder.
    pub toserver: Passage,
    /// Bytes from the responder to the originator.
    pub toclient: Passage,
    /// What became of it.
    pub passed: Passed,
    /// Why it is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A flow of one capture.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlowRef {
    /// As `analyze` has it.
    pub flow_id: u64,
    /// Its originator.
    pub src_ip: IpAddr,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// Its responder.
    pub dest_ip: IpAddr,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// Its first packet, by its own capture's clock.
    pub start: Timestamp,
    /// That packet's frame.
    pub frame: u64,
}

/// Payload on both sides of what is between the captures, in bytes; what was sent again counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Passage {
    /// What went in.
    #[serde(rename = "in")]
    pub put_in: u64,
    /// What came out.
    #[serde(rename = "out")]
    pub come_out: u64,
}
