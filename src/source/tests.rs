use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::pcap::Order::{self, Big, Little};
use super::testfiles::*;
use super::*;

type Seen = Vec<(u64, u16, u32, Vec<u8>)>;

/// Everything that reading gives, checked against the promises of a chunk.
fn drain(mut reader: CaptureReader) -> (Seen, Vec<Warning>, Facts) {
    let (mut seen, mut warnings, mut chunk) = (Seen::new(), Vec::new(), Chunk::default());
    loop {
        let fill = reader.fill(&mut chunk).unwrap();
        let mut end = 0;
        for at in &chunk.frames {
            let frame = chunk.frame(at).expect("within the buffer");
            assert!(at.start as usize >= end && frame.len as usize >= frame.bytes.len());
            end = at.start as usize + frame.bytes.len();
            seen.push((frame.ts.0, frame.link.0, frame.len, frame.bytes.to_vec()));
        }
        warnings.extend(reader.take_warnings());
        if fill == Fill::End {
            assert!(chunk.frames.is_empty());
            assert_eq!(reader.fill(&mut chunk).unwrap(), Fill::End);
            assert_eq!(reader.facts().frames, seen.len() as u64);
            return (seen, warnings, reader.facts().clone());
        }
    }
}

fn through_pipe(bytes: &[u8], chunk: usize) -> Result<CaptureReader, SourceError> {
    CaptureReader::from_reader(Box::new(std::io::Cursor::new(bytes.to_vec())), "a pipe", chunk)
}

fn read(bytes: &[u8]) -> (Seen, Vec<Warning>, Facts) {
    drain(through_pipe(bytes, CHUNK_BYTES).unwrap())
}

fn sound(bytes: &[u8]) -> Seen {
    let (seen, warnings, _) = read(bytes);
    assert_eq!(warnings, []);
    seen
}

fn damage(bytes: &[u8]) -> (usize, Vec<(u64, Damage)>) {
    let (seen, warnings, _) = read(bytes);
    (seen.len(), warnings.into_iter().map(|w| (w.offset, w.what)).collect())
}

fn put(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A pcapng file with every block kind, in two sections of different byte order.
fn rich_pcapng() -> Vec<u8> {
    [
        section(Little),
        interface(Little, 1, 0, &[]),
        enhanced(Little, 0, 1_000_001, 60, b"first"),
        block(Little, 4, &[7; 300]),
        enhanced(Little, 0, 2_000_000, 6, b"second"),
        block(Little, 0x0bad, &[0; 2_000]),
        simple(Little, 3, b"tri"),
        statistics(Little, 0, 1, 2),
        statistics(Little, 0, 5, 7),
        section(Big),
        interface(Big, 101, 4, &option(Big, 9, &[9])),
        interface(Big, 113, 99, &[option(Big, 9, &[0x80 | 10]), option(Big, 14, &u64_in(Big, 100))].concat()),
        enhanced(Big, 0, 3_000_000_007, 9, b"nano"),
        old_packet(Big, 1, 3, 1 << 10 | 1 << 9, b"old"),
        simple(Big, 9, b"cut-"),
        statistics(Big, 1, 10, 20),
    ]
    .concat()
}

/// Who pauses before each few bytes.
struct Pausing {
    bytes: std::io::Cursor<Vec<u8>>,
    paused: bool,
}

impl std::io::Read for Pausing {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.paused = !self.paused;
        if self.paused {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let few = buf.len().min(3);
        self.bytes.read(&mut buf[..few])
    }
}

#[test]
fn what_there_is_of_a_pipe_is_given_when_who_writes_pauses() {
    let file = rich_pcapng();
    for (kind, bytes) in [("plain", file.clone()), ("gzip", gzip(&file)), ("zstd", zstd_of(&file))] {
        let pausing = || Box::new(Pausing { bytes: std::io::Cursor::new(bytes.clone()), paused: false });
        let reader = || CaptureReader::from_reader(pausing(), "a pipe", CHUNK_BYTES).unwrap();
        assert_eq!(drain(reader()), read(&file), "{kind}");
        let (mut reader, mut chunk, mut pauses, mut most) = (reader(), Chunk::default(), 0, 0);
        while reader.fill(&mut chunk).unwrap() == Fill::More {
            pauses += usize::from(reader.waits());
            most = most.max(chunk.frames.len());
        }
        // one zstd block is given whole or not at all
        assert!(pauses > if kind == "zstd" { 0 } else { 10 } && !reader.waits(), "{kind}: {pauses}");
        assert!(kind != "plain" || most == 1, "{kind}: {most}");
    }
}

#[test]
fn classic_captures_in_both_orders_and_resolutions() {
    let frames: &[Sent] = &[(1, 2, 3, b"abc"), (1, 999_999, 1_500, b"defg"), (2, 0, 0, b"")];
    for order in [Little, Big] {
        for (magic, tick) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1), (0xa1b2_cd34, 1_000)] {
            let seen = sound(&pcap(order, magic, (2, 4), 113, frames));
            let want = vec![
                (1_000_000_000 + 2 * tick, 113, 3, b"abc".to_vec()),
                (1_000_000_000 + 999_999 * tick, 113, 1_500, b"defg".to_vec()),
                (2_000_000_000, 113, 0, vec![]),
            ];
            assert_eq!(seen, want, "{order:?} {magic:x}");
        }
    }
}

#[test]
fn upper_bits_of_the_link_type_are_no_part_of_it() {
    let (seen, _, facts) = read(&pcap(Big, 0xa1b2_c3d4, (2, 4), 0x5c00_0001, &[(1, 0, 1, b"x")]));
    assert_eq!(seen[0].1, 1);
    assert_eq!(facts.links, BTreeMap::from([(LinkType(1), 1)]));
    assert_eq!(facts.snaplens, BTreeSet::from([65_535]));
}

#[test]
fn old_versions_hold_the_lengths_the_other_way_round() {
    let swapped = |version, caplen: u32, len: u32| {
        let mut file = pcap(Little, 0xa1b2_c3d4, version, 1, &[]);
        [1, 0, caplen, len].iter().for_each(|n| file.extend(u32_in(Little, *n)));
        file.extend(b"abc");
        sound(&file).remove(0)
    };
    assert_eq!(swapped((2, 2), 9, 3).2, 9);
    assert_eq!(swapped((543, 0), 9, 3).3, b"abc");
    assert_eq!(swapped((2, 3), 9, 3).2, 9);
    assert_eq!(swapped((2, 3), 3, 9).2, 9);
    assert_eq!(swapped((2, 7), 3, 9).3, b"abc");
    let odd = pcap(Little, 0xa1b2_c3d4, (3, 4), 1, &[]);
    assert!(matches!(through_pipe(&odd, 64), Err(SourceError::Version { major: 3, minor: 4, .. })));
}

#[test]
fn a_wire_length_below_the_captured_one_is_raised() {
    assert_eq!(sound(&plain(&[(1, 0, 1, b"longer")]))[0].2, 6);
}

#[test]
fn pcapng_sections_interfaces_and_clocks() {
    let (seen, warnings, facts) = read(&rich_pcapng());
    assert_eq!(warnings, []);
    let want: Vec<(u64, u16, u32, &[u8])> = vec![
        (1_000_001_000, 1, 60, b"first"),
        (2_000_000_000, 1, 6, b"second"),
        (2_000_000_000, 1, 3, b"tri"),
        (3_000_000_007, 101, 9, b"nano"),
        (101_500_000_000, 113, 3, b"old"),
        (101_500_000_000, 101, 9, b"cut-"),
    ];
    let want: Seen = want.into_iter().map(|(ts, link, len, bytes)| (ts, link, len, bytes.to_vec())).collect();
    assert_eq!(seen, want);
    assert_eq!(facts.links, BTreeMap::from([(LinkType(1), 3), (LinkType(101), 2), (LinkType(113), 1)]));
    assert_eq!(facts.snaplens, BTreeSet::from([0, 4, 99]));
    assert_eq!(facts.interface_drops, Some(5 + 10 + 3), "the last statistics of each, and the old block's");
    assert_eq!(facts.kernel_drops, Some(7 + 20));
}

#[test]
fn clock_resolutions_and_offsets_at_their_limits() {
    let time = |options: &[Vec<u8>], ticks| {
        sound(&[section(Big), interface(Big, 1, 0, &options.concat()), enhanced(Big, 0, ticks, 0, b"")].concat())[0].0
    };
    let resolution = |value: u8| option(Big, 9, &[value]);
    assert_eq!(time(&[resolution(0)], 5), 5_000_000_000);
    assert_eq!(time(&[resolution(12)], 5_999), 5);
    assert_eq!(time(&[resolution(127)], u64::MAX), 0);
    assert_eq!(time(&[resolution(0)], u64::MAX), u64::MAX);
    assert_eq!(time(&[resolution(0x80)], 2), 2_000_000_000);
    assert_eq!(time(&[resolution(0xff)], u64::MAX), 0);
    assert_eq!(time(&[resolution(0xa0)], 3 << 31), 1_500_000_000);
    let offset = |seconds: i64| option(Big, 14, &seconds.to_be_bytes());
    assert_eq!(time(&[offset(-1)], 1_500_000), 500_000_000);
    assert_eq!(time(&[offset(i64::MIN)], 1), 0);
    assert_eq!(time(&[offset(i64::MAX)], 1), u64::MAX);
}

#[test]
fn odd_blocks_are_told_and_passed_over() {
    let mut file = [section(Little), interface(Little, 1, 0, &[])].concat();
    let at = file.len() as u64;
    file.extend(enhanced(Little, 7, 0, 0, b"of no interface"));
    let mut trailed = enhanced(Little, 0, 0, 2, b"ok");
    *trailed.last_mut().unwrap() = 9;
    let second = file.len() as u64;
    file.extend(trailed);
    file.extend(enhanced(Little, 7, 0, 0, b"").repeat(4));
    file.extend(enhanced(Little, 0, 0, 3, b"end"));
    let (frames, told) = damage(&file);
    assert_eq!(frames, 2);
    assert_eq!(told[0], (at, Damage::NoInterface { interface: 7 }));
    assert_eq!(told[1], (second, Damage::TrailerLength { head: 36, trail: 9 << 24 | 36 }));
    assert_eq!(told.last().unwrap().1, Damage::MoreOddities { count: 2 });
}

#[test]
fn damage_is_told_where_it_begins() {
    let file = plain(&[(1, 0, 4, b"abcd"), (2, 0, 4, b"efgh")]);
    assert_eq!(damage(&file[..50]), (1, vec![(44, Damage::CutRecordHeader)]));
    assert_eq!(damage(&file[..62]), (1, vec![(44, Damage::CutRecord { want: 20, have: 18 })]));
    let mut absurd = file.clone();
    absurd[44 + 11] = 0x7f;
    let limit = 256 << 10;
    assert_eq!(damage(&absurd), (1, vec![(44, Damage::TooLong { length: 0x7f00_0004, limit })]));

    let ng = [section(Big), interface(Big, 1, 0, &[]), enhanced(Big, 0, 0, 4, b"abcd")].concat();
    assert_eq!(damage(&ng[..ng.len() - 1]).1, [(48, Damage::CutRecord { want: 36, have: 35 })]);
    assert_eq!(damage(&ng[..52]).1, [(48, Damage::CutRecordHeader)]);
    let mut beyond = ng.clone();
    beyond[48 + 23] = 5;
    assert_eq!(damage(&beyond), (0, vec![(48, Damage::NoRoom { length: 5, room: 4 })]));
    let short = [&ng[..], &u32_in(Big, 6), &u32_in(Big, 8), &[0; 40]].concat();
    assert_eq!(damage(&short), (1, vec![(84, Damage::ShortBlock { kind: 6, length: 8 })]));
    let mut version = section(Big);
    version[13] = 2;
    assert_eq!(damage(&[&ng[..], &version].concat()).1, [(84, Damage::SectionVersion { major: 2, minor: 0 })]);
    let huge = [&ng[..], &u32_in(Big, 0xbad), &u32_in(Big, 1 << 30), &[0; 400]].concat();
    for chunk in [64, CHUNK_BYTES] {
        let (seen, told, _) = drain(through_pipe(&huge, chunk).unwrap());
        assert_eq!((seen.len(), told[0].offset), (1, 84));
        assert_eq!(told[0].what, Damage::CutRecord { want: 1 << 30, have: 408 });
    }
}

#[test]
fn a_lie_about_a_length_takes_no_memory() {
    let lie = [section(Big), u32_in(Big, 6).to_vec(), u32_in(Big, MAX_RECORD as u32).to_vec(), vec![0; 400]].concat();
    let (mut chunk, mut reader) = (Chunk::default(), through_pipe(&lie, 64).unwrap());
    while reader.fill(&mut chunk).unwrap() == Fill::More {}
    assert!(chunk.buf.len() < 2_000);
}

#[test]
fn what_is_no_capture_is_named() {
    let fails = |bytes: &[u8]| through_pipe(bytes, 64).err().unwrap().to_string();
    assert_eq!(fails(b""), "a pipe: the file is empty; was anything captured?");
    let text = "a pipe: not a capture file (pcap, pcapng, gzip or zstd expected)";
    assert_eq!(fails(b"Dear diary, this is no capture."), text);
    assert_eq!(fails(b"short"), text);
    assert_eq!(fails(&gzip(b"Dear diary, this is no capture.")), text);
    assert!(fails(b"BZh91AY&SY and so on and so on").starts_with(text));
    assert!(fails(&plain(&[])[..20]).contains("within the file header"));
}

/// From wherever reading has come to, another goes on alike: of what is packed, too, though that is unpacked from its
/// start.
#[test]
fn a_fork_gives_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let file = rich_pcapng().repeat(40);
    let classic = plain(&(0..200).map(|n| (n, n, 70, &b"a frame of a classic file"[..])).collect::<Vec<_>>());
    let packed = [("plain", file.clone()), ("gzip", gzip(&file)), ("zstd", zstd_of(&file)), ("classic", classic)];
    for (name, bytes) in packed {
        let want = sound(&bytes);
        let mut reader = CaptureReader::open(&put(dir.path(), name, &bytes), 400).unwrap();
        let (mut chunk, mut seen, mut forks) = (Chunk::default(), 0, 0);
        while reader.fill(&mut chunk).unwrap() == Fill::More {
            seen += chunk.frames.len();
            let Some(fork) = reader.fork() else { continue };
            let again = fork.fork().expect("one that has not read yet has one of its own");
            let left = |mut reader: CaptureReader| {
                let mut left = Seen::new();
                let mut chunk = Chunk::default();
                while reader.fill(&mut chunk).unwrap() == Fill::More {
                    let frames = chunk.frames.iter().map(|at| chunk.frame(at).unwrap());
                    left.extend(frames.map(|frame| (frame.ts.0, frame.link.0, frame.len, frame.bytes.to_vec())));
                }
                (left, reader.bytes_read())
            };
            assert_eq!(left(fork), (want[seen..].to_vec(), bytes.len() as u64), "{name} {seen}");
            assert_eq!(left(again).0, want[seen..], "{name} {seen}");
            forks += 1;
        }
        assert!(forks > 3 && seen == want.len(), "{name}: {forks}");
    }
    assert!(through_pipe(&gzip(&file), 400).unwrap().fork().is_none(), "a pipe is read once");
}

#[test]
fn packed_captures_give_the_same_and_tell_their_damage() {
    let file = rich_pcapng().repeat(40);
    let want = sound(&file);
    let (half, rest) = file.split_at(file.len() / 2);
    let members = [gzip(half), gzip(rest)].concat();
    for packed in [gzip(&file), members, zstd_of(&file), [zstd_of(half), zstd_of(rest)].concat()] {
        assert_eq!(sound(&packed), want);
        let Ok(reader) = through_pipe(&packed[..packed.len() - 3], CHUNK_BYTES) else {
            // One zstd block is given whole or not at all.
            assert!(packed.starts_with(&[0x28]));
            continue;
        };
        let (seen, told, _) = drain(reader);
        assert!(seen.len() <= want.len() && seen[..] == want[..seen.len()]);
        assert!(matches!(told[..], [Warning { what: Damage::CutStream { .. }, .. }]), "{told:?}");
    }
    let mut bad_sum = gzip(&file);
    let at = bad_sum.len() - 6;
    bad_sum[at] ^= 1;
    let (seen, told, _) = read(&bad_sum);
    assert_eq!(seen, want);
    assert!(matches!(told[..], [Warning { what: Damage::BadStream { codec: "gzip", .. }, .. }]), "{told:?}");
}

#[test]
fn a_file_cut_while_it_is_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = put(dir.path(), "a.pcap", &plain(&[(1, 0, 4, &b"abcd"[..]); 100]));
    let mut reader = CaptureReader::open(&path, 200).unwrap();
    let mut chunk = Chunk::default();
    assert_eq!(reader.fill(&mut chunk).unwrap(), Fill::More);
    File::options().write(true).open(&path).unwrap().set_len(300).unwrap();
    while reader.fill(&mut chunk).unwrap() == Fill::More {}
    let told: Vec<Warning> = reader.take_warnings().collect();
    assert_eq!(told[0].what, Damage::Shrank { size: 24 + 2_000 });
}

#[test]
fn inputs_come_in_the_order_of_their_first_frames() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "z", &plain(&[(10, 0, 1, b"1")]));
    put(dir.path(), "y", &gzip(&plain(&[(20, 0, 1, b"2")])));
    put(dir.path(), "notes.txt", b"which captures are which");
    put(dir.path(), "begun.pcap", b"");
    put(dir.path(), ".hidden", &plain(&[(5, 0, 1, b"0")]));
    fs::create_dir(dir.path().join("sub")).unwrap();
    put(&dir.path().join("sub"), "x", &plain(&[(6, 0, 1, b"0")]));
    let other = tempfile::tempdir().unwrap();
    let between = put(other.path(), "x", &plain(&[(15, 0, 1, b"m"), (16, 0, 1, b"n")]));
    let paths = [PathBuf::from("/nowhere/at-all"), between, dir.path().into(), dir.path().join("*.none")];
    let mut source = Source::open(&paths, CHUNK_BYTES);
    let (mut chunk, mut seen) = (Chunk::default(), Vec::new());
    while source.fill(&mut chunk) == Fill::More {
        seen.extend(chunk.frames.iter().map(|at| chunk.frame(at).unwrap().bytes[0]));
    }
    assert_eq!(seen, b"1mn2");
    let told: Vec<String> = source.take_problems().map(|problem| problem.to_string()).collect();
    assert_eq!(told[0], "/nowhere/at-all: no such file; check the name");
    assert!(told[1].ends_with(
        "*.none: no such file; patterns are for the shell to expand: either none matches, or it stands in quotes"
    ));
    assert_eq!(source.facts().frames, 4);
    let progress = source.progress();
    assert_eq!((progress.files_done, progress.files_total), (3, 3));
    assert_eq!(Some(progress.bytes_read), progress.bytes_total);
}

#[test]
fn a_damaged_input_does_not_keep_the_next_from_being_read() {
    let dir = tempfile::tempdir().unwrap();
    let good = plain(&[(1, 0, 1, b"a"), (2, 0, 1, b"b")]);
    put(dir.path(), "1", &good[..good.len() - 1]);
    put(dir.path(), "2", &plain(&[(3, 0, 1, b"c")]));
    let mut source = Source::open(&[dir.path().into()], CHUNK_BYTES);
    let (mut chunk, mut frames) = (Chunk::default(), 0);
    while source.fill(&mut chunk) == Fill::More {
        frames += chunk.frames.len();
    }
    assert_eq!(frames, 2);
    let told: Vec<_> = source.take_problems().collect();
    assert!(matches!(&told[..], [problem @ Problem::Warning(_)] if problem.class() == Class::Unreadable));
}

#[test]
fn sockets_and_bare_directories_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |path: PathBuf| {
        let mut source = Source::open(&[path], CHUNK_BYTES);
        assert_eq!(source.fill(&mut Chunk::default()), Fill::End);
        let told: Vec<String> = source.take_problems().map(|problem| problem.to_string()).collect();
        assert_eq!(told.len(), 1);
        told[0].clone()
    };
    assert!(fails(dir.path().into()).contains("no capture file in this directory"));
    let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
    assert!(fails(dir.path().join("s")).contains("this is a socket"));
    assert!(!fails(dir.path().join("a\x1b[2Jb")).contains('\x1b'));
}

/// Everything that a source gives, as the times of frames and the first byte of each; `look` sees it after each fill.
fn given(mut source: Source, mut look: impl FnMut(&Source, usize)) -> Vec<(u64, u8)> {
    let (mut chunk, mut seen) = (Chunk::default(), Vec::new());
    while source.fill(&mut chunk) == Fill::More {
        let frames = chunk.frames.iter().map(|at| chunk.frame(at).expect("within the buffer"));
        seen.extend(frames.map(|frame| (frame.ts.0 / SECOND, frame.bytes[0])));
        look(&source, seen.len());
    }
    assert_eq!(source.facts().frames, seen.len() as u64);
    assert_eq!(Some(source.progress().bytes_read), source.progress().bytes_total);
    seen
}

/// Captures of frames at these seconds; each byte is the capture's number.
fn of_times(dir: &Path, all: &[Vec<u32>]) -> Vec<PathBuf> {
    let capture = |(n, times): (usize, &Vec<u32>)| {
        let frames: Vec<Sent> = times.iter().map(|at| (*at, 0, 1, &b"abcdefgh"[n..=n])).collect();
        // one of them is packed
        let bytes = if n == 1 { gzip(&plain(&frames)) } else { plain(&frames) };
        put(dir, &n.to_string(), &bytes)
    };
    all.iter().enumerate().map(capture).collect()
}

#[test]
fn inputs_of_the_same_time_are_put_together() {
    let dir = tempfile::tempdir().unwrap();
    // the second lies within the first, the third begins at its last frame, the last behind all
    let paths = of_times(dir.path(), &[vec![1, 4, 9, 12], vec![3, 4, 5], vec![12, 13], vec![20, 21]]);
    let want = [(1, 'a'), (3, 'b'), (4, 'a'), (4, 'b'), (5, 'b'), (9, 'a'), (12, 'a'), (12, 'c'), (13, 'c')];
    let want: Vec<(u64, u8)> = want.into_iter().chain([(20, 'd'), (21, 'd')]).map(|(at, c)| (at, c as u8)).collect();
    for chunk in [64, 100, CHUNK_BYTES] {
        let mut forks = 0;
        let seen = given(Source::open(&paths, chunk), |source, so_far| {
            if let Some(mut fork) = source.fork() {
                forks += 1;
                let (mut left, mut chunk) = (Vec::new(), Chunk::default());
                while fork.fill(&mut chunk) == Fill::More {
                    left.extend(chunk.frames.iter().map(|at| at.ts.0 / SECOND));
                }
                assert_eq!(left, want[so_far..].iter().map(|(at, _)| *at).collect::<Vec<_>>());
            }
        });
        assert_eq!(seen, want, "{chunk}");
        assert!(forks > 0);
    }
}

fn sent() -> impl Strategy<Value = Vec<(u32, u32, u32, Vec<u8>)>> {
    prop::collection::vec((any::<u32>(), any::<u32>(), 0u32..3_000, prop::collection::vec(any::<u8>(), 0..300)), 0..40)
}

fn made(kind: usize, frames: &[(u32, u32, u32, Vec<u8>)]) -> Vec<u8> {
    let order: Order = if kind.is_multiple_of(2) { Little } else { Big };
    let borrowed: Vec<Sent> = frames.iter().map(|(s, f, len, bytes)| (*s, *f, *len, &bytes[..])).collect();
    match kind {
        0 | 1 => pcap(order, 0xa1b2_c3d4, (2, 4), 1, &borrowed),
        2 | 3 => pcap(order, 0xa1b2_cd34, (2, 4), 1, &borrowed),
        _ => {
            let mut file = [rich_pcapng(), section(order), interface(order, 1, 0, &[])].concat();
            borrowed.iter().for_each(|f| file.extend(enhanced(order, 0, u64::from(f.0), f.2, f.3)));
            file
        }
    }
}

/// What is to come of captures: always the earliest of the next frames of those that have begun by then.
fn in_one_order(all: &[Vec<u32>]) -> Vec<(u64, u8)> {
    let mut lanes: Vec<(u8, &[u32])> = all.iter().enumerate().map(|(n, times)| (b"abcdefgh"[n], &times[..])).collect();
    lanes.retain(|(_, times)| !times.is_empty());
    lanes.sort_by_key(|(_, times)| times[0]);
    let mut seen = Vec::new();
    while let Some((name, times)) = lanes.iter_mut().filter(|(_, t)| !t.is_empty()).min_by_key(|(_, t)| t[0]) {
        seen.push((u64::from(times[0]), *name));
        *times = &times[1..];
    }
    seen
}

proptest! {
    #[test]
    fn captures_are_put_together_whatever_the_chunks(
        all in prop::collection::vec(prop::collection::vec(0u32..40, 0..30), 1..6),
        chunk in 64usize..600,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let paths = of_times(dir.path(), &all);
        let want = in_one_order(&all);
        prop_assert_eq!(given(Source::open(&paths, chunk), |_, _| ()), want.clone());
        prop_assert_eq!(given(Source::open(&paths, CHUNK_BYTES), |_, _| ()), want);
    }

    #[test]
    fn the_size_of_chunks_changes_nothing(kind in 0usize..6, frames in sent(), chunk in 64usize..5_000) {
        let file = made(kind, &frames);
        let want = read(&file);
        prop_assert_eq!(&want.1, &vec![]);
        prop_assert_eq!(drain(through_pipe(&file, chunk).unwrap()), want.clone());
        prop_assert_eq!(drain(through_pipe(&zstd_of(&file), chunk).unwrap()), want.clone());
        // a file is read into places of its own in the buffer
        let dir = tempfile::tempdir().unwrap();
        let (seen, warnings, facts) = drain(CaptureReader::open(&put(dir.path(), "a.pcap", &file), chunk).unwrap());
        prop_assert_eq!((&seen, &warnings, &facts), (&want.0, &want.1, &want.2));
    }

    #[test]
    fn a_cut_file_gives_what_stands_before_the_cut(kind in 0usize..6, frames in sent(), at in any::<prop::sample::Index>()) {
        let file = made(kind, &frames);
        let (whole, _, _) = read(&file);
        let cut = &file[..at.index(file.len() + 1)];
        for chunk in [64, CHUNK_BYTES] {
            let dir = tempfile::tempdir().unwrap();
            let path = put(dir.path(), "cut.pcap", cut);
            for reader in [through_pipe(cut, chunk), CaptureReader::open(&path, chunk)].into_iter().flatten() {
                let (seen, told, _) = drain(reader);
                prop_assert_eq!(&seen[..], &whole[..seen.len()]);
                prop_assert!(told.len() == 1 || told.is_empty());
            }
        }
    }

    #[test]
    fn any_mutation_is_read_to_an_end_whatever_the_chunks(
        kind in 0usize..6,
        frames in sent(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut file = made(kind, &frames);
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        if let (Ok(small), Ok(large)) = (through_pipe(&file, 64), through_pipe(&file, CHUNK_BYTES)) {
            let ((small, small_told, small_facts), (large, large_told, large_facts)) = (drain(small), drain(large));
            prop_assert_eq!(small, large);
            prop_assert_eq!(small_facts, large_facts);
            // Whether the lengths of a block that is passed over agree is only seen where it lies in one chunk.
            let last = |told: Vec<Warning>| told.into_iter().find(|warning| warning.what.ends_the_file());
            prop_assert_eq!(last(small_told), last(large_told));
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_to_an_end(mut bytes in prop::collection::vec(any::<u8>(), 0..2_000), kind in 0usize..4) {
        let heads = [vec![], plain(&[]), section(Big), vec![0x1f, 0x8b, 8, 0]];
        bytes.splice(0..0, heads[kind].iter().copied());
        if let Ok(reader) = through_pipe(&bytes, 100) {
            drain(reader);
        }
    }
}
