//! How attempts to view went, and what the capture says of the site as a whole.

use std::net::IpAddr;

use serde::Serialize;

use super::word::words;
use super::{is_false, is_zero};
use crate::time::Timestamp;

words! {
    /// A way to view a recorder.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Method {
        /// Straight to a forwarded port.
        Direct "direct",
        /// LAN Smart Forwarding.
        Lsf "lsf",
        /// Peer to peer.
        P2p "p2p",
        /// Through the vendor's relay.
        Relay "relay",
    }
}

words! {
    /// What became of a step.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    StepOutcome {
        /// Video ran this way.
        Worked "worked",
        /// It was tried in vain.
        Failed "failed",
        /// There was no sign of a try.
        NotTried "not-tried",
        /// The capture does not tell.
        Unclear "unclear",
    }
}

/// One attempt to view, as a story.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionRecord {
    /// `session`.
    #[cfg_attr(test, schemars(extend("const" = "session")))]
    pub event_type: &'static str,
    /// Who views, where the capture shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// Whose video it is, where the capture shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorder: Option<IpAddr>,
    /// Its first packet.
    pub start: Timestamp,
    /// Its last.
    pub end: Timestamp,
    /// The ways that were tried, in order.
    pub steps: Vec<SessionStep>,
    /// The way that carried video, the last one where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Method>,
    /// The rate that video reached, in bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<f64>,
    /// What the vendor's table has nearest to that rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableRate>,
    /// It was seen to go up to the relay, and nothing shows whether it arrives; the story says so.
    #[serde(skip)]
    pub unseen: bool,
    /// All of it in a sentence or two: how video came, and where it left the shortest way.
    pub story: String,
    /// The findings that its flows are cited by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finding_ids: Vec<String>,
    /// It had not ended when this was written.
    #[serde(skip_serializing_if = "is_false")]
    pub interim: bool,
}

/// One way that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionStep {
    /// The way.
    pub method: Method,
    /// What became of it.
    pub outcome: StepOutcome,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Its flows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flow_ids: Vec<u64>,
    /// Flows that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub flow_ids_omitted: u64,
    /// Its first packet; a way that was not tried has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

words! {
    /// How fine a stream is.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Quality {
        /// Standard definition.
        Sd "sd",
        /// High definition.
        Hd "hd",
    }
}

/// A row of the vendor's table of video rates.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TableRate {
    /// Channels shown at once.
    pub channels: u32,
    /// How fine they are.
    pub quality: Quality,
    /// What the vendor says they take, in bits per second.
    pub bit_rate: f64,
    /// Where the vendor says so.
    pub source: String,
}

impl TableRate {
    /// The row in words: `4 SD channels`.
    pub fn what(&self) -> String {
        let plural = if self.channels == 1 { "" } else { "s" };
        format!("{} {} channel{plural}", self.channels, self.quality.text().to_uppercase())
    }
}

/// What the capture says of the site as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SiteRecord {
    /// The product, by the user's word or by what was seen: `ows`, `contera`.
    pub product: &'static str,
    /// Neither the user nor the capture says which product it is: it is taken for this one.
    #[serde(skip_serializing_if = "is_false")]
    pub product_assumed: bool,
    /// The recorders, as the vendor's support page would tell of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recorders: Vec<RecorderRecord>,
    /// Recorders that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub recorders_omitted: u64,
    /// What must be allowed, and whether it was seen to be; in the order of the catalogue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_list: Vec<AllowRow>,
    /// What the line out carries.
    pub bandwidth: Bandwidth,
    /// Flows of the system that there was no room to judge.
    #[serde(skip_serializing_if = "is_zero")]
    pub flows_omitted: u64,
}

impl SiteRecord {
    /// Whether the capture says anything of a site.
    pub fn tells(&self) -> bool {
        let exercised = self.allow_list.iter().any(|row| row.state != AllowState::NotExercised);
        exercised || !self.recorders.is_empty() || self.flows_omitted > 0
    }
}

/// A recorder by the words of the vendor's support page, as far as the capture shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecorderRecord {
    /// Its address.
    pub ip: IpAddr,
    /// The user said so.
    #[serde(skip_serializing_if = "is_false")]
    pub given: bool,
    /// The last data from it to the vendor's cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active: Option<Timestamp>,
    /// The last time that it made a connection to the relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_registered: Option<Timestamp>,
    /// The last time that it replied to a request that came by the relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_response: Option<Timestamp>,
    /// How many such replies there were at least.
    pub response_sequence: u64,
}

words! {
    /// How a row of the allow-list stands.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    AllowState {
        /// It was seen to work.
        Working "working",
        /// It works in part: another port, another time, or all but the video.
        Partly "partly",
        /// Something on the way stops it.
        Blocked "blocked",
        /// It was tried, and the capture does not tell what came of it.
        Unclear "unclear",
        /// Nobody tried.
        NotExercised "not-exercised",
    }
}

impl AllowState {
    /// The same for people.
    pub const fn spoken(self) -> &'static str {
        match self {
            AllowState::NotExercised => "not tried",
            _ => self.text(),
        }
    }
}

/// A row of the vendor's allow-list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AllowRow {
    /// Its name in the catalogue.
    pub id: String,
    /// What must be allowed, as the vendor writes it.
    pub pattern: String,
    /// Its ports: `TCP 443`.
    pub ports: Vec<String>,
    /// Whether the product needs it: `required`, `optional`, `required for pos` …
    pub requirement: &'static str,
    /// What it is for.
    pub purpose: String,
    /// How it stands.
    pub state: AllowState,
    /// How it is blocked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub how: String,
    /// The names that were seen of it, the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// When the capture last showed how it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// The first frame of the last flow that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// The findings that tell of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finding_ids: Vec<String>,
    /// Findings that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub finding_ids_omitted: u64,
    /// Where the vendor says so.
    pub sources: Vec<String>,
}

words! {
    /// How the site's uplink is known.
    #[derive(Serialize)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    UplinkBy {
        /// By the site file.
        Site "site",
        /// It was seen full.
        Full "full",
        /// It was seen to carry at least that.
        Seen "seen",
    }
}

/// What the line out carries, against the vendor's tables. Rates are in bits per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bandwidth {
    /// What the uplink can carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink_bit_rate: Option<f64>,
    /// How that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink_by: Option<UplinkBy>,
    /// The most that recorders sent out at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bit_rate: Option<f64>,
    /// What is left of the uplink then; absent where its rate is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headroom_bit_rate: Option<f64>,
    /// The most that the vendor's table has for what is left, of each quality.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub room_for: Vec<TableRate>,
    /// What the vendor recommends to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended_bit_rate: Option<f64>,
    /// Uploads to the vendor's storage: clips, pictures, configurations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<UploadRecord>,
    /// Uploads that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub uploads_omitted: u64,
    /// What was sent and received, against the vendor's tables of data usage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataUsage>,
}

/// An upload to the vendor's storage.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UploadRecord {
    /// Its flow.
    pub flow_id: u64,
    /// Who sent it.
    pub src_ip: IpAddr,
    /// To which bucket's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When it began.
    pub start: Timestamp,
    /// Payload bytes.
    pub bytes: u64,
    /// Its mean rate, in bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<f64>,
    /// Seconds of video that it would be as a clip of the vendor's default; absent where it is too small for a clip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_seconds: Option<f64>,
}

/// One use of data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DataUsage {
    /// What for, in the words of the vendor's table where it has it.
    pub what: String,
    /// Bytes on the wire, both ways.
    pub bytes: u64,
    /// Seconds that they were seen for.
    pub seconds: f64,
    /// What that comes to in 30 days, in bytes; absent where it was not seen for long enough to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_30_days: Option<f64>,
    /// What the vendor's table says for 30 days, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_bytes_30_days: Option<f64>,
    /// Where the vendor says so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::word::assert_told_as_typed;

    #[test]
    fn words_are_told_as_they_are_typed() {
        assert_told_as_typed(Method::ALL, Method::text);
        assert_told_as_typed(StepOutcome::ALL, StepOutcome::text);
        assert_told_as_typed(Quality::ALL, Quality::text);
        assert_told_as_typed(AllowState::ALL, AllowState::text);
        assert_told_as_typed(UplinkBy::ALL, UplinkBy::text);
    }
}
