//! What the pcapng writer writes, as our reader and another's read it.

mod support;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, OptionCode, PcapBlockOwned, PcapError, PcapNGOption, PcapNGReader};
use proptest::prelude::*;
use relayscope::pcapng::{Interface, Section, Statistics, Writer};
use relayscope::source::{CaptureReader, Chunk, Fill, Frame, LinkType};
use relayscope::time::Timestamp;

const ETHERNET: LinkType = LinkType(1);
const RAW_IP: LinkType = LinkType(101);
const NOON: Timestamp = Timestamp(1_795_348_800_123_456_789);

fn interface(link: LinkType) -> Interface<'static> {
    Interface { link, snaplen: 0, name: Some("eth1"), filter: Some("tcp port 443") }
}

/// Time, link, length on the wire and bytes of every frame, as our reader has them; it must find nothing wrong.
fn read(file: &[u8]) -> Vec<(Timestamp, LinkType, u32, Vec<u8>)> {
    let mut reader = CaptureReader::from_reader(Box::new(std::io::Cursor::new(file.to_vec())), "test", 4_096).unwrap();
    let (mut chunk, mut frames) = (Chunk::default(), Vec::new());
    while reader.fill(&mut chunk).unwrap() == Fill::More {
        let of_chunk = chunk.frames.iter().filter_map(|at| chunk.frame(at));
        frames.extend(of_chunk.map(|f| (f.ts, f.link, f.len, f.bytes.to_vec())));
    }
    assert_eq!(reader.take_warnings().count(), 0);
    frames
}

/// Every block as another's reader shows it: a line each, with its texts.
fn blocks(file: &[u8]) -> Vec<String> {
    let mut reader = PcapNGReader::new(1 << 20, file).unwrap();
    let mut lines = Vec::new();
    loop {
        match reader.next() {
            Ok((used, PcapBlockOwned::NG(block))) => {
                lines.push(line(&block));
                reader.consume(used);
            }
            Ok(_) => panic!("no pcapng"),
            Err(PcapError::Eof) => return lines,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn line(block: &Block<'_>) -> String {
    let (kind, options) = match block {
        Block::SectionHeader(section) => ("section".to_owned(), &section.options),
        Block::InterfaceDescription(interface) => {
            (format!("interface link {} resolution {}", interface.linktype.0, interface.if_tsresol), &interface.options)
        }
        Block::EnhancedPacket(packet) => {
            let ticks = packet.decode_ts(0, 1_000_000_000);
            (format!("packet {} of {} at {}.{:09}", packet.caplen, packet.origlen, ticks.0, ticks.1), &packet.options)
        }
        Block::InterfaceStatistics(statistics) => (format!("statistics of {}", statistics.if_id), &statistics.options),
        other => panic!("{other:?}"),
    };
    options.iter().filter(|option| option.code != OptionCode::EndOfOpt).fold(kind, |line, o| line + &shown(o))
}

fn shown(option: &PcapNGOption<'_>) -> String {
    let value = option.value();
    let text = match std::str::from_utf8(value).map(|text| text.trim_matches('\0')) {
        Ok(text) if text.len() > 1 && !text.contains(|c: char| c.is_control()) => text.to_owned(),
        _ => format!("{value:?}"),
    };
    format!("; {} {text}", option.code.0)
}

#[test]
fn another_reader_finds_every_field() {
    let section = Section { os: Some("Linux"), application: Some("relayscope"), comments: &["a", "second one"] };
    let mut writer = Writer::new(Vec::new(), &section).unwrap();
    let at = writer.interface(&interface(ETHERNET)).unwrap();
    let frame = Frame { ts: NOON, link: ETHERNET, len: 1_514, bytes: &[7; 61] };
    writer.frame(at, &frame, &[]).unwrap();
    writer.frame(at, &frame, &["✗ held"]).unwrap();
    let end = Timestamp(NOON.0 + 1);
    let statistics = Statistics {
        time: end,
        start: Some(NOON),
        end: Some(end),
        received: Some(2),
        interface_drops: Some(3),
        kernel_drops: Some(4),
        comments: &["the end"],
    };
    writer.statistics(at, &statistics).unwrap();
    let written = writer.written();
    let file = writer.into_output();
    assert_eq!(written, file.len() as u64);
    insta::assert_snapshot!(blocks(&file).join("\n"));
}

#[test]
fn drops_come_back() {
    let mut writer = Writer::new(Vec::new(), &Section::default()).unwrap();
    for drops in [5, 7] {
        let at = writer.interface(&interface(RAW_IP)).unwrap();
        let drops = Statistics { interface_drops: Some(drops), kernel_drops: Some(drops * 10), ..Default::default() };
        writer.statistics(at, &drops).unwrap();
    }
    let file = writer.into_output();
    let mut reader = CaptureReader::from_reader(Box::new(std::io::Cursor::new(file)), "test", 4_096).unwrap();
    while reader.fill(&mut Chunk::default()).unwrap() == Fill::More {}
    assert_eq!((reader.facts().interface_drops, reader.facts().kernel_drops), (Some(12), Some(120)));
}

#[test]
fn a_comment_that_is_too_long_is_cut_between_letters() {
    let mut writer = Writer::new(Vec::new(), &Section::default()).unwrap();
    let at = writer.interface(&interface(ETHERNET)).unwrap();
    let long = "é".repeat(40_000);
    writer.frame(at, &Frame { ts: NOON, link: ETHERNET, len: 1, bytes: &[1] }, &[&long]).unwrap();
    let file = writer.into_output();
    assert_eq!(read(&file).len(), 1);
    assert!(blocks(&file).last().unwrap().ends_with(&"é".repeat(32_767)));
}

proptest! {
    #[test]
    fn frames_come_back_as_they_went(
        frames in prop::collection::vec(
            (any::<u64>(), any::<bool>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..200), "\\PC{0,9}"),
            0..20,
        )
    ) {
        let mut writer = Writer::new(Vec::new(), &Section::default()).unwrap();
        let links = [ETHERNET, RAW_IP];
        for link in links {
            writer.interface(&interface(link)).unwrap();
        }
        let mut sent = Vec::new();
        for (ts, raw, len, bytes, comment) in &frames {
            let (at, link) = (usize::from(*raw), links[usize::from(*raw)]);
            let frame = Frame { ts: Timestamp(*ts), link, len: *len, bytes };
            let comments = [comment.as_str()];
            writer.frame(at as u32, &frame, &comments[usize::from(comment.is_empty())..]).unwrap();
            sent.push((frame.ts, link, (*len).max(bytes.len() as u32), bytes.clone()));
        }
        let file = writer.into_output();
        prop_assert_eq!(read(&file), sent);
        prop_assert_eq!(blocks(&file).len(), frames.len() + 3);
    }
}
