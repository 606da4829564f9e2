//! RTP, RTCP, NTP, and the heads of RTSP and SIP, as libraries read them.
//!
//! RTSP and SIP have HTTP's head but for the version, so httparse reads it once that is HTTP's.

use ntp_parser::{NtpPacket, parse_ntp};
use proptest::prelude::*;
use relayscope::inspect::message::{self, Message, Protocol};
use relayscope::inspect::{ntp, rtp};
use rtp_types::RtpPacket;

/// A packet of RTP without padding: contributing sources, perhaps an extension, a payload.
fn rtp_packets() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::array::uniform11(any::<u8>());
    let extension = prop::option::of((any::<u16>(), prop::collection::vec(any::<[u8; 4]>(), 0..5)));
    (fixed, prop::collection::vec(any::<[u8; 4]>(), 0..16), extension, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(fixed, sources, extension, payload)| {
            let flags = 0x80 | if extension.is_some() { 0x10 } else { 0 } | u8::try_from(sources.len()).unwrap();
            let mut packet = [&[flags][..], &fixed, &sources.concat()].concat();
            if let Some((profile, words)) = extension {
                packet.extend(profile.to_be_bytes());
                packet.extend(u16::try_from(words.len()).unwrap().to_be_bytes());
                packet.extend(words.concat());
            }
            [packet, payload].concat()
        })
}

/// Packets of RTCP behind one another: a report first, each with as many words as it says.
fn compounds() -> impl Strategy<Value = Vec<u8>> {
    let report = (200..=201_u8, 0..4_u8).prop_map(|(kind, blocks)| {
        let length = usize::from(blocks) * 24 + if kind == 200 { 28 } else { 8 };
        [&[0x80 | blocks, kind][..], &u16::try_from(length / 4 - 1).unwrap().to_be_bytes(), &vec![7; length - 4]]
            .concat()
    });
    // an application's own words; any content will do (RFC 3550 §6.7)
    let own = prop::collection::vec(any::<[u8; 4]>(), 0..4).prop_map(|words| {
        let length = u16::try_from(words.len() + 2).unwrap();
        [&[0x80, 204][..], &length.to_be_bytes(), &[1, 2, 3, 4], b"test", &words.concat()].concat()
    });
    (report, prop::collection::vec(own, 0..3)).prop_map(|(report, own)| [report, own.concat()].concat())
}

/// The head of a request or a response, its version left out, with what it says of length and user agent.
fn heads() -> impl Strategy<Value = (String, String)> {
    let first = prop_oneof![
        ("[A-Z][A-Z_-]{0,12}", "[!-~]{1,40}").prop_map(|(method, uri)| (format!("{method} {uri} "), String::new())),
        (100..700_u16, "[ -~]{0,20}").prop_map(|(status, reason)| (String::new(), format!(" {status} {reason}"))),
    ];
    let field = prop_oneof![
        (0..70_000_u32).prop_map(|n| format!("Content-Length: {n}")),
        "(User-Agent|user-agent|USER-AGENT):[ \t]{0,3}[!-~]([ -~]{0,30}[!-~])?",
        "(CSeq|Via|Session|X-Anything):[ ]?[!-~]{0,30}",
    ];
    (first, prop::collection::vec(field, 0..8), any::<bool>()).prop_map(|((before, after), fields, bare)| {
        let end = if bare { "\n" } else { "\r\n" };
        let lines: String = fields.iter().map(|field| format!("{field}{end}")).collect();
        (before, format!("{after}{end}{lines}{end}"))
    })
}

/// What a head says.
#[derive(Debug, PartialEq)]
struct Head {
    method: Option<String>,
    uri: Option<String>,
    status: Option<u16>,
    /// The last one told; 0 where none is.
    length: u64,
    /// The first one told.
    agent: Option<String>,
}

/// A head as httparse reads it.
fn by_httparse(head: &str) -> Option<Head> {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let (method, uri, status, fields) = if head.starts_with("HTTP/") {
        let mut response = httparse::Response::new(&mut fields);
        response.parse(head.as_bytes()).ok().filter(httparse::Status::is_complete)?;
        (None, None, response.code, response.headers)
    } else {
        let mut request = httparse::Request::new(&mut fields);
        request.parse(head.as_bytes()).ok().filter(httparse::Status::is_complete)?;
        (request.method.map(str::to_owned), request.path.map(str::to_owned), None, request.headers)
    };
    let value = |f: &httparse::Header<'_>| std::str::from_utf8(f.value).unwrap().to_owned();
    let named = |name: &'static str| fields.iter().filter(move |f| f.name.eq_ignore_ascii_case(name));
    let length = named("content-length").next_back().map_or(0, |f| value(f).parse().unwrap());
    Some(Head { method, uri, status, length, agent: named("user-agent").next().map(value) })
}

/// A head as it is read here, and of which protocol.
fn by_ours(head: &str) -> Option<(Protocol, Head)> {
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
    let Message { protocol, method, uri, status, user_agent, content_length: length } =
        message::datagram(head.as_bytes())?;
    Some((protocol, Head { method: text(method), uri: text(uri), status, length, agent: text(user_agent) }))
}

proptest! {
    #[test]
    fn rtp_is_what_rtp_types_reads(packet in rtp_packets(), damage in prop::option::of((0..40_usize, any::<u8>())), cut in 0..60_usize) {
        let mut packet = packet;
        if let Some((at, value)) = damage && let Some(byte) = packet.get_mut(at) {
            *byte = value;
        }
        packet.truncate(packet.len().saturating_sub(cut.saturating_sub(40)));
        // what stands at the end of the payload is of no interest here
        prop_assume!(packet.first().is_none_or(|flags| flags & 0x20 == 0));
        let ours = rtp::parse(&packet, packet.len());
        let theirs = RtpPacket::parse(&packet).ok();
        // beside RTCP on one port these are its types (RFC 5761 §4); an empty payload shows nothing
        let theirs = theirs.filter(|p| !matches!(p.payload_type(), 64..=95) && p.payload_len() > 0);
        let told = |p: &RtpPacket<'_>| (p.payload_type(), p.sequence_number(), p.timestamp(), p.ssrc());
        prop_assert_eq!(ours.map(|p| (p.payload_type, p.sequence, p.timestamp, p.ssrc)), theirs.as_ref().map(told));
    }

    #[test]
    fn rtcp_is_what_rtcp_types_reads(compound in compounds(), cut in 0..12_usize) {
        let shown = &compound[..compound.len().saturating_sub(cut)];
        let theirs = rtcp_types::Compound::parse(shown).ok().map(|packets| packets.collect::<Result<Vec<_>, _>>());
        let theirs = theirs.and_then(Result::ok).map_or(0, |packets| u32::try_from(packets.len()).unwrap());
        prop_assert_eq!(rtp::report(shown, shown.len()).map_or(0, |report| report.packets), theirs);
    }

    #[test]
    fn ntp_is_what_ntp_parser_reads(
        first in any::<u8>(), stratum in 0..=16_u8, rest in prop::collection::vec(any::<u8>(), 46..=46), mac in any::<bool>(),
    ) {
        let tail: &[u8] = if mac { &[9; 20] } else { &[] };
        let packet = [&[first, stratum][..], &rest, tail].concat();
        let Some(ours) = ntp::parse(&packet).filter(|p| matches!(p.version, 3 | 4) && !p.is_control()) else { return Ok(()) };
        let Ok((_, theirs)) = parse_ntp(&packet) else { return Err(TestCaseError::fail("it does not read it")) };
        let (header, stamps) = match theirs {
            NtpPacket::V3(p) => ((p.li, p.version, p.mode.0, p.stratum, p.poll, p.precision, p.root_delay, p.root_dispersion),
                [p.ts_ref, p.ts_orig, p.ts_recv, p.ts_xmit]),
            NtpPacket::V4(p) => ((p.li, p.version, p.mode.0, p.stratum, p.poll, p.precision, p.root_delay, p.root_dispersion),
                [p.ts_ref, p.ts_orig, p.ts_recv, p.ts_xmit]),
        };
        let ntp::Packet { leap, version, mode, stratum, poll, precision, root_delay, root_dispersion, .. } = ours;
        prop_assert_eq!((leap, version, mode, stratum, poll, precision, root_delay, root_dispersion), header);
        prop_assert_eq!([ours.reference, ours.origin, ours.receive, ours.transmit], stamps);
    }

    #[test]
    fn rtsp_and_sip_heads_are_what_httparse_reads((before, after) in heads(), sip in any::<bool>()) {
        let (protocol, version) = if sip { (Protocol::Sip, "SIP/2.0") } else { (Protocol::Rtsp, "RTSP/1.0") };
        let Some(theirs) = by_httparse(&format!("{before}HTTP/1.1{after}")) else {
            return Err(TestCaseError::fail("it does not read it"));
        };
        prop_assert_eq!(by_ours(&format!("{before}{version}{after}")), Some((protocol, theirs)));
    }
}
