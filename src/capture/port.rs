//! What comes in at a port, looked at as a mirror: for whom it is, what tags it has, what was merged on the way.

use std::collections::HashSet;
use std::fmt;

use crate::source::{Frame, LinkType};

const ETHERNET: LinkType = LinkType(1);
/// The longest frame that a wire carries whose hosts know no jumbo frames: 1,500 bytes, header and two tags.
const LONGEST: u32 = 1_522;
/// The most stations that are counted.
const STATIONS: usize = 4_096;
/// Frames that are too few to judge a port by: a switch floods what it does not know yet, a frame now and then.
const FEW: u64 = 20;

/// What was seen at a port.
#[derive(Clone, Debug, Default)]
pub struct Port {
    /// Frames.
    pub frames: u64,
    /// Frames from one station to another, neither of which is this machine.
    pub of_others: u64,
    /// Frames to or from this machine.
    pub own: u64,
    /// Frames to groups of stations, or to all.
    pub to_many: u64,
    /// Frames with a VLAN tag.
    pub tagged: u64,
    /// Frames longer than the wire has them: merged by the driver.
    pub merged: u64,
    /// Frames of links that show no stations, as those of all interfaces at once do not.
    pub unaddressed: u64,
    stations: HashSet<[u8; 6]>,
    own_address: Option<[u8; 6]>,
}

/// Something that is to be said of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Nothing came.
    Silent,
    /// Too little came to say whether it is a mirror.
    Quiet,
    /// What comes in does not show which stations it is between.
    Unknown,
    /// Only what any port gets.
    NoMirror,
    /// It is a mirror of other stations' traffic.
    Mirror,
    /// Frames were merged.
    Merged,
    /// No frame has a tag.
    Untagged,
}

impl Port {
    /// The port of a device whose own address is this, where that is known.
    pub fn new(own_address: Option<[u8; 6]>) -> Self {
        Port { own_address, ..Port::default() }
    }

    /// Looks at a frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        self.frames += 1;
        if frame.link != ETHERNET {
            self.unaddressed += 1;
            return;
        }
        let Some((to, rest)) = frame.bytes.split_first_chunk::<6>() else { return };
        let Some((from, rest)) = rest.split_first_chunk::<6>() else { return };
        if self.stations.len() < STATIONS {
            self.stations.insert(*from);
        }
        let tagged = matches!(rest, [0x81, 0x00, ..] | [0x88, 0xa8, ..]);
        self.tagged += u64::from(tagged);
        self.merged += u64::from(frame.len > LONGEST);
        if to[0] & 1 == 1 {
            self.to_many += 1;
        } else if self.own_address.is_some_and(|own| own == *to || own == *from) {
            self.own += 1;
        } else {
            self.of_others += 1;
        }
    }

    /// How many stations sent.
    pub fn stations(&self) -> usize {
        self.stations.len()
    }

    /// Whether what comes in is other stations' traffic.
    pub fn is_mirror(&self) -> bool {
        self.of_others > FEW && self.is_among_others()
    }

    /// Whether other stations' traffic is more than a switch would flood.
    fn is_among_others(&self) -> bool {
        self.of_others > self.own / 10
    }

    /// What is to be said of it.
    pub fn remarks(&self) -> Vec<Remark> {
        if self.frames == 0 {
            return vec![Remark::Silent];
        }
        if self.unaddressed == self.frames {
            return vec![Remark::Unknown];
        }
        let mirrors = self.is_mirror();
        let undecided = self.frames <= FEW || self.is_among_others();
        let mut remarks = vec![match mirrors {
            true => Remark::Mirror,
            false if undecided => Remark::Quiet,
            false => Remark::NoMirror,
        }];
        remarks.extend((self.merged > 0).then_some(Remark::Merged));
        remarks.extend((mirrors && self.tagged == 0).then_some(Remark::Untagged));
        remarks
    }
}

impl Remark {
    /// What to do about it; none if it is well.
    pub const fn todo(self) -> Option<&'static str> {
        match self {
            Remark::Silent => {
                Some("is this the port that the switch mirrors to, is the cable in, and does the source carry traffic?")
            }
            Remark::Unknown => Some("look at the interfaces one by one (doctor -i IFACE)"),
            Remark::Quiet => Some("look again for longer, while a recorder is watched"),
            Remark::NoMirror => Some("set the switch to mirror the recorder's port to this one, both directions"),
            Remark::Mirror => None,
            Remark::Merged => {
                Some("that hides losses and times: `sudo ethtool -K IFACE gro off lro off` has them as they were sent")
            }
            Remark::Untagged => Some(
                "right for the mirror of an access port or of one VLAN; if its source is a trunk, the switch took them off",
            ),
        }
    }

    /// Whether it keeps the port from being of use.
    pub const fn is_wrong(self) -> bool {
        matches!(self, Remark::Silent | Remark::NoMirror)
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Remark::Silent => "nothing came in",
            Remark::Unknown => "what comes in here shows no hardware addresses: whether it is a mirror cannot be told",
            Remark::Quiet => "too little came in to say whether this is a mirror port",
            Remark::NoMirror => {
                "this is no mirror port: only this machine's own traffic came in, and what goes to everybody"
            }
            Remark::Mirror => "this is a mirror port: traffic between other stations comes in",
            Remark::Merged => "frames longer than the wire has them came in: the driver merges segments",
            Remark::Untagged => "no frame has a VLAN tag",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frame;
    use crate::time::Timestamp;

    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

    /// To whom, from whom, of what kind, how long.
    type Sent = ([u8; 6], [u8; 6], [u8; 2], u32);

    fn port(frames: &[Sent]) -> Port {
        let mut port = Port::new(Some(OWN));
        for (to, from, kind, len) in frames {
            let bytes = [&to[..], from, kind, &[0; 46]].concat();
            port.frame(&frame(Timestamp(0), 1, *len, &bytes));
        }
        port
    }

    #[test]
    fn mirrors_and_others() {
        let (a, b, all, ip) = ([2, 0, 0, 0, 0, 8], [2, 0, 0, 0, 0, 9], [0xff; 6], [8, 0]);
        assert_eq!(port(&[]).remarks(), [Remark::Silent]);
        let own = [(OWN, a, ip, 60), (a, OWN, ip, 60), (all, a, ip, 60)];
        assert_eq!(port(&own).remarks(), [Remark::Quiet]);
        assert_eq!(port(&own.repeat(7)).remarks(), [Remark::NoMirror]);
        // a frame or two that the switch flooded are no mirror; but nor is their absence one while little comes
        assert_eq!(port(&[own.repeat(7), vec![(a, b, ip, 60)]].concat()).remarks(), [Remark::NoMirror]);
        assert_eq!(port(&[vec![(all, a, ip, 60); 30], vec![(a, b, ip, 60); 20]].concat()).remarks(), [Remark::Quiet]);
        let mirror = port(&[(a, b, ip, 60); 30]);
        assert_eq!((mirror.remarks(), mirror.stations()), (vec![Remark::Mirror, Remark::Untagged], 1));
        assert_eq!(port(&[(a, b, [0x81, 0], 60); 30]).remarks(), [Remark::Mirror]);
        // all interfaces at once (Linux' cooked headers), or a tunnel: nobody's address is there to go by
        let mut cooked = Port::new(Some(OWN));
        (0..30).for_each(|_| cooked.frame(&frame(Timestamp(0), 276, 60, &[0; 60])));
        assert_eq!((cooked.remarks(), cooked.is_mirror(), cooked.stations()), (vec![Remark::Unknown], false, 0));
        assert!(!Remark::Unknown.is_wrong());
        let merged = port(&[(a, b, [0x81, 0], 9_000); 30]);
        assert_eq!(merged.remarks(), [Remark::Mirror, Remark::Merged]);
    }
}
