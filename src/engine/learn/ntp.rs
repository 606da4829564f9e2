//! What NTP tells: whether servers answer, and how far clocks are apart.
//!
//! A capture shows three of the four stamps of an exchange (RFC 5905 §8): T1 and T3 as client and server sent them, T2
//! as the server received it. The fourth, the reply's arrival by the client's clock, is put at T1 and the time that
//! passed here between request and reply. So `delay` is the way from here to the server and back, and `offset`, the
//! server's clock against the client's, is out by half of it at most, and by the way from the client to here.

use super::{Context, Kind, Learner, Ntp, part};
use crate::inspect::ntp::{Packet, moment};
use crate::time::Timestamp;

impl Learner {
    pub(super) fn ntp(&mut self, cx: &mut Context<'_>, packet: &Packet) {
        let (frame, at) = (cx.packet.frame, cx.packet.ts);
        let make = || Ntp { frame, ..Ntp::default() };
        let (Some(known), _) = part(&mut self.parts, &mut cx.flow.learnt, Kind::Ntp, &mut self.ntp, make) else {
            return;
        };
        if packet.is_request() {
            known.requests = known.requests.saturating_add(1);
            known.asked = Some((packet.transmit, at));
            known.client_ahead = packet.sent().map(|sent| sent.ahead_of(at)).or(known.client_ahead);
        } else if !packet.is_control() {
            known.replies = known.replies.saturating_add(u32::from(packet.is_reply()));
            known.server = Some((packet.stratum, packet.leap));
            if packet.stratum == 0 {
                // a kiss-o'-death, whose stamps are not to be read (RFC 5905 §7.4)
                known.kiss = packet.kiss().map(Into::into).or(known.kiss.take());
                return;
            }
            known.server_ahead = packet.sent().map(|sent| sent.ahead_of(at)).or(known.server_ahead);
            exchanged(known, packet, at);
        }
    }
}

/// Takes a reply that came at `at` together with the request whose stamp it repeats; any other is not to it (RFC 5905
/// §8).
fn exchanged(known: &mut Ntp, reply: &Packet, at: Timestamp) {
    let Some((stamp, asked)) = known.asked.filter(|(stamp, _)| *stamp != 0 && *stamp == reply.origin) else { return };
    known.asked = None;
    let (Some(received), Some(sent)) = (moment(reply.receive), reply.sent()) else { return };
    let there_and_back = at.ahead_of(asked);
    known.delay = Some(there_and_back.saturating_sub(sent.ahead_of(received)));
    // a client whose own stamp says nothing has no offset either
    if known.client_ahead.is_some()
        && let Some(left) = moment(stamp)
    {
        let back = sent.ahead_of(left).saturating_sub(there_and_back);
        known.offset = Some(received.ahead_of(left).midpoint(back));
    }
}
