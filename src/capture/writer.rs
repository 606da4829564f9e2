//! The recorder on a thread of its own: a disk may stall for seconds, and the analysis is not to.
//!
//! What waits for the disk has a bound. Beyond it frames are left out of the files, and counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use super::feed::Spare;
use super::recorder::{Note, Recorder};
use super::{Batch, Counters};
use crate::time::Timestamp;

/// Bytes that may wait for the disk.
const QUEUE: usize = 128 << 20;

enum Message {
    Batch(Batch, Vec<Note>),
    Note(Note),
    Counters(Vec<Counters>),
    Rotate(Timestamp),
}

/// A recorder at work.
pub struct Writing {
    sender: mpsc::Sender<Message>,
    thread: JoinHandle<Recorder>,
    told: mpsc::Receiver<String>,
    waiting: Arc<AtomicUsize>,
    unwritten: Arc<AtomicU64>,
    spare: Spare,
}

impl Writing {
    /// Sets a recorder to work; what it is done with goes to `spare`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut recorder: Recorder, spare: Spare) -> std::io::Result<Writing> {
        let (sender, receiver) = mpsc::channel();
        let (say, told) = mpsc::channel();
        let (waiting, unwritten) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let (of_thread, used) = (Arc::clone(&waiting), spare.clone());
        let run = move || {
            for message in receiver {
                match message {
                    Message::Batch(batch, notes) => {
                        recorder.batch(&batch, &notes);
                        of_thread.fetch_sub(batch.bytes(), Ordering::Relaxed);
                        used.put(batch);
                    }
                    Message::Note(note) => recorder.note(&note),
                    Message::Counters(counters) => recorder.counters(&counters),
                    Message::Rotate(now) => recorder.rotate(now),
                }
                for line in recorder.take_messages() {
                    let _ = say.send(line);
                }
            }
            recorder
        };
        let thread = thread::Builder::new().name("write".to_owned()).spawn(run)?;
        Ok(Writing { sender, thread, told, waiting, unwritten, spare })
    }

    /// Keeps the frames of a batch, and what is to be said of them.
    pub fn batch(&self, batch: Batch, notes: Vec<Note>) {
        if self.waiting.load(Ordering::Relaxed) >= QUEUE {
            self.unwritten.fetch_add(batch.from.len() as u64, Ordering::Relaxed);
            self.spare.put(batch);
            return;
        }
        self.waiting.fetch_add(batch.bytes(), Ordering::Relaxed);
        self.send(Message::Batch(batch, notes));
    }

    /// A moment without frames has something to be said of it.
    pub fn note(&self, note: Note) {
        self.send(Message::Note(note));
    }

    /// What the devices have counted by now.
    pub fn counters(&self, counters: Vec<Counters>) {
        self.send(Message::Counters(counters));
    }

    /// Ends the file at hand.
    pub fn rotate(&self, now: Timestamp) {
        self.send(Message::Rotate(now));
    }

    /// What there is to tell since the last call.
    pub fn messages(&self) -> impl Iterator<Item = String> + '_ {
        self.told.try_iter()
    }

    /// The capture has ended: waits for the disk. Gives what there is to tell, and how many frames were not kept.
    pub fn finish(self, end: Timestamp) -> (Vec<String>, u64) {
        drop(self.sender);
        let mut lines: Vec<String> = self.told.iter().collect();
        let left_out = self.unwritten.load(Ordering::Relaxed);
        let Ok(mut recorder) = self.thread.join() else { return (lines, left_out) };
        recorder.finish(end);
        lines.extend(recorder.take_messages());
        (lines, left_out.saturating_add(recorder.unwritten()))
    }

    fn send(&self, message: Message) {
        // a thread that is gone has nothing to keep
        let _ = self.sender.send(message);
    }
}
