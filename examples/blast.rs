//! Sends what a capture holds to an interface, over and over, at a rate: what `live` is measured with.
//!
//! `blast IFACE FILE RATE SECONDS`: RATE in frames a second, 0 for as many as go. From the second round on hosts in
//! 10.0.0.0/8 have other addresses each time, so that flows are new ones. It belongs into a namespace of its own,
//! never on a network.

use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};
use relayscope::source::{CHUNK_BYTES, Chunk, Fill, Source};

/// Frames that are handed to the kernel at a time.
const BATCH: usize = 64;
/// The most bytes of a capture that are kept.
const MOST: usize = 512 << 20;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [interface, file, rate, seconds] = args.as_slice() else { bail!("blast IFACE FILE RATE SECONDS") };
    let rate: f64 = rate.parse().context("RATE is a number of frames a second")?;
    let duration = Duration::try_from_secs_f64(seconds.parse().context("SECONDS is a number")?)?;
    let mut frames = read(file);
    if frames.is_empty() {
        bail!("{file}: no frames");
    }
    let socket = pcap::Capture::from_device(interface.as_str())?.snaplen(64).buffer_size(1 << 20).open()?;
    let (mut sent, mut bytes, begun) = (0u64, 0u64, now());
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    for round in 0u8.. {
        for batch in frames.chunks(BATCH) {
            let elapsed = begun.elapsed();
            if elapsed >= duration {
                println!(
                    "{sent} frames, {bytes} bytes in {:.3} s: {:.0} a second",
                    elapsed.as_secs_f64(),
                    sent as f64 / elapsed.as_secs_f64()
                );
                return Ok(());
            }
            if rate > 0.0 {
                let due = Duration::from_secs_f64(sent as f64 / rate);
                if let Some(early) = due.checked_sub(elapsed).filter(|early| *early > Duration::from_micros(50)) {
                    std::thread::sleep(early);
                }
            }
            let mut left = batch;
            while !left.is_empty() {
                let slices: Vec<_> = left.iter().map(|frame| [IoSlice::new(frame)]).collect();
                let none = vec![None::<SockaddrStorage>; left.len()];
                let taken = match sendmmsg(socket.as_raw_fd(), &mut headers, slices.iter(), none, [], MsgFlags::empty())
                {
                    Ok(results) => results.count(),
                    Err(Errno::ENOBUFS | Errno::EAGAIN) => 0,
                    Err(error) => bail!(error),
                };
                sent += taken as u64;
                bytes += left.iter().take(taken).map(|frame| frame.len() as u64).sum::<u64>();
                left = left.get(taken..).unwrap_or_default();
            }
        }
        frames.iter_mut().for_each(|frame| renew(frame, round ^ round.wrapping_add(1)));
    }
    Ok(())
}

/// The frames of a capture, none longer than an Ethernet interface sends.
fn read(file: &str) -> Vec<Vec<u8>> {
    let (mut source, mut chunk) = (Source::open(&[PathBuf::from(file)], CHUNK_BYTES), Chunk::default());
    let (mut frames, mut bytes) = (Vec::new(), 0);
    while bytes < MOST && source.fill(&mut chunk) == Fill::More {
        bytes += chunk.buf.len();
        let whole =
            chunk.frames.iter().filter_map(|at| chunk.frame(at)).filter(|f| (14..=1_514).contains(&f.bytes.len()));
        frames.extend(whole.map(|frame| frame.bytes.to_vec()));
    }
    frames
}

/// Gives hosts of 10.0.0.0/8 other addresses.
fn renew(frame: &mut [u8], change: u8) {
    if !matches!(frame, [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, 0x45, ..]) {
        return;
    }
    for at in [26, 30] {
        if let Some([10, second, ..]) = frame.get_mut(at..at + 4) {
            *second ^= change;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "frames are sent at a rate")]
fn now() -> Instant {
    Instant::now()
}
