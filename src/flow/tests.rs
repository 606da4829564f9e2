use super::*;
use crate::decode::Addr;

fn packet(ts: u64, from_client: bool, flags: u8) -> Packet {
    let (client, server) = ((Addr::v4([10, 0, 0, 1]), 50_000), (Addr::v4([52, 0, 0, 1]), 443));
    let ((src, src_port), (dst, dst_port)) = if from_client { (client, server) } else { (server, client) };
    Packet {
        ts: Timestamp(ts),
        frame: ts,
        frames: 1,
        len: 60,
        src,
        src_port,
        dst,
        dst_port,
        proto: proto::TCP,
        tcp_flags: flags,
        seq: u32::from(from_client) * 1000 + 1,
        transport: true,
        ..Packet::default()
    }
}

/// The flow's number, whether side 1 sent the packet, and whether it is a copy.
fn track(t: &mut Table, p: &Packet) -> (u32, bool, bool) {
    t.track(p, Keyed::of(p, 42), &[]).map(|tracked| (tracked.number, tracked.second, tracked.duplicate)).unwrap()
}

fn table() -> Table {
    Table::new(Config::default(), 42)
}

#[test]
fn both_directions_are_one_flow() {
    let mut t = table();
    let a = track(&mut t, &packet(1, true, tcp_flag::SYN));
    let b = track(&mut t, &packet(2_000_000, false, tcp_flag::SYN | tcp_flag::ACK));
    assert_eq!((a, b), ((0, false, false), (0, true, false)));
    let flow = t.flow(0).unwrap();
    let counted = t.counted(flow);
    assert_eq!((counted.pkts, counted.bytes), ([1, 1], [60, 60]));
    assert!(!flow.flipped() && !flow.midstream());
    assert_eq!(t.sides(flow)[0].port, 50_000);
}

#[test]
fn the_originator_is_found_in_mid_stream() {
    for first_is_client in [true, false] {
        let mut t = table();
        track(&mut t, &packet(1, first_is_client, tcp_flag::ACK));
        let flow = t.flow(0).unwrap();
        let [orig, _] = flow.oriented(t.sides(flow));
        assert_eq!((orig.port, flow.midstream()), (50_000, true));
    }
    let mut t = table();
    track(&mut t, &packet(1, false, tcp_flag::SYN | tcp_flag::ACK));
    assert!(t.flow(0).unwrap().flipped());
}

#[test]
fn a_round_trip_longer_than_its_clock_is_none() {
    for (minutes, timed) in [(30, true), (72, false)] {
        let mut t = table();
        track(&mut t, &packet(1, true, tcp_flag::SYN));
        track(&mut t, &packet(2, false, tcp_flag::SYN | tcp_flag::ACK));
        let asked = Packet { payload_len: 10, seq: 1002, ack: 2, ..packet(3, true, tcp_flag::ACK) };
        track(&mut t, &asked);
        let later = Packet { seq: 2, ack: 1012, ..packet(minutes * 60 * SECOND, false, tcp_flag::ACK) };
        let number = track(&mut t, &later).0;
        let rtt = t.tcp(t.flow(number).unwrap()).unwrap().rtt.p95();
        assert_eq!(rtt.map(|rtt| rtt > 1.0), Some(timed), "{minutes} minutes: {rtt:?}");
    }
}

#[test]
fn a_port_used_again_is_another_flow() {
    let mut t = table();
    track(&mut t, &packet(1, true, tcp_flag::SYN));
    track(&mut t, &packet(2_000_000, false, tcp_flag::RST | tcp_flag::ACK));
    let mut again = packet(3_000_000, true, tcp_flag::SYN);
    again.seq = 77;
    assert_eq!(track(&mut t, &again).0, 1);
    assert!(t.flow(0).unwrap().ended() && !t.flow(1).unwrap().ended());
    assert_eq!((t.len(), t.active()), (2, 1));
}

#[test]
fn silence_ends_a_flow_and_ten_years_cost_one_turn() {
    let mut t = table();
    track(&mut t, &packet(SECOND, true, tcp_flag::SYN));
    let mut ended = 0;
    t.advance(Timestamp(2 * SECOND), &mut |_, _| ended += 1);
    assert_eq!(ended, 0);
    t.advance(Timestamp(315_360_000 * SECOND), &mut |_, _| ended += 1);
    assert_eq!((ended, t.active()), (1, 0));
    assert_eq!(track(&mut t, &packet(315_360_001 * SECOND, true, tcp_flag::ACK)).0, 1);
}

#[test]
fn mirror_copies_count_as_frames_only() {
    let mut t = table();
    let mut p = packet(1000, true, tcp_flag::ACK);
    (p.payload_len, p.ip_id) = (100, 9);
    track(&mut t, &p);
    p.ts = Timestamp(2000);
    assert!(track(&mut t, &p).2);
    let flow = t.flow(0).unwrap();
    let counted = t.counted(flow);
    assert_eq!((counted.pkts[0], counted.payload[0], counted.duplicates), (2, 100, 1));
    assert_eq!(t.tcp(flow).unwrap().log.troubles().map_or(0, |t| t[0].retransmissions), 0);
}

/// The connection that these packets make, each with the TCP options in `OPTIONS`; `None` if they make several.
fn by_table(packets: &[Packet]) -> Option<String> {
    let mut t = table();
    for p in packets {
        t.track(p, Keyed::of(p, 42), &OPTIONS).unwrap();
    }
    (t.len() == 1).then(|| format!("{:?}", t.connection(t.flow(0).unwrap()).unwrap()))
}

/// Two NOPs, a maximum segment size of 1460, and a window scale of 7.
const OPTIONS: [u8; 9] = [1, 1, 2, 4, 5, 0xb4, 3, 3, 7];

proptest::proptest! {
    #[test]
    fn a_connection_that_was_a_lone_syn_is_as_any_other(
        after in proptest::collection::vec((proptest::bool::ANY, 0usize..5, 0u16..3), 0..8),
    ) {
        const FLAGS: [u8; 5] =
            [tcp_flag::SYN, tcp_flag::SYN | tcp_flag::ACK, tcp_flag::ACK, tcp_flag::RST, tcp_flag::FIN | tcp_flag::ACK];
        let steps = std::iter::once((true, 0, 1)).chain(after);
        let packets: Vec<Packet> = steps.zip(0..).map(|((from_client, flags, window), n)| Packet {
            payload_start: OPTIONS.len() as u32,
            options_len: OPTIONS.len() as u8,
            window,
            ..packet(1 + n * 2_000_000, from_client, FLAGS[flags])
        }).collect();
        let mut whole = Tcp::default();
        packets.iter().for_each(|p| _ = whole.segment(p.src_port != 50_000, p, &OPTIONS));
        let tracked = by_table(&packets);
        proptest::prop_assume!(tracked.is_some());
        proptest::prop_assert_eq!(tracked, Some(format!("{whole:?}")));
    }
}

#[test]
fn lone_syns_are_small_and_outlive_others() {
    let mut t = table();
    for port in 0..1000u16 {
        let syn = Packet { src_port: 1 + port, ..packet(1, true, tcp_flag::SYN) };
        t.track(&syn, Keyed::of(&syn, 42), &[]);
    }
    let small = t.memory();
    for port in 0..1000u16 {
        let again = Packet { src_port: 1 + port, ..packet(2_000_000_000, true, tcp_flag::SYN) };
        if port % 2 == 0 {
            t.track(&again, Keyed::of(&again, 42), &[]);
        }
    }
    assert!(t.memory() > small + 500 * size_of::<Tcp>());
    t.compact(|number, _| number % 3 == 0);
    let syns = t.flows().map(|(_, flow)| (flow.ports(), t.connection(flow).unwrap().saw_syn(), t.tcp(flow).is_some()));
    assert!(
        syns.zip((0..1000u16).step_by(3)).all(|((ports, saw_syn, whole), port)| {
            (ports, saw_syn, whole) == ((1 + port, 443), true, port % 2 == 0)
        })
    );
    assert_eq!(t.len(), 334);
}
