//! What the recorder leaves on disk.

use std::sync::{Arc, Mutex};

use super::*;
use crate::capture::frame;
use crate::source::{Chunk, Fill, Source};

/// 2026-11-29 04:30:00 UTC.
const BEGIN: u64 = 1_795_926_600;

fn interface() -> Interface {
    Interface { name: "eth1".to_owned(), link: 1, snaplen: 0, filter: None }
}

/// Frames of 100 bytes, one at each of these seconds.
fn batch(seconds: impl IntoIterator<Item = u64>) -> Batch {
    let mut batch = Batch::default();
    for second in seconds {
        batch.push(&frame(at(second), 1, 100, &[second as u8; 100]), 0);
    }
    batch
}

fn at(second: u64) -> Timestamp {
    Timestamp((BEGIN + second) * SECOND)
}

fn note(second: u64, text: &str, keep: bool) -> Note {
    Note { time: at(second), text: text.to_owned(), keep }
}

fn recorder(folder: &Path, plan: Plan) -> Recorder {
    Recorder::new(Plan { path: folder.join("site.pcapng"), ..plan }, &[interface()], open_files())
}

/// The seconds of the frames in all captures of a folder, in order, and what the files say of themselves.
fn read(folder: &Path) -> (Vec<u64>, crate::source::Facts) {
    let mut source = Source::open(&[folder.to_owned()], 4_096);
    let (mut chunk, mut seconds) = (Chunk::default(), Vec::new());
    while source.fill(&mut chunk) == Fill::More {
        seconds.extend(chunk.frames.iter().map(|frame| frame.ts.0 / SECOND - BEGIN));
    }
    let problems: Vec<_> = source.take_problems().map(|problem| problem.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}");
    (seconds, source.facts())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn one_file_gets_its_name_when_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(folder.path(), Plan::default());
    recorder.batch(&batch(0..5), &[]);
    assert_eq!(names(folder.path()), ["site.pcapng.part"]);
    assert_eq!(read(folder.path()).0, [0, 1, 2, 3, 4], "what was given is on disk");
    recorder.counters(&[Counters { received: 8, kernel_drops: 2, interface_drops: 1 }]);
    recorder.finish(at(9));
    assert_eq!(names(folder.path()), ["site.pcapng"]);
    let (seconds, facts) = read(folder.path());
    assert_eq!(seconds, [0, 1, 2, 3, 4]);
    assert_eq!((facts.kernel_drops, facts.interface_drops, facts.end), (Some(2), Some(1), Some(at(9))));
}

#[test]
fn what_a_killed_run_left_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = recorder(folder.path(), Plan::default());
    killed.batch(&batch(0..2), &[]);
    drop(killed);
    let mut next = recorder(folder.path(), Plan::default());
    next.batch(&batch(7..8), &[]);
    next.finish(at(8));
    assert_eq!(names(folder.path()), ["site.pcapng", "site.pcapng.part"]);
    assert_eq!(read(folder.path()).0, [0, 1, 7]);
}

#[test]
fn a_capture_of_nothing_is_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    recorder(folder.path(), Plan::default()).finish(at(60));
    assert_eq!(names(folder.path()), ["site.pcapng"]);
    let (seconds, facts) = read(&folder.path().join("site.pcapng"));
    assert_eq!((seconds.len(), facts.end), (0, Some(at(60))));
}

#[test]
fn files_end_by_time_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { every_nanos: Some(10 * SECOND), files: Some(2), ..Plan::default() };
    let mut recorder = recorder(folder.path(), plan);
    for second in 0..35 {
        recorder.batch(&batch([second]), &[]);
        recorder.counters(&[Counters { received: second, kernel_drops: second, interface_drops: 0 }]);
    }
    recorder.finish(at(35));
    assert_eq!(names(folder.path()), ["site-20261129T043020Z.pcapng", "site-20261129T043030Z.pcapng"]);
    let (seconds, facts) = read(folder.path());
    assert_eq!(seconds, (20..35).collect::<Vec<_>>());
    // each file tells what was dropped since the one before ended: with frame 19 and after
    assert_eq!(facts.kernel_drops, Some(34 - 19));
}

#[test]
fn files_end_by_size_and_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(folder.path(), Plan { every_bytes: Some(1_000), ..Plan::default() });
    recorder.batch(&batch(0..20), &[]);
    recorder.rotate(at(20));
    recorder.rotate(at(20));
    recorder.batch(&batch(20..22), &[]);
    recorder.finish(at(22));
    assert_eq!(read(folder.path()).0, (0..22).collect::<Vec<_>>());
    let sizes = names(folder.path()).into_iter().map(|name| fs::metadata(folder.path().join(name)).unwrap().len());
    let sizes: Vec<_> = sizes.collect();
    assert!(sizes.len() == 4 && sizes.iter().all(|size| *size < 1_400), "{sizes:?}");
}

#[test]
fn comments_stand_at_the_first_frame_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(folder.path(), Plan::default());
    recorder.batch(&batch(0..3), &[note(1, "at one", false), note(9, "later", false)]);
    recorder.note(&note(10, "in the silence", false));
    recorder.finish(at(11));
    let bytes = fs::read(folder.path().join("site.pcapng")).unwrap();
    let place = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what).unwrap();
    let frames = [0u8, 1, 2].map(|n| place(&[n; 100]));
    assert!((frames[1]..frames[2]).contains(&place(b"at one")));
    assert!(place(b"later") > frames[2] && place(b"in the silence") > place(b"later"));
    assert_eq!(read(folder.path()).0, [0, 1, 2]);
}

#[test]
fn what_was_said_in_a_silence_stands_at_the_next_frame_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(folder.path(), Plan::default());
    recorder.batch(&batch(0..1), &[]);
    recorder.note(&note(10, "in the silence", false));
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let places = |bytes: &[u8], what: &[u8]| -> Vec<usize> {
        bytes.windows(what.len()).zip(0..).filter(|(window, _)| *window == what).map(|(_, at)| at).collect()
    };
    assert_eq!(places(&bytes("site.pcapng.part"), b"in the silence").len(), 1, "whatever happens then");
    recorder.batch(&batch(20..22), &[note(20, "at twenty", false)]);
    recorder.finish(at(30));
    let bytes = bytes("site.pcapng");
    let [frame, next] = [20, 21].map(|n| places(&bytes, &[n; 100])[0]);
    let said = places(&bytes, b"in the silence");
    assert!(said.len() == 2 && said[0] < frame && (frame..next).contains(&said[1]), "{said:?} {frame} {next}");
    assert!((said[1]..next).contains(&places(&bytes, b"at twenty")[0]));
}

#[test]
fn a_flight_recorder_keeps_what_is_around_findings() {
    let folder = tempfile::tempdir().unwrap();
    // pieces of a ring are long: what is asked for, and up to a piece more
    let before = Some(Span::Bytes(1));
    let mut recorder = recorder(folder.path(), Plan { before, after_nanos: 5 * SECOND, ..Plan::default() });
    recorder.batch(&batch(0..10), &[note(3, "a hint", false)]);
    assert!(names(folder.path()).is_empty());
    recorder.batch(&batch(10..12), &[note(11, "a claim", true)]);
    recorder.batch(&batch(12..40), &[]);
    assert_eq!(names(folder.path()), ["site-20261129T043000Z.pcapng"], "done once nothing more happens");
    recorder.rotate(at(40));
    recorder.finish(at(41));
    let (seconds, _) = read(&folder.path().join("site-20261129T043000Z.pcapng"));
    assert_eq!(seconds, (0..=16).collect::<Vec<_>>());
    let (seconds, _) = read(&folder.path().join("site-20261129T043017Z.pcapng"));
    assert_eq!(seconds, (17..40).collect::<Vec<_>>(), "on demand the memory is kept");
}

#[test]
fn a_clock_that_is_set_back_neither_ends_nor_lengthens_what_is_kept() {
    let hour = 3_600;
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { every_nanos: Some(60 * SECOND), ..Plan::default() };
    let mut recorder = recorder(folder.path(), plan);
    recorder.batch(&batch([hour, hour + 10, 0, 10, 20, 70]), &[]);
    recorder.finish(at(80));
    let files = names(folder.path()).len();
    assert_eq!((files, read(folder.path()).0.len()), (3, 6), "a file before, and one for each minute after");
    // around a finding as much is kept as is asked for, and not all until the time of it comes again
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { before: Some(Span::Bytes(1)), after_nanos: 5 * SECOND, ..Plan::default() };
    let mut recorder = self::recorder(folder.path(), plan);
    recorder.batch(&batch([hour]), &[note(hour, "a claim", true)]);
    recorder.batch(&batch([hour + 1, 0, 10, 20]), &[]);
    recorder.finish(at(30));
    assert_eq!(read(folder.path()).0, [hour, hour + 1]);
}

#[test]
fn what_is_around_a_finding_is_not_in_memory_twice() {
    /// Counts what is written at once, at the most.
    struct Largest(Arc<Mutex<usize>>);
    impl Write for Largest {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut most = self.0.lock().unwrap();
            *most = bytes.len().max(*most);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Output for Largest {
        fn cut(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let most = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&most);
    let open: Open = Box::new(move |_| Ok(Box::new(Largest(Arc::clone(&seen))) as Box<dyn Output>));
    let plan = Plan { path: folder.path().join("site.pcapng"), before: Some(Span::Bytes(8 << 20)), ..Plan::default() };
    let mut recorder = Recorder::new(plan, &[interface()], open);
    for second in 0..40_000 {
        recorder.batch(&batch([second]), &[]);
    }
    recorder.batch(&batch([40_000]), &[note(40_000, "a claim", true)]);
    let most = *most.lock().unwrap();
    assert!((100_000..1 << 20).contains(&most), "{most}");
}

#[test]
fn files_that_nobody_removes_are_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(folder.path(), Plan { every_nanos: Some(SECOND), ..Plan::default() });
    (0..20).for_each(|second| recorder.batch(&batch([second]), &[]));
    recorder.finish(at(20));
    assert_eq!((names(folder.path()).len(), recorder.finished.len()), (20, 0));
}

/// A disk with so much room for all files together.
struct Small {
    file: File,
    room: Arc<Mutex<usize>>,
}

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock().unwrap();
        let taken = bytes.len().min(*room);
        *room -= taken;
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(&bytes[..taken])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Output for Small {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }
}

#[test]
fn a_full_disk_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let room = Arc::new(Mutex::new(1_500));
    let disk = Arc::clone(&room);
    let open: Open = Box::new(move |path| {
        let file = File::create_new(path)?;
        Ok(Box::new(Small { file, room: Arc::clone(&disk) }) as Box<dyn Output>)
    });
    let plan = Plan { path: folder.path().join("site.pcapng"), ..Plan::default() };
    let mut recorder = Recorder::new(plan, &[interface()], open);
    for second in 0..35 {
        recorder.batch(&batch([second]), &[]);
    }
    let messages = recorder.take_messages();
    assert!(messages.len() == 1 && messages[0].contains("capturing goes on"), "{messages:?}");
    let kept = read(folder.path()).0;
    assert!(kept.iter().copied().eq(0..kept.len() as u64) && kept.len() > 5, "whole up to where it ended: {kept:?}");
    *room.lock().unwrap() = 1 << 20;
    for second in 35..60 {
        recorder.batch(&batch([second]), &[]);
    }
    recorder.finish(at(60));
    let (all, _) = read(folder.path());
    assert_eq!(all.len() as u64 + recorder.unwritten(), 60);
    assert_eq!(names(folder.path()).len(), 2);
    assert_eq!(all.last(), Some(&59), "another file was begun");
    assert!(recorder.take_messages().is_empty());
    // full again, and then the clock is set back by an hour: that is no reason to wait for one
    *room.lock().unwrap() = 0;
    recorder.batch(&batch([3_700]), &[]);
    recorder.batch(&batch([3_701]), &[]);
    *room.lock().unwrap() = 1 << 20;
    recorder.batch(&batch([100, 101]), &[]);
    recorder.finish(at(102));
    assert!(read(folder.path()).0.ends_with(&[100, 101]));
}
