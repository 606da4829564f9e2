//! `interfaces` and `doctor`: what can be captured on, what is missing for it, and whether a port really mirrors.

use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::{config, knowledge, rules, say};
use crate::capture::device::{self, Device, Listed, OpenError, Pcap, Settings};
use crate::capture::feed::{Event, Feed};
use crate::capture::port::Port;
use crate::capture::{Batch, Counters};
use crate::cli::DoctorArgs;
use crate::diagnose;
use crate::engine::Engine;
use crate::event::CaptureQuality;
use crate::exit::Exit;
use crate::platform::{self, Allowed};
use crate::text::units::Counted;

/// A ring of which nothing is lost in the seconds of a look.
const RING: usize = 32 << 20;

pub(super) fn interfaces() -> Result<Exit> {
    let mut out = io::stdout().lock();
    let devices = match device::list() {
        Ok(devices) => devices,
        Err(error) => {
            say(&format!("interfaces cannot be listed: {error}"));
            return Ok(Exit::Permission);
        }
    };
    for (n, device) in (1..).zip(&devices) {
        writeln!(out, "{}", line(n, device))?;
    }
    out.flush()?;
    Ok(Exit::Fine)
}

fn line(n: usize, device: &Listed) -> String {
    let state = if device.running { "up" } else { "down" };
    let addresses: Vec<_> = device.addresses.iter().map(ToString::to_string).collect();
    let more = [device.description.clone().unwrap_or_default(), addresses.join(" ")];
    let more = more.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("  ");
    format!("{n:>2} {:<16} {state:<4}  {more}", device.name).trim_end().to_owned()
}

/// What is said to somebody who wants to capture: each line with what is well, and what is not.
struct Told<W> {
    out: W,
    wrong: bool,
}

impl<W: Write> Told<W> {
    fn well(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "✓ {text}")
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "· {text}")
    }

    fn wrong(&mut self, text: &str, todo: &str) -> io::Result<()> {
        self.wrong = true;
        writeln!(self.out, "✗ {text}")?;
        writeln!(self.out, "    {todo}")
    }
}

pub(super) fn doctor(args: &DoctorArgs) -> Result<Exit> {
    let mut told = Told { out: io::stdout().lock(), wrong: false };
    rights(&mut told)?;
    match &args.interface {
        None => {
            all_interfaces(&mut told)?;
            confine(&Allowed::default(), &mut told)?;
        }
        Some(name) => one_interface(name, args, &mut told)?,
    }
    told.out.flush()?;
    Ok(if told.wrong { Exit::Permission } else { Exit::Fine })
}

fn rights(told: &mut Told<impl Write>) -> io::Result<()> {
    match platform::may_capture() {
        Some(true) => told.well("this process may capture")?,
        None => told.note("whether this process may capture is only known by trying")?,
        Some(false) => {
            let program = std::env::current_exe().map_or("relayscope".into(), |path| path.display().to_string());
            told.wrong(
                "this process may not capture",
                &format!("sudo relayscope live …, or once: sudo setcap cap_net_raw+ep {program}"),
            )?;
        }
    }
    Ok(())
}

/// Gives up all rights as a capture would, and says what of it this machine makes possible.
fn confine(allowed: &Allowed, told: &mut Told<impl Write>) -> Result<()> {
    let confined = platform::confine(allowed).map_err(|why| anyhow!(why))?;
    confined.done.iter().try_for_each(|line| told.well(&format!("a capture here: {line}")))?;
    confined.undone.iter().try_for_each(|line| told.note(line))?;
    Ok(())
}

fn all_interfaces(told: &mut Told<impl Write>) -> io::Result<()> {
    let devices = device::list().unwrap_or_default();
    let usable: Vec<_> = devices.iter().filter(|d| d.running && !d.loopback && d.name != device::ANY).collect();
    if usable.is_empty() {
        return told.wrong("no interface is up", "ip link set IFACE up");
    }
    for device in usable {
        told.note(&format!("{}: relayscope doctor -i {} looks at what comes in there", device.name, device.name))?;
    }
    Ok(())
}

fn one_interface(name: &str, args: &DoctorArgs, told: &mut Told<impl Write>) -> Result<()> {
    let settings = Settings { filter: None, snaplen: 0, promiscuous: true, ring: RING };
    let device = match Pcap::open(name, &settings) {
        Ok(device) => device,
        Err(error) => {
            return told.wrong(&error.to_string(), &todo(&error)).map_err(Into::into);
        }
    };
    // it may have been given by its number
    let name = device.interface().name.clone();
    offloads(&name, told)?;
    let mut base = knowledge(None, None, None)?;
    let rules = rules(&mut base, None)?;
    let link = device.interface().link;
    let own = platform::hardware_address(&name);
    let allowed = Allowed { silent: device.descriptor().into_iter().collect(), ..Allowed::default() };
    confine(&allowed, told)?;
    writeln!(told.out, "  looking at {name} for {} s …", args.duration.0 / crate::time::SECOND)?;
    told.out.flush()?;
    let mut engine = Engine::new(&config(&base, false));
    let (port, drops) = look(Feed::start(vec![Box::new(device)], true)?, args.duration.0, own, &mut engine);
    for remark in port.remarks() {
        let text = remark.to_string();
        match remark.todo() {
            None => told.well(&text)?,
            Some(todo) if remark.is_wrong() => told.wrong(&text, todo)?,
            Some(todo) => told.note(&format!("{text}: {todo}"))?,
        }
    }
    let stations = Counted(port.stations() as u64, "station");
    let stations = if port.stations() > 0 { format!(" of {stations}") } else { String::new() };
    told.note(&format!("{}{stations}", Counted(port.frames, "frame")))?;
    let analysis = engine.finish();
    let mut quality =
        analysis.quality([link].into_iter(), Some(drops.kernel_drops), Some(drops.interface_drops), Vec::new());
    diagnose::capture::advise(&mut quality, &rules);
    worth(&quality, &rules, port.is_mirror(), told).map_err(Into::into)
}

/// What to do about an interface that cannot be opened.
fn todo(error: &OpenError) -> String {
    match error {
        OpenError::Permission { name } => format!("sudo relayscope doctor -i {name}"),
        OpenError::Down { name } => format!("sudo ip link set {name} up"),
        OpenError::NoSuch { .. } | OpenError::Filter { .. } | OpenError::Failed { .. } => {
            "relayscope interfaces".to_owned()
        }
    }
}

/// What the capture would be worth: only of a mirror can that be said to be much.
fn worth(
    quality: &CaptureQuality,
    rules: &diagnose::rules::Rules,
    is_mirror: bool,
    told: &mut Told<impl Write>,
) -> io::Result<()> {
    let findings = diagnose::capture::findings(quality, rules);
    if is_mirror && findings.is_empty() {
        return if quality.sound { told.well(&quality.advice) } else { told.note(&quality.advice) };
    }
    findings.iter().try_for_each(|finding| match finding.is_claim() {
        true => told.wrong(&finding.title, &finding.advice),
        false => told.note(&format!("perhaps: {}. {}", finding.title, finding.advice)),
    })
}

/// Looks at what comes in.
fn look(mut feed: Feed, nanos: u64, own: Option<[u8; 6]>, engine: &mut Engine) -> (Port, Counters) {
    let (mut port, begun) = (Port::new(own), now());
    loop {
        if begun.elapsed() >= Duration::from_nanos(nanos) {
            feed.stop();
        }
        let batch: Batch = match feed.next(Duration::from_millis(100)) {
            Some(Event::Frames(batch)) => batch,
            Some(Event::End) => break,
            _ => continue,
        };
        batch.frames().for_each(|(frame, _)| port.frame(&frame));
        engine.chunk(&batch.chunk);
        feed.spare().put(batch);
    }
    (port, feed.counters().first().copied().unwrap_or_default())
}

/// What an interface's card does to frames before they are captured.
fn offloads(name: &str, told: &mut Told<impl Write>) -> io::Result<()> {
    let Ok(output) = Command::new("ethtool").args(["-k", name]).output() else {
        return told.note("what the card does to frames is not known: ethtool is not installed");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let on: Vec<_> = OFFLOADS.iter().filter(|(feature, ..)| is_on(&text, feature)).collect();
    for (_, flag, what) in &on {
        told.note(&format!("{what}; `sudo ethtool -K {name} {flag} off` ends that"))?;
    }
    if on.is_empty() && output.status.success() {
        told.well("the card hands frames over as they were on the wire")?;
    }
    Ok(())
}

/// Offloads that change the picture: their names, their flags, and what they do.
const OFFLOADS: [(&str, &str, &str); 3] = [
    ("generic-receive-offload", "gro", "segments are merged on their way in (GRO): losses and times are blurred"),
    ("large-receive-offload", "lro", "segments are merged by the card (LRO): losses and times are blurred"),
    ("rx-vlan-offload", "rxvlan", "VLAN tags are taken off by the card; libpcap puts them back"),
];

fn is_on(text: &str, feature: &str) -> bool {
    text.lines()
        .filter_map(|line| line.trim().split_once(':'))
        .any(|(name, value)| name == feature && value.trim_start().starts_with("on"))
}

#[expect(clippy::disallowed_methods, reason = "a port is looked at for some seconds of the machine's time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_has_a_command_that_helps() {
        let name = || "nope".to_owned();
        assert_eq!(todo(&OpenError::NoSuch { name: name() }), "relayscope interfaces");
        assert_eq!(todo(&OpenError::Down { name: name() }), "sudo ip link set nope up");
        assert_eq!(todo(&OpenError::Permission { name: name() }), "sudo relayscope doctor -i nope");
    }
}
