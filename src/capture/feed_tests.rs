//! Devices that are only played: what a machine under test cannot do, such as losing an adapter.

use std::collections::VecDeque;

use super::*;
use crate::capture::{append, frame};
use crate::source::Chunk;

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

    fn read(&mut self, chunk: &mut Chunk, _: Duration) -> Result<Read, Trouble> {
        match self.steps.pop_front() {
            Some(Step::Frames(times)) => {
                self.given += times.len() as u64;
                for ts in times {
                    append(chunk, &frame(Timestamp(ts), 1, 60, &[0; 60]));
                }
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
    let mut told = told(Feed::start(vec![played(steps)]).unwrap());
    told.retain(|line| !line.starts_with("quiet"));
    assert_eq!(told, ["1 from 0", "2 from 0", "0 down", "0 up", "9 from 0", "0 lost: Gone", "3 counted"]);
}

#[test]
fn one_adapter_goes_and_the_other_goes_on() {
    let gone = vec![Step::Frames(vec![1, 5]), Step::Trouble(Trouble::Failed("pulled".to_owned()))];
    let stays = vec![Step::Frames(vec![2, 6]), Step::Frames(vec![7, 8])];
    let told = told(Feed::start(vec![played(gone), played(stays)]).unwrap());
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
    let told = told(Feed::start(vec![played(steps)]).unwrap());
    let place = |what: &str| told.iter().position(|line| line == what);
    assert!(place("6 from 0") < place("quiet until 7"), "{told:?}");
    assert_eq!(place("quiet until 4"), None, "time that was told is not taken back");
}

#[test]
fn whoever_stops_taking_frees_the_devices() {
    // more than the queue has room for
    let mut steps = Vec::new();
    steps.resize_with(2_000, || Step::Frames(vec![1; 1_000]));
    let mut feed = Feed::start(vec![played(steps)]).unwrap();
    assert!(matches!(feed.next(Duration::from_secs(10)), Some(Event::Frames(_))));
    drop(feed);
}
