//! Writes pcapng (draft-ietf-opsawg-pcapng): what was captured, with what is to be said of it.
//!
//! One section: its header (§4.1), interface descriptions (§4.2, times in nanoseconds), enhanced packets (§4.3) and
//! interface statistics (§4.6). Every block but the interfaces' may carry comments, which Wireshark shows where they
//! stand; one that belongs to a moment and not to a packet goes with statistics. A block is given to the output in
//! one piece, so what an output holds is whole up to its last write.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use std::io::{self, Write};

use crate::source::{Frame, LinkType};
use crate::time::Timestamp;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const OPT_COMMENT: u16 = 1;

/// Who and what wrote a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Section<'a> {
    /// The system that captured.
    pub os: Option<&'a str>,
    /// The program that wrote the file.
    pub application: Option<&'a str>,
    /// What is to be said of all of it.
    pub comments: &'a [&'a str],
}

/// Where frames were captured.
#[derive(Clone, Copy, Debug)]
pub struct Interface<'a> {
    /// How the first bytes of its frames are to be read.
    pub link: LinkType,
    /// The most bytes captured of a frame; 0 is no limit.
    pub snaplen: u32,
    /// What the system calls it.
    pub name: Option<&'a str>,
    /// The capture filter that was set, as tcpdump would spell it.
    pub filter: Option<&'a str>,
}

/// What an interface has come to, up to a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics<'a> {
    /// The moment.
    pub time: Timestamp,
    /// When capturing began.
    pub start: Option<Timestamp>,
    /// When capturing ended.
    pub end: Option<Timestamp>,
    /// Frames that came in.
    pub received: Option<u64>,
    /// Frames that the interface lost.
    pub interface_drops: Option<u64>,
    /// Frames that the capturing system had no room for.
    pub kernel_drops: Option<u64>,
    /// What is to be said of that moment.
    pub comments: &'a [&'a str],
}

/// Writes one section to `out`. Buffering and flushing are the output's affair.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// The block that is being made, and whether it has options.
    block: Vec<u8>,
    options: bool,
    interfaces: u32,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a section.
    ///
    /// # Errors
    /// As the output has them; so do all that write.
    pub fn new(out: W, section: &Section<'_>) -> io::Result<Self> {
        let mut writer = Writer { out, block: Vec::new(), options: false, interfaces: 0, written: 0 };
        writer.begin(SECTION);
        writer.u32(BYTE_ORDER);
        writer.u16(1);
        writer.u16(0);
        // the section's length is not known while it is written
        writer.u64(u64::MAX);
        writer.comments(section.comments);
        writer.text(3, section.os);
        writer.text(4, section.application);
        writer.end()?;
        Ok(writer)
    }

    /// Describes an interface; gives the number by which frames and statistics name it.
    pub fn interface(&mut self, interface: &Interface<'_>) -> io::Result<u32> {
        self.begin(INTERFACE);
        self.u16(interface.link.0);
        self.u16(0);
        self.u32(interface.snaplen);
        self.text(2, interface.name);
        // if_tsresol: 10 to the power of -9 seconds
        self.option(9, &[9]);
        if let Some(filter) = interface.filter {
            // if_filter: kind 0 is text
            self.option(11, [&[0], filter.as_bytes()].concat().as_slice());
        }
        self.end()?;
        let number = self.interfaces;
        self.interfaces = number.saturating_add(1);
        Ok(number)
    }

    /// Writes a frame that came in at `interface`, with what is to be said of it.
    pub fn frame(&mut self, interface: u32, frame: &Frame<'_>, comments: &[&str]) -> io::Result<()> {
        let caplen = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        self.begin(ENHANCED_PACKET);
        self.u32(interface);
        self.time(frame.ts);
        self.u32(caplen);
        self.u32(frame.len.max(caplen));
        self.bytes(frame.bytes);
        self.comments(comments);
        self.end()
    }

    /// Writes what an interface has come to.
    pub fn statistics(&mut self, interface: u32, statistics: &Statistics<'_>) -> io::Result<()> {
        self.begin(STATISTICS);
        self.u32(interface);
        self.time(statistics.time);
        self.comments(statistics.comments);
        self.moment(2, statistics.start);
        self.moment(3, statistics.end);
        for (code, count) in [(4, statistics.received), (5, statistics.interface_drops), (7, statistics.kernel_drops)] {
            if let Some(count) = count {
                self.option(code, &count.to_le_bytes());
            }
        }
        self.end()
    }

    /// Bytes given to the output so far.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The output.
    pub const fn output(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the section, whose length is what was written; gives the output back.
    pub fn into_output(self) -> W {
        self.out
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.options = false;
        self.u32(kind);
        // the length, known at the end
        self.u32(0);
    }

    fn end(&mut self) -> io::Result<()> {
        if self.options {
            // the end of options
            self.u32(0);
        }
        let length = u32::try_from(self.block.len().saturating_add(4)).map_err(io::Error::other)?;
        if let Some(at) = self.block.get_mut(4..8) {
            at.copy_from_slice(&length.to_le_bytes());
        }
        self.u32(length);
        self.out.write_all(&self.block)?;
        self.written = self.written.saturating_add(u64::from(length));
        Ok(())
    }

    fn u16(&mut self, value: u16) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    /// Nanoseconds, the upper half first.
    fn time(&mut self, time: Timestamp) {
        self.block.extend_from_slice(&halves(time));
    }

    /// Bytes, and what fills them up to a multiple of four.
    fn bytes(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    /// An option; what is longer than one can be is cut.
    fn option(&mut self, code: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.u16(code);
        self.u16(length);
        self.bytes(value.get(..usize::from(length)).unwrap_or(value));
        self.options = true;
    }

    fn text(&mut self, code: u16, text: Option<&str>) {
        if let Some(text) = text {
            let room = (0..=usize::from(u16::MAX)).rev().find_map(|n| text.get(..n));
            self.option(
                code,
                if text.len() > usize::from(u16::MAX) { room.unwrap_or_default() } else { text }.as_bytes(),
            );
        }
    }

    fn comments(&mut self, comments: &[&str]) {
        comments.iter().for_each(|comment| self.text(OPT_COMMENT, Some(comment)));
    }

    fn moment(&mut self, code: u16, time: Option<Timestamp>) {
        if let Some(time) = time {
            self.option(code, &halves(time));
        }
    }
}

fn halves(Timestamp(nanos): Timestamp) -> [u8; 8] {
    (nanos.rotate_left(32)).to_le_bytes()
}
