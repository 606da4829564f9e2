//! A network device, by libpcap: its ring, its filter, its counters.

use std::time::Duration;

use pcap::{Active, Capture, Packet, Precision};

use super::{Counters, Interface, append, frame};
use crate::platform::{self, LinkState};
use crate::source::{CHUNK_BYTES, Chunk, Frame, Tally};
use crate::time::{MILLISECOND, Timestamp};

/// How long the kernel may hold frames back to hand over many at once, in milliseconds: little enough for a screen
/// that changes four times a second, and 50 wake-ups a second at most where little comes.
const RETIRE_MS: i32 = 20;
/// How much longer a frame may be on its way from its time stamp to us, for our own threads' sake.
const SLACK: u64 = 30 * MILLISECOND;
/// The most frames that are taken at a time: some of them, merged by the driver, may have 64 kB.
const MOST_FRAMES: usize = 128;
/// The most that are added to a chunk at a time, however short they are.
const MOST_TAKEN: usize = 8_192;
/// Bytes for which a frame is counted when it is decided how many to take.
const USUAL_FRAME: usize = 2_048;

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Frames were added, and no more waited.
    Frames,
    /// Frames were added, and more wait. `behind`: so many have come since none waited that the ring may soon be full.
    Some {
        /// Reading should be quicker than it was.
        behind: bool,
    },
    /// None waits, and all until then were given.
    Quiet(Timestamp),
}

/// Why a device gives no frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is down, and may come up again.
    Down,
    /// It is there no more, or another has taken its name.
    Gone,
    /// The system says this.
    Failed(String),
}

/// What becomes of frames that are read.
#[derive(Debug)]
pub enum Intake<'a> {
    /// They are added to this.
    Chunk(&'a mut Chunk),
    /// They are only counted, those that came until then.
    Tally(&'a mut Tally, Timestamp),
}

impl Intake<'_> {
    /// Whether as much was taken as is at a time, of which `frames` were taken now.
    fn is_full(&self, frames: usize) -> bool {
        frames >= MOST_TAKEN || matches!(self, Intake::Chunk(chunk) if chunk.buf.len() >= CHUNK_BYTES)
    }

    /// How many frames are to be taken next.
    fn room(&self) -> usize {
        match self {
            Intake::Chunk(chunk) => (CHUNK_BYTES.saturating_sub(chunk.buf.len()) / USUAL_FRAME).clamp(1, MOST_FRAMES),
            Intake::Tally(..) => MOST_TAKEN,
        }
    }

    /// Takes a frame.
    #[inline(always)]
    pub fn push(&mut self, frame: &Frame<'_>) {
        match self {
            Intake::Chunk(chunk) => _ = append(chunk, frame),
            Intake::Tally(tally, until) => {
                come_near(frame.bytes);
                if frame.ts <= *until {
                    tally.frame(frame);
                }
            }
        }
    }
}

/// Touches the bytes of a frame that is short. Where the next one lies in the ring is told by this one, and who looks
/// at no more than that waits for memory each time, longer than to count takes; who goes through it line by line does
/// not. Long frames are better passed over.
#[inline(always)]
fn come_near(bytes: &[u8]) {
    const LINE: usize = 64;
    const SHORT: usize = 512;
    if bytes.len() <= SHORT {
        std::hint::black_box(bytes.iter().step_by(LINE).fold(0, |all, byte| all ^ byte));
    }
}

/// Where frames come from.
pub trait Device: Send {
    /// What is known of it.
    fn interface(&self) -> &Interface;
    /// Takes frames, about a chunk's worth; waits up to `wait` if none is there.
    ///
    /// # Errors
    /// It gives none.
    fn read(&mut self, intake: Intake<'_>, wait: Duration) -> Result<Read, Trouble>;
    /// What it has counted so far.
    fn counters(&mut self) -> Counters;
}

/// How a device is to be opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A capture filter, as tcpdump has them.
    pub filter: Option<String>,
    /// The most bytes of a frame; 0 is no limit.
    pub snaplen: u32,
    /// Whether frames for others are wanted.
    pub promiscuous: bool,
    /// Bytes of the kernel's ring.
    pub ring: usize,
}

/// Why a device cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no device of that name.
    #[error("{name}: no such interface; `relayscope interfaces` lists those there are")]
    NoSuch {
        /// What was asked for.
        name: String,
    },
    /// We may not.
    #[error("{name}: no permission to capture; `relayscope doctor` says how to get it (sudo, or setcap once)")]
    Permission {
        /// What was asked for.
        name: String,
    },
    /// It is not set up, as ports often are not that only listen.
    #[error("{name} is down; `sudo ip link set {name} up` puts it up")]
    Down {
        /// What was asked for.
        name: String,
    },
    /// The filter is none.
    #[error("the capture filter '{filter}' is none: {why}")]
    Filter {
        /// What was given.
        filter: String,
        /// What libpcap says of it.
        why: String,
    },
    /// The system says this.
    #[error("{name}: cannot be captured on: {why}")]
    Failed {
        /// What was asked for.
        name: String,
        /// What libpcap says.
        why: String,
    },
}

/// A device that is there.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What the system calls it.
    pub name: String,
    /// What else is said of it.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<std::net::IpAddr>,
    /// It is up and has a link.
    pub running: bool,
    /// It is the machine itself.
    pub loopback: bool,
}

/// The devices that frames can be captured on, in the order by which they are numbered from 1.
///
/// # Errors
/// As libpcap has them.
pub fn list() -> Result<Vec<Listed>, pcap::Error> {
    let listed = |device: pcap::Device| Listed {
        addresses: device.addresses.iter().map(|address| address.addr).collect(),
        running: device.flags.is_up() && device.flags.is_running(),
        loopback: device.flags.is_loopback(),
        name: device.name,
        description: device.desc,
    };
    Ok(pcap::Device::list()?.into_iter().map(listed).collect())
}

/// A device that libpcap has opened.
pub struct Pcap {
    interface: Interface,
    /// What the system numbers it by: another of the same name has another number.
    index: Option<u32>,
    handle: Capture<Active>,
    counted: Counters,
    last: Option<pcap::Stat>,
    /// Bytes that are taken out of the ring without its having been empty, from which on who reads is behind.
    behind: usize,
    /// How many were taken out since it was last empty.
    taken: usize,
}

/// The share of the ring that may be taken out without its having been empty.
const BEHIND: usize = 4;
/// The same where a process that has less than two cores may be stopped at any moment, for tens of milliseconds: the
/// ring must have room for what comes until it goes on.
const BEHIND_STOPPED: usize = 16;

impl Pcap {
    /// Opens the device of that name, or number in the list of devices.
    ///
    /// # Errors
    /// There is none, or it cannot be opened, or the filter is none.
    pub fn open(wanted: &str, settings: &Settings) -> Result<Pcap, OpenError> {
        let name = name_of(wanted)?;
        let failed = |error: pcap::Error| of(error, &name);
        let snaplen = if settings.snaplen == 0 { MAX_SNAPLEN } else { settings.snaplen };
        let open = |promiscuous| {
            Capture::from_device(name.as_str())?
                .buffer_size(i32::try_from(settings.ring).unwrap_or(i32::MAX))
                .snaplen(i32::try_from(snaplen).unwrap_or(i32::MAX))
                .timeout(RETIRE_MS)
                .precision(Precision::Nano)
                .promisc(promiscuous)
                .open()
        };
        // a device of devices ("any") knows no promiscuous mode, and says so as if it were an error
        let opened = open(settings.promiscuous && name != ANY);
        let mut handle = opened.and_then(Capture::setnonblock).map_err(failed)?;
        if let Some(filter) = &settings.filter {
            handle.filter(filter, true).map_err(|e| OpenError::Filter { filter: filter.clone(), why: text(&e) })?;
        }
        let link = u16::try_from(handle.get_datalink().0).unwrap_or(u16::MAX);
        let index = platform::interface_index(&name);
        let interface = Interface { name, link, snaplen: settings.snaplen, filter: settings.filter.clone() };
        let behind = settings.ring / if platform::has_one_core() { BEHIND_STOPPED } else { BEHIND };
        Ok(Pcap { interface, index, handle, counted: Counters::default(), last: None, behind, taken: 0 })
    }

    /// The descriptor by which it is open, where there is one.
    pub fn descriptor(&self) -> Option<i32> {
        platform::descriptor(&self.handle)
    }

    /// Whether it gives no frames because it is down or gone.
    fn trouble(&self) -> Option<Trouble> {
        if self.interface.name == ANY {
            return None;
        }
        match platform::link_state(&self.interface.name) {
            LinkState::Unknown => None,
            LinkState::Gone => Some(Trouble::Gone),
            _ if platform::interface_index(&self.interface.name) != self.index => Some(Trouble::Gone),
            LinkState::Down => Some(Trouble::Down),
            LinkState::Up => None,
        }
    }

    /// Takes what waits; none if nothing did.
    fn take(&mut self, intake: &mut Intake<'_>) -> Result<Option<Read>, pcap::Error> {
        let link = self.interface.link;
        let (mut frames, mut bytes) = (0, 0);
        while !intake.is_full(frames) {
            let n = self.handle.dispatch(Some(intake.room()), |packet| {
                bytes += packet.header.caplen as usize;
                intake.push(&of_packet(&packet, link));
            })?;
            if n == 0 {
                self.taken = 0;
                return Ok((frames > 0).then_some(Read::Frames));
            }
            frames += n;
        }
        self.taken = self.taken.saturating_add(bytes);
        Ok(Some(Read::Some { behind: self.taken >= self.behind }))
    }
}

impl Device for Pcap {
    fn interface(&self) -> &Interface {
        &self.interface
    }

    fn read(&mut self, mut intake: Intake<'_>, wait: Duration) -> Result<Read, Trouble> {
        for attempt in 0..2 {
            // whatever had come by now is there to be read, but for what the kernel holds back
            let now = Timestamp(platform::now().0.saturating_sub(RETIRE_MS as u64 * MILLISECOND + SLACK));
            match self.take(&mut intake) {
                Ok(None) if attempt == 0 => platform::wait_for_frames(&self.handle, wait),
                Ok(None) => return self.trouble().map_or(Ok(Read::Quiet(now)), Err),
                Ok(Some(read)) => return Ok(read),
                Err(error) => return Err(self.trouble().unwrap_or_else(|| Trouble::Failed(text(&error)))),
            }
        }
        Ok(Read::Quiet(Timestamp(0)))
    }

    fn counters(&mut self) -> Counters {
        // the system's counts have 32 bits and begin again at 0
        if let Ok(now) = self.handle.stats() {
            let last = self.last.unwrap_or(pcap::Stat { received: 0, dropped: 0, if_dropped: 0 });
            self.counted = self.counted.and(Counters {
                received: u64::from(now.received.wrapping_sub(last.received)),
                kernel_drops: u64::from(now.dropped.wrapping_sub(last.dropped)),
                interface_drops: u64::from(now.if_dropped.wrapping_sub(last.if_dropped)),
            });
            self.last = Some(now);
        }
        self.counted
    }
}

/// The device of all devices.
pub const ANY: &str = "any";
/// What libpcap takes for no limit.
const MAX_SNAPLEN: u32 = 262_144;

/// A packet as libpcap gives it.
#[inline(always)]
fn of_packet<'p>(packet: &Packet<'p>, link: u16) -> Frame<'p> {
    let header = packet.header;
    let (seconds, fraction) = (header.ts.tv_sec, header.ts.tv_usec);
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let nanos = u64::try_from(fraction).unwrap_or(0) * platform::NANOS_PER_FRACTION;
    frame(Timestamp::from_parts(seconds, nanos), link, header.len, packet.data)
}

/// The name of the device that is meant: by its name, or its number in the list.
///
/// # Errors
/// There is none.
pub fn name_of(wanted: &str) -> Result<String, OpenError> {
    let no_such = || OpenError::NoSuch { name: wanted.to_owned() };
    if platform::link_state(wanted).is_there() {
        return Ok(wanted.to_owned());
    }
    let devices = list().map_err(|error| of(error, wanted))?;
    let by_number = wanted.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).and_then(|n| devices.get(n));
    let device = devices.iter().find(|device| device.name == wanted).or(by_number);
    device.map(|device| device.name.clone()).ok_or_else(no_such)
}

fn of(error: pcap::Error, name: &str) -> OpenError {
    let (name, why) = (name.to_owned(), text(&error));
    if ["ermission", "not permitted"].iter().any(|word| why.contains(word)) {
        OpenError::Permission { name }
    } else if why.contains("No such device") {
        OpenError::NoSuch { name }
    } else if platform::link_state(&name) == LinkState::Down {
        OpenError::Down { name }
    } else {
        OpenError::Failed { name, why }
    }
}

fn text(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}
