//! Devices at work, each on a thread of its own, and the one queue that their frames wait in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::device::{Device, Intake, Read, Trouble};
use super::merge::{HOLD, Merge};
use super::{Batch, Counters, Interface};
use crate::crew::lock;
use crate::platform;
use crate::source::{CHUNK_BYTES, Tally};
use crate::time::{SECOND, Timestamp};

/// Bytes that may wait to be analyzed. Beyond that frames wait in the kernel's ring. Judging and letting go of what
/// there is no room for take their time between two frames: some seconds, where there is a tenth of a core for it all.
const QUEUE: usize = 256 << 20;
/// How full the queue is, 0 to 1, from which on frames are only counted, if all of them need not be there; and below
/// which they are taken again.
pub const COUNTED: (f64, f64) = (0.45, 0.25);
/// Nanoseconds that frames are counted together at the most: where there are several devices, those of another that
/// came meanwhile come after all that were counted.
const TOGETHER: u64 = SECOND;
/// Nanoseconds of packet time for which frames are only counted, once the ring was too full, by a process that may be
/// stopped at any moment: whoever puts frames down again as soon as the ring is empty is soon behind again, and has
/// spent on a few frames what was to be had for many.
const APART: u64 = SECOND;
/// How long a ring that was emptied in haste is left to fill: to be woken for each of its blocks takes longer than to
/// count what is in it, and who may be stopped for tens of milliseconds has a ring that holds more than that.
const LEFT: Duration = Duration::from_millis(10);
/// The most memory of a batch that is used again.
const SPARE: usize = 4 * CHUNK_BYTES;
/// The most memory of all such batches together.
const SPARES: usize = 16 << 20;
/// Bytes that wait, from which on what was read last is filled up before more is read apart: what waits long would take
/// several times the memory that it needs.
const FILL_UP: usize = 1 << 20;
/// How many batches wait at the most, nearly always.
const MESSAGES: usize = 4_096;
/// How long a device waits for frames before it says that there are none.
const WAIT: Duration = Duration::from_millis(100);
/// How often a device that is down is looked at.
const DOWN: Duration = Duration::from_millis(200);
/// How often counters are read.
const COUNT: Duration = Duration::from_millis(250);
/// The longest that frames of before the end are still taken once it was asked for.
const LAST: Duration = Duration::from_secs(2);

/// What comes out of a feed.
#[derive(Debug)]
pub enum Event {
    /// Frames.
    Frames(Batch),
    /// Frames that there was no time for.
    Counted {
        /// The place of their device among those that were opened.
        device: usize,
        /// How many, and when.
        tally: Tally,
    },
    /// No frame waits, and all until then were given.
    Quiet(Timestamp),
    /// A device gives none for now, or does so again.
    Link {
        /// Its place among those that were opened.
        device: usize,
        /// It is up again.
        up: bool,
    },
    /// A device will give no more.
    Lost {
        /// Its place among those that were opened.
        device: usize,
        /// Why, in words.
        why: Trouble,
    },
    /// No device will give any more.
    End,
}

/// What a device's thread has to say.
#[derive(Debug)]
enum Message {
    Frames(Batch),
    Counted(Tally),
    Quiet(Timestamp),
    Link(bool),
    Lost(Trouble),
    End,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<(usize, Message)>,
    bytes: usize,
    /// Batches to be used again, by their numbers.
    spare: BTreeMap<u64, Batch>,
    /// Bytes that the spare batches could hold.
    spared: usize,
    /// How many batches were made.
    made: u64,
    counters: Vec<Counters>,
}

impl Queue {
    /// How full it is, 0 to 1.
    fn fill(&self) -> f64 {
        self.bytes as f64 / QUEUE as f64
    }

    /// A batch that holds nothing: the one that was made first. What was made last lies where the heap ends, and only
    /// there is memory given back: so those that a long wait has asked for are not kept, and leave nothing behind.
    fn fresh(&mut self) -> Batch {
        match self.spare.pop_first() {
            Some((_, batch)) => {
                self.spared -= batch.capacity();
                batch
            }
            None => {
                self.made += 1;
                Batch::roomy(self.made)
            }
        }
    }

    /// Takes back what the device at that place put here last, if much waits and there is room in that.
    fn take_last(&mut self, place: usize) -> Option<Batch> {
        let has_room = |batch: &Batch| batch.chunk.buf.len() < CHUNK_BYTES / 2;
        let last = self.messages.back().filter(|(of, _)| *of == place);
        let is_its = matches!(last, Some((_, Message::Frames(batch))) if has_room(batch));
        if self.bytes < FILL_UP || !is_its {
            return None;
        }
        let (_, Message::Frames(batch)) = self.messages.pop_back()? else { return None };
        self.bytes -= batch.bytes();
        Some(batch)
    }

    /// Keeps a batch to be used again; gives those that there is no room for.
    fn keep(&mut self, batch: Batch) -> Vec<Batch> {
        self.spared += batch.capacity();
        let mut more = Vec::from_iter(self.spare.insert(batch.number, batch));
        self.spared -= more.iter().map(Batch::capacity).sum::<usize>();
        while self.spared > SPARES
            && let Some((_, last)) = self.spare.pop_last()
        {
            self.spared -= last.capacity();
            more.push(last);
        }
        more
    }

    /// Counts frames of the device at that place, with those that it counted before.
    fn count(&mut self, place: usize, tally: Tally) {
        let counted = self.messages.iter_mut().rev().map_while(|(of, message)| match message {
            Message::Counted(before) => Some((*of, before)),
            _ => None,
        });
        let mut of_device = counted.filter(|(of, _)| *of == place).map(|(_, before)| before);
        match of_device.next().filter(|before| tally.last.since(before.first) < TOGETHER) {
            Some(before) => before.add(&tally),
            None => self.messages.push_back((place, Message::Counted(tally))),
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
    went: Condvar,
    /// No more is wanted from this moment on; 0: not yet.
    stop: AtomicBool,
    /// Nobody takes anything any more.
    closed: AtomicBool,
}

/// Gives batches back to be used again.
#[derive(Clone, Debug)]
pub struct Spare(Arc<Shared>);

impl Spare {
    /// Gives a batch back.
    pub fn put(&self, mut batch: Batch) {
        if batch.capacity() <= SPARE {
            batch.clear();
            // nobody waits while memory is given back
            let more = lock(&self.0.queue).keep(batch);
            drop(more);
        }
    }
}

/// Devices at work.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    interfaces: Vec<Interface>,
    merge: Merge,
    /// Devices that have not ended.
    running: usize,
    quiet: Option<Timestamp>,
    begun: Instant,
    ended: bool,
}

impl Feed {
    /// Sets the devices to work. `whole`: every frame must be there, and devices wait where there is no room; otherwise
    /// they count frames then.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(devices: Vec<Box<dyn Device>>, whole: bool) -> std::io::Result<Feed> {
        let shared = Arc::new(Shared::default());
        let mut queue = lock(&shared.queue);
        queue.counters = vec![Counters::default(); devices.len()];
        queue.messages.reserve(MESSAGES);
        drop(queue);
        let interfaces: Vec<_> = devices.iter().map(|device| device.interface().clone()).collect();
        let mut threads = Vec::new();
        for (place, device) in devices.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            let name = format!("capture {}", device.interface().name);
            let haste = Haste { rest: if platform::has_one_core() { APART } else { 0 }, since: None };
            let worker = Worker { place, device, shared, whole, bare: false, haste, down: false, counted: now() };
            threads.push(thread::Builder::new().name(name).spawn(move || worker.run())?);
        }
        let (merge, running) = (Merge::new(interfaces.len()), interfaces.len());
        Ok(Feed { shared, threads, interfaces, merge, running, quiet: None, begun: now(), ended: false })
    }

    /// The devices.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Where used batches go.
    pub fn spare(&self) -> Spare {
        Spare(Arc::clone(&self.shared))
    }

    /// What each device has counted, a quarter of a second ago at most.
    pub fn counters(&self) -> Vec<Counters> {
        lock(&self.shared.queue).counters.clone()
    }

    /// How full the queue is, 0 to 1.
    pub fn fill(&self) -> f64 {
        lock(&self.shared.queue).fill()
    }

    /// No more is wanted: what came until now is still given, then the end.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// What comes next; none if nothing did for `wait`.
    pub fn next(&mut self, wait: Duration) -> Option<Event> {
        let until = now() + wait;
        loop {
            if self.merge.is_waiting() {
                let mut batch = self.fresh();
                let spare = self.spare();
                let now = now().duration_since(self.begun);
                let counted = self.merge.pull(now, CHUNK_BYTES, &mut batch, |used| spare.put(used));
                if !batch.from.is_empty() {
                    return Some(Event::Frames(batch));
                }
                spare.put(batch);
                if let Some((device, tally)) = counted {
                    return Some(Event::Counted { device, tally });
                }
            }
            if self.running == 0 {
                return (!std::mem::replace(&mut self.ended, true)).then_some(Event::End);
            }
            let left = until.checked_duration_since(now())?;
            let left = if self.merge.is_waiting() { left.min(HOLD / 10) } else { left };
            if let Some(event) = self.receive(left).and_then(|(device, message)| self.sort(device, message)) {
                return Some(event);
            }
        }
    }

    /// Deals with a message; gives what is to be told of it.
    fn sort(&mut self, device: usize, message: Message) -> Option<Event> {
        match message {
            // what one device brings is in order
            Message::Frames(batch) if self.interfaces.len() == 1 => Some(Event::Frames(batch)),
            Message::Counted(tally) if self.interfaces.len() == 1 => Some(Event::Counted { device, tally }),
            Message::Frames(batch) => {
                self.merge.push(device, batch, now().duration_since(self.begun));
                None
            }
            Message::Counted(tally) => {
                self.merge.count(device, tally, now().duration_since(self.begun));
                None
            }
            Message::Quiet(until) => {
                self.merge.quiet(device, until);
                let until = self.merge.until().filter(|until| self.quiet.is_none_or(|told| *until > told))?;
                self.quiet = Some(until);
                Some(Event::Quiet(until))
            }
            Message::Link(up) => Some(Event::Link { device, up }),
            Message::Lost(why) => Some(Event::Lost { device, why }),
            Message::End => {
                self.merge.end(device);
                self.running -= 1;
                None
            }
        }
    }

    fn receive(&self, wait: Duration) -> Option<(usize, Message)> {
        let queue = lock(&self.shared.queue);
        let empty = |queue: &mut Queue| queue.messages.is_empty();
        let waited = self.shared.came.wait_timeout_while(queue, wait, empty);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (device, message) = queue.messages.pop_front()?;
        if let Message::Frames(batch) = &message {
            queue.bytes -= batch.bytes();
            self.shared.went.notify_all();
        }
        Some((device, message))
    }

    fn fresh(&self) -> Batch {
        lock(&self.shared.queue).fresh()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.went.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// From when on nothing is wanted any more, if it is so, and until when what came before is still taken.
type Stopping = Option<(Timestamp, Instant)>;

/// Whether frames are to be taken out of a ring with nothing made of them, since it may soon be full.
#[derive(Clone, Copy, Debug)]
struct Haste {
    /// For so many nanoseconds of packet time after it was last too full.
    rest: u64,
    /// When that was.
    since: Option<Timestamp>,
}

impl Haste {
    /// Takes whether the ring is too full `now`, in packet time.
    fn take(&mut self, behind: bool, now: Timestamp) {
        if behind {
            self.since = Some(now);
        } else if self.since.is_some_and(|since| now.0.abs_diff(since.0) >= self.rest) {
            self.since = None;
        }
    }

    /// Whether haste outlasts what has made it needed.
    fn lasts(&self) -> bool {
        self.rest > 0 && self.since.is_some()
    }
}

/// A device's thread.
struct Worker {
    place: usize,
    device: Box<dyn Device>,
    shared: Arc<Shared>,
    whole: bool,
    /// Frames are only counted.
    bare: bool,
    haste: Haste,
    down: bool,
    counted: Instant,
}

impl Worker {
    fn run(mut self) {
        let mut stopping = None;
        loop {
            if self.shared.closed.load(Ordering::Relaxed) {
                break;
            }
            if stopping.is_none() && self.shared.stop.load(Ordering::Relaxed) {
                stopping = Some((platform::now(), now() + LAST));
            }
            if !self.turn(stopping) {
                break;
            }
            if now().duration_since(self.counted) >= COUNT {
                self.count();
            }
        }
        self.count();
        self.say(Message::End);
    }

    /// Reads once; false if that was the last time.
    fn turn(&mut self, stopping: Stopping) -> bool {
        let read = match self.fresh() {
            Some(batch) => self.take(batch, stopping),
            None => self.tally(stopping),
        };
        match read {
            // more may have come until then
            Ok(Some(all)) => stopping.is_none_or(|(_, latest)| all && now() < latest),
            Ok(None) => stopping.is_none(),
            Err(Trouble::Down) => {
                if !std::mem::replace(&mut self.down, true) {
                    self.say(Message::Link(false));
                }
                thread::sleep(DOWN);
                self.say(Message::Quiet(platform::now()));
                stopping.is_none()
            }
            Err(why) => {
                self.say(Message::Lost(why));
                false
            }
        }
    }

    /// Reads frames into the queue. Gives whether all came before the end; none if nothing came.
    fn take(&mut self, mut batch: Batch, stopping: Stopping) -> Result<Option<bool>, Trouble> {
        let read = self.read(Intake::Chunk(&mut batch.chunk));
        let count = batch.chunk.frames.len();
        self.note(&read, batch.chunk.frames.last().map(|frame| frame.ts));
        if let Some((end, _)) = stopping {
            let kept = batch.chunk.frames.iter().take_while(|frame| frame.ts <= end).count();
            batch.chunk.frames.truncate(kept);
        }
        let all = batch.chunk.frames.len() == count;
        batch.from.resize(batch.chunk.frames.len(), self.place as u16);
        // nothing is said of a silence before what came until then is there
        if count > 0 {
            self.give(batch);
        } else {
            Spare(Arc::clone(&self.shared)).put(batch);
        }
        Ok(self.heard(read)?.map(|()| all))
    }

    /// Reads frames and only counts them. Gives whether any came before the end; none if nothing came.
    fn tally(&mut self, stopping: Stopping) -> Result<Option<bool>, Trouble> {
        let mut tally = Tally::default();
        let until = stopping.map_or(Timestamp(u64::MAX), |(end, _)| end);
        let read = self.read(Intake::Tally(&mut tally, until));
        self.note(&read, (tally.frames > 0).then_some(tally.last));
        let emptied = read == Ok(Read::Frames);
        if self.heard(read)?.is_none() {
            return Ok(None);
        }
        // where there was none there is no time of one either
        if tally.frames > 0 {
            // who analyzes is not woken for that, and looks by itself ten times a second
            lock(&self.shared.queue).count(self.place, tally);
        }
        if emptied && self.haste.lasts() && stopping.is_none() {
            thread::sleep(LEFT);
        }
        Ok(Some(tally.frames > 0))
    }

    /// Reads from the device.
    fn read(&mut self, intake: Intake<'_>) -> Result<Read, Trouble> {
        let read = self.device.read(intake, WAIT);
        if self.down && read.is_ok() {
            self.down = false;
            self.say(Message::Link(true));
        }
        read
    }

    /// Takes note of how the ring stands after a read, the last frame of which is of that time.
    fn note(&mut self, read: &Result<Read, Trouble>, last: Option<Timestamp>) {
        let now = if let Ok(Read::Quiet(until)) = read { Some(*until) } else { last };
        if let Some(now) = now {
            self.haste.take(*read == Ok(Read::Some { behind: true }), now);
        }
    }

    /// Says what a read came to; none if nothing came.
    fn heard(&self, read: Result<Read, Trouble>) -> Result<Option<()>, Trouble> {
        match read? {
            Read::Frames | Read::Some { .. } => Ok(Some(())),
            Read::Quiet(until) => {
                self.say(Message::Quiet(until));
                Ok(None)
            }
        }
    }

    /// A batch for what is read next; none if that is only to be counted.
    fn fresh(&mut self) -> Option<Batch> {
        let mut queue = lock(&self.shared.queue);
        let (from, below) = COUNTED;
        let full = queue.fill() > if self.bare { below } else { from };
        self.bare = !self.whole && (full || self.haste.since.is_some());
        (!self.bare).then(|| queue.take_last(self.place).unwrap_or_else(|| queue.fresh()))
    }

    fn count(&mut self) {
        self.counted = now();
        let counters = self.device.counters();
        if let Some(place) = lock(&self.shared.queue).counters.get_mut(self.place) {
            *place = counters;
        }
    }

    /// Puts frames into the queue, once there is room for them.
    fn give(&mut self, batch: Batch) {
        let shared = Arc::clone(&self.shared);
        let full = |queue: &mut Queue| queue.bytes >= QUEUE && !shared.closed.load(Ordering::Relaxed);
        let mut queue = lock(&shared.queue);
        // what the kernel drops meanwhile must be seen meanwhile
        while full(&mut queue) {
            let waited = shared.went.wait_timeout_while(queue, COUNT, full);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            self.count();
            queue = lock(&shared.queue);
        }
        queue.bytes += batch.bytes();
        queue.messages.push_back((self.place, Message::Frames(batch)));
        shared.came.notify_one();
    }

    fn say(&self, message: Message) {
        let mut queue = lock(&self.shared.queue);
        // hours without a frame are one message
        if let (Message::Quiet(until), Some((place, Message::Quiet(last)))) = (&message, queue.messages.back_mut())
            && *place == self.place
        {
            *last = (*last).max(*until);
            return;
        }
        queue.messages.push_back((self.place, message));
        self.shared.came.notify_one();
    }
}

/// The machine's time, for waiting.
#[expect(clippy::disallowed_methods, reason = "a device is waited for; no result depends on for how long")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
