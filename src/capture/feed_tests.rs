//! Devices that are only played: what a machine under test cannot do, such as losing an adapter.

use std::collections::VecDeque;

use super::*;
use crate::capture::frame;

/// What a played device does at a read.
enum Step {
    /// Gives frames of these times.
    Frames(Vec<u64>),
    Quiet(u64),
    Trouble(Trouble),
}

struct Played {
    interface: Interface,
    steps: VecDeque<Step>,
    given: u64,
}

impl Device for Played {
    fn interface(&self) -> &Interface {
        &self.interface
    }

    fn read(&mut self, mut intake: Intake<'_>, _: Duration) -> Result<Read, Trouble> {
        match self.steps.pop_front() {
            Some(Step::Frames(times)) => {
                self.given += times.len() as u64;
                times.into_iter().for_each(|ts| intake.push(&frame(Timestamp(ts), 1, 60, &[0; 60])));
                Ok(Read::Frames)
            }
            Some(Step::Quiet(until)) => Ok(Read::Quiet(Timestamp(until))),
            Some(Step::Trouble(trouble)) => Err(trouble),
            None => Err(Trouble::Gone),
        }
    }

    fn counters(&mut self) -> Counters {
        Counters { received: self.given, ..Counters::default() }
    }
}

fn played(steps: Vec<Step>) -> Box<dyn Device> {
    Box::new(Played { interface: Interface::default(), steps: steps.into(), given: 0 })
}

/// All that comes out, in words.
fn told(mut feed: Feed) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        match feed.next(Duration::from_secs(10)).expect("it ends") {
            Event::Frames(batch) => {
                told.extend(batch.frames().map(|(frame, from)| format!("{} from {from}", frame.ts.0)));
                feed.spare().put(batch);
            }
            Event::Counted { device, tally } => told.push(format!("{} of {device} counted", tally.frames)),
            Event::Quiet(until) => told.push(format!("quiet until {}", until.0)),
            Event::Link { device, up } => told.push(format!("{device} {}", if up { "up" } else { "down" })),
            Event::Lost { device, why } => told.push(format!("{device} lost: {why:?}")),
            Event::End => break,
        }
    }
    let counted: u64 = feed.counters().iter().map(|counters| counters.received).sum();
    told.push(format!("{counted} counted"));
    assert!(feed.next(Duration::ZERO).is_none(), "it ends once");
    told
}

#[test]
fn an_interface_that_goes_down_comes_back() {
    let steps = vec![
        Step::Frames(vec![1, 2]),
        Step::Trouble(Trouble::Down),
        Step::Trouble(Trouble::Down),
        Step::Frames(vec![9]),
    ];
    let mut told = told(Feed::start(vec![played(steps)], true).unwrap());
    told.retain(|line| !line.starts_with("quiet"));
    assert_eq!(told, ["1 from 0", "2 from 0", "0 down", "0 up", "9 from 0", "0 lost: Gone", "3 counted"]);
}

#[test]
fn one_adapter_goes_and_the_other_goes_on() {
    let gone = vec![Step::Frames(vec![1, 5]), Step::Trouble(Trouble::Failed("pulled".to_owned()))];
    let stays = vec![Step::Frames(vec![2, 6]), Step::Frames(vec![7, 8])];
    let told = told(Feed::start(vec![played(gone), played(stays)], true).unwrap());
    let frames: Vec<_> = told.iter().filter(|line| line.contains("from")).collect();
    assert_eq!(frames.len(), 6);
    assert!(
        told.contains(&"0 lost: Failed(\"pulled\")".to_owned()) && told.contains(&"6 counted".to_owned()),
        "{told:?}"
    );
}

#[test]
fn frames_and_silence_keep_their_order() {
    let steps = vec![Step::Quiet(5), Step::Frames(vec![6]), Step::Quiet(7), Step::Quiet(4)];
    let told = told(Feed::start(vec![played(steps)], true).unwrap());
    let place = |what: &str| told.iter().position(|line| line == what);
    assert!(place("6 from 0") < place("quiet until 7"), "{told:?}");
    assert_eq!(place("quiet until 4"), None, "time that was told is not taken back");
}

#[test]
fn whoever_stops_taking_frees_the_devices() {
    // more than the queue has room for
    let mut steps = Vec::new();
    steps.resize_with(2_000, || Step::Frames(vec![1; 1_000]));
    let mut feed = Feed::start(vec![played(steps)], true).unwrap();
    assert!(matches!(feed.next(Duration::from_secs(10)), Some(Event::Frames(_))));
    drop(feed);
}

#[test]
fn what_there_is_no_room_for_is_counted_and_nothing_waits() {
    // far more than the queue has room for, and nobody takes anything until all has come
    let steps = (0..4_000u64).map(|n| Step::Frames(vec![n * 1_000_000; 1_000])).collect();
    let mut feed = Feed::start(vec![played(steps)], false).unwrap();
    while feed.counters().first().is_none_or(|counters| counters.received < 4_000_000) {
        thread::yield_now();
    }
    let (mut frames, mut tally, mut pieces) = (0u64, Tally::default(), 0);
    loop {
        match feed.next(Duration::from_secs(10)).expect("it ends") {
            Event::Frames(batch) => {
                assert_eq!(tally.frames, 0, "room is only made by taking");
                frames += batch.from.len() as u64;
            }
            Event::Counted { device: 0, tally: more } => {
                tally.add(&more);
                pieces += 1;
            }
            Event::End => break,
            _ => {}
        }
    }
    assert!(frames > 1_000_000 && tally.frames > 1_000_000, "{frames} {tally:?}");
    assert_eq!((frames + tally.frames, tally.bytes), (4_000_000, tally.frames * 60));
    assert_eq!((tally.first.0, tally.last.0), (frames * 1_000, 3_999 * 1_000_000));
    assert_eq!(pieces, tally.last.since(tally.first) / SECOND + 1, "a second at a time");
}

#[test]
fn what_was_made_first_is_used_again_and_what_a_wait_has_asked_for_is_not_kept() {
    let mut queue = Queue::default();
    let all: Vec<Batch> = (0..200).map(|_| queue.fresh()).collect();
    let size = all[0].capacity();
    let gone: Vec<u64> = all.into_iter().rev().flat_map(|batch| queue.keep(batch)).map(|batch| batch.number).collect();
    let kept = SPARES / size;
    assert_eq!((queue.spare.len(), queue.spared), (kept, kept * size));
    assert!(queue.spare.keys().copied().eq(1..=kept as u64));
    assert_eq!(gone, (kept as u64 + 1..=200).rev().collect::<Vec<_>>());
    assert_eq!((queue.fresh().number, queue.spared), (1, (kept - 1) * size));
}

#[test]
fn what_waits_for_long_is_put_together() {
    let steps = (0..200u64).map(|n| Step::Frames((n * 100..n * 100 + 100).collect())).chain([Step::Quiet(20_000)]);
    let mut feed = Feed::start(vec![played(steps.collect())], true).unwrap();
    while feed.threads.iter().any(|thread| !thread.is_finished()) {
        thread::yield_now();
    }
    let (mut times, mut batches, mut quiet) = (Vec::new(), 0, None);
    loop {
        match feed.next(Duration::from_secs(10)).expect("it ends") {
            Event::Frames(batch) => {
                times.extend(batch.frames().map(|(frame, _)| frame.ts.0));
                batches += 1;
            }
            Event::Quiet(until) => quiet = Some((until.0, times.len())),
            Event::End => break,
            _ => {}
        }
    }
    assert!(times.iter().copied().eq(0..20_000), "in order, and each once");
    assert_eq!(quiet, Some((20_000, 20_000)));
    assert!((20..150).contains(&batches), "{batches}");
}

#[test]
fn a_ring_that_was_too_full_is_emptied_in_haste_until_it_was_not_for_a_while() {
    let seconds = |n: u64| Timestamp(100 * SECOND + n * SECOND / 10);
    let after = |rest, reads: &[(bool, u64)]| {
        let mut haste = Haste { rest, since: None };
        let take = |(behind, at): &(bool, u64)| {
            haste.take(*behind, seconds(*at));
            haste.since.is_some()
        };
        reads.iter().map(take).collect::<Vec<_>>()
    };
    let reads = [(false, 0), (true, 1), (false, 2), (false, 10), (true, 10), (false, 19), (false, 20), (false, 21)];
    assert_eq!(after(SECOND, &reads), [false, true, true, true, true, true, false, false]);
    // who has cores of its own goes on as soon as the ring was empty
    assert_eq!(after(0, &reads), [false, true, false, false, true, false, false, false]);
    // a clock that was set by an hour, either way, has no say for an hour
    assert_eq!(after(SECOND, &[(true, 36_100), (false, 100)]), [true, false]);
}
