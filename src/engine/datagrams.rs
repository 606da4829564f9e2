//! The payload of UDP flows: one datagram at a time, told by its first bytes.
//!
//! Media flows mix protocols on one pair of ports; the first byte tells them apart (RFC 7983). A flow in which
//! nothing is found is left alone after [`MAX_TRIES`] datagrams.

use super::learn::{Context, Learner, direction};
use super::media;
use super::parts::{Kind, Parts};
use super::quic::Connections;
use crate::decode::Packet;
use crate::flow::{Flow, NONE, slab::Slab};
use crate::inspect::dtls::{self, DtlsState};
use crate::inspect::openvpn::{self, Session};
use crate::inspect::quic::{self, Outcome};
use crate::inspect::stun::Carried;
use crate::inspect::{Fact, dns, message, ntp, portmap, stun};

/// How many datagrams of a flow are looked at in vain.
pub const MAX_TRIES: u8 = 32;

/// How many flows of a shard may have a hello in fragments under way; others wait for a hello that is whole.
const MAX_PIECEWISE: usize = 256;

/// What is held of a flow whose hellos come in pieces.
#[derive(Clone, Debug)]
enum Pieces {
    Dtls(DtlsState),
    OpenVpn(Box<Session>),
}

impl Default for Pieces {
    fn default() -> Self {
        Pieces::Dtls(DtlsState::new())
    }
}

/// The hellos of a shard that come in more datagrams than one: those of DTLS and OpenVPN, and QUIC connections. A UDP
/// flow has its place here by [`Kind::Reading`], and it is its phase that says among which.
#[derive(Clone, Debug, Default)]
pub struct Piecewise {
    states: Slab<Pieces>,
    open: usize,
    quic: Connections,
}

impl Piecewise {
    fn hold(&mut self, flow: &mut Flow, parts: &mut Parts, pieces: Pieces) {
        parts.add(&mut flow.learnt, Kind::Reading, self.states.insert(pieces));
        self.open = self.open.saturating_add(1);
    }

    fn has_room(&self) -> bool {
        self.open < MAX_PIECEWISE
    }

    /// Takes a datagram of DTLS, and reports the hellos that are whole with it.
    fn dtls(&mut self, cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) {
        let wanted = learner.wanted();
        if learner.parts.get(cx.flow.learnt, Kind::Reading) == NONE {
            if !self.has_room() || !dtls::has_piece(payload, wanted) {
                return dtls::inspect(payload, wanted, &mut |fact| learner.learn(cx, fact));
            }
            self.hold(cx.flow, &mut learner.parts, Pieces::Dtls(DtlsState::new()));
        }
        let number = learner.parts.get(cx.flow.learnt, Kind::Reading);
        let Some(Pieces::Dtls(state)) = self.states.get_mut(number) else { return };
        let toward = direction(cx.second, cx.flow.flipped());
        state.inspect(toward, payload, wanted, &mut |fact| learner.learn(cx, fact));
        if state.is_empty() {
            self.release(cx.flow, &mut learner.parts);
        }
    }

    /// Takes a datagram of OpenVPN. False: nothing more of the flow is wanted.
    fn openvpn(&mut self, cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
        let number = learner.parts.get(cx.flow.learnt, Kind::Reading);
        let Some(Pieces::OpenVpn(session)) = self.states.get_mut(number) else { return false };
        let toward = direction(cx.second, cx.flow.flipped());
        let goes_on = session.packet(toward, payload, &mut |_, fact| learner.learn(cx, fact));
        if !goes_on {
            self.release(cx.flow, &mut learner.parts);
        }
        goes_on
    }

    /// Nothing more comes on a flow, of which `last` was the last packet: lets go of what is held of it.
    pub fn close(&mut self, flow: &mut Flow, number: u32, last: &Packet, learner: &mut Learner) {
        if flow.phase == phase::QUIC {
            let mut cx = Context { flow, number, packet: last, second: false, segments: 0 };
            self.quic.close(&mut cx, learner);
        } else {
            self.release(flow, &mut learner.parts);
        }
    }

    fn release(&mut self, flow: &mut Flow, parts: &mut Parts) {
        let number = parts.get(flow.learnt, Kind::Reading);
        if let Some(state) = self.states.get_mut(number) {
            *state = Pieces::default();
            self.states.release(number);
            self.open = self.open.saturating_sub(1);
        }
        parts.remove(&mut flow.learnt, Kind::Reading);
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let held = self.states.iter().map(|(_, pieces)| match pieces {
            Pieces::Dtls(state) => state.memory(),
            Pieces::OpenVpn(session) => session.memory(),
        });
        self.states.memory().saturating_add(held.sum()).saturating_add(self.quic.memory())
    }
}

/// How far the inspection of a UDP flow has come.
mod phase {
    // 0, where every flow begins: nothing found yet
    /// STUN, DTLS, SCTP or RTP was found: what else comes is media.
    pub const MEDIA: u8 = 1;
    /// DNS was found.
    pub const DNS: u8 = 2;
    /// Nothing more is wanted.
    pub const DONE: u8 = crate::flow::INSPECTED;
    /// QUIC was found.
    pub const QUIC: u8 = 3;
    /// OpenVPN was found.
    pub const OPENVPN: u8 = 4;
    /// SIP, SSDP or WS-Discovery was found.
    pub const MESSAGES: u8 = 5;
    /// NTP was found.
    pub const NTP: u8 = 6;
}

/// Takes the payload of a UDP datagram.
#[inline]
pub fn datagram(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner, piecewise: &mut Piecewise) {
    match cx.flow.phase {
        phase::DONE => {}
        phase::DNS => {
            take_dns(cx, payload, learner);
        }
        phase::MEDIA => take_media(cx, payload, learner, piecewise),
        phase::QUIC => {
            take_quic(cx, payload, learner, piecewise);
        }
        phase::OPENVPN => {
            if !piecewise.openvpn(cx, payload, learner) {
                cx.flow.phase = phase::DONE;
            }
        }
        phase::NTP => {
            take_ntp(cx, payload, learner);
        }
        phase::MESSAGES => {
            take_message(cx, payload, learner);
            tried_in_vain(cx.flow);
        }
        _ => probe(cx, payload, learner, piecewise),
    }
}

/// Whether the ports say DNS and the payload does not speak against it. Multicast DNS (RFC 6762) and LLMNR (RFC 4795)
/// have ports that any client may come to use: there the destination or the grammar must say so as well.
fn is_dns_by_port(packet: &Packet, payload: &[u8]) -> bool {
    let own_port = packet.has_port(53);
    if !own_port && !packet.has_port(5353) && !packet.has_port(5355) {
        return false;
    }
    if !dns::is_credible(payload, payload.len() < packet.payload_len as usize) {
        return false;
    }
    if own_port {
        return true;
    }
    let multicast = if packet.v6 { packet.dst.high64() >> 56 == 0xff } else { packet.dst.low32() >> 28 == 0xe };
    multicast || (packet.src_port, packet.dst_port) == (5353, 5353) || dns::is_plausible(payload)
}

/// Whether the first datagram of a flow keeps to the grammar of DNS, whatever its ports. NetBIOS names (RFC 1002)
/// do so too, and go by another port.
fn is_dns_elsewhere(cx: &Context<'_>, payload: &[u8]) -> bool {
    cx.flow.tries == 0 && !cx.packet.has_port(137) && dns::is_plausible(payload)
}

fn take_dns(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    let message = dns::parse(payload);
    message.map(|m| learner.learn(cx, Fact::Dns(m))).is_ok()
}

fn probe(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner, piecewise: &mut Piecewise) {
    // it goes by any port, DNS's as well, and few bytes tell that it is not
    if openvpn::is_opening(payload)
        && piecewise.has_room()
        && let Some(session) = Session::open(payload)
    {
        piecewise.hold(cx.flow, &mut learner.parts, Pieces::OpenVpn(Box::new(session)));
        cx.flow.phase = phase::OPENVPN;
        return;
    }
    if is_dns_by_port(cx.packet, payload) && take_dns(cx, payload, learner) {
        cx.flow.phase = phase::DNS;
        return;
    }
    if cx.packet.has_port(123) && take_ntp(cx, payload, learner) {
        cx.flow.phase = phase::NTP;
        return;
    }
    if cx.packet.src_port == portmap::PORT
        && let Some(address) = portmap::outside(payload)
    {
        learner.learn(cx, Fact::Outside(address));
        return tried_in_vain(cx.flow);
    }
    if cx.packet.has_port(137) && dns::is_netbios(payload) {
        cx.flow.phase = phase::DONE;
        learner.learn(cx, Fact::NetBiosName);
        return;
    }
    if take_stun(cx, payload, learner) || take_dtls(cx, payload, learner, piecewise) {
        cx.flow.phase = phase::MEDIA;
        return;
    }
    if is_dns_elsewhere(cx, payload) && take_dns(cx, payload, learner) {
        cx.flow.phase = phase::DNS;
        return;
    }
    if quic::may_be(payload) && take_quic(cx, payload, learner, piecewise) {
        return;
    }
    if take_message(cx, payload, learner) {
        cx.flow.phase = phase::MESSAGES;
        return;
    }
    if media::shows(cx, payload, learner) {
        cx.flow.phase = phase::MEDIA;
        return;
    }
    tried_in_vain(cx.flow);
}

fn take_ntp(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    ntp::parse(payload).map(|packet| learner.learn(cx, Fact::Ntp(packet))).is_some()
}

fn take_message(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    message::datagram(payload).map(|m| learner.learn(cx, Fact::Message(m))).is_some()
}

fn tried_in_vain(flow: &mut Flow) {
    flow.tries = flow.tries.saturating_add(1);
    if flow.tries >= MAX_TRIES {
        flow.phase = phase::DONE;
    }
}

fn take_quic(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner, piecewise: &mut Piecewise) -> bool {
    match piecewise.quic.inspect(cx, payload, learner) {
        Outcome::Reject => return false,
        Outcome::Done => cx.flow.phase = phase::DONE,
        Outcome::More => {
            cx.flow.phase = phase::QUIC;
            // where there was no room to keep the connection, a hello is still looked for, but not for long
            if learner.parts.get(cx.flow.learnt, Kind::Reading) == NONE {
                tried_in_vain(cx.flow);
            }
        }
    }
    true
}

/// One datagram of a flow of media.
fn take_media(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner, piecewise: &mut Piecewise) {
    match payload.first() {
        Some(0..=3) if take_stun(cx, payload, learner) => return,
        Some(20..=63) if learner.wants_dtls(cx.flow) && take_dtls(cx, payload, learner, piecewise) => return,
        _ => {}
    }
    if payload.first().is_some_and(|b| (64..=79).contains(b)) && learner.stun_of(cx.flow).is_some() {
        return learner.learn(cx, Fact::Carried(Carried::by_channel(payload)));
    }
    media::datagram(cx, payload, learner);
}

fn take_stun(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    if payload.first().is_none_or(|b| *b > 3) {
        return false;
    }
    let wire_len = cx.packet.payload_len as usize;
    let own_port = || cx.packet.has_port(3478) || cx.packet.has_port(3479);
    let classic = || stun::parse_classic(payload, wire_len).filter(|m| own_port() || m.is_telling());
    let message = stun::parse(payload, wire_len).or_else(classic);
    message.map(|m| learner.learn(cx, Fact::Stun(m))).is_some()
}

fn take_dtls(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner, piecewise: &mut Piecewise) -> bool {
    if !payload.first().is_some_and(|b| (20..=63).contains(b)) || !dtls::is_dtls(payload) {
        return false;
    }
    piecewise.dtls(cx, payload, learner);
    learner.count_dtls(cx);
    true
}
