//! Frames with pseudonyms in their headers, and of their content only what is understood.
//!
//! A frame is rebuilt from its innermost packet: tunnels and headers of links other than Ethernet are left out, since
//! they hold addresses of their own. What is neither IP nor ARP is left out altogether.

use super::Redactor;
use crate::carve::header::{Places, places, set_checksums};
use crate::carve::strip::{quoted, strip_packet};
use crate::decode::{Packet, decode, proto};
use crate::source::{Frame, LinkType};

const ETHERNET: LinkType = LinkType(1);
const HEAD: usize = 14;

impl Redactor {
    /// The frame as it may be shown, with its link type. `None`: it may not.
    pub fn frame(&self, frame: &Frame<'_>) -> Option<(LinkType, Vec<u8>)> {
        let mut packet = Packet { ts: frame.ts, len: frame.len, frames: 1, ..Packet::default() };
        if decode(frame.link.0, frame.bytes, &mut packet).is_err() {
            return self.arp(frame).map(|bytes| (ETHERNET, bytes));
        }
        let at = places(frame.bytes, &packet)?;
        let bytes = self.packet(frame.bytes, &packet, &at)?;
        let mut told = self.link_head(frame, &packet, &bytes, at.ip);
        told.extend_from_slice(bytes.get(at.ip..at.end)?);
        Some((ETHERNET, told))
    }

    /// The bytes that a packet was decoded from, with pseudonyms in them.
    fn packet(&self, bytes: &[u8], packet: &Packet, at: &Places) -> Option<Vec<u8>> {
        let mut told = strip_packet(bytes, packet, at);
        self.content(told.get_mut(at.payload..at.end)?, packet);
        if matches!(packet.proto, proto::ICMP | proto::ICMP6) {
            let quote = self.quote(packet, bytes.get(at.payload..at.end)?);
            let place = told.get_mut(at.payload..at.end)?;
            place.fill(0);
            place.iter_mut().zip(quote.unwrap_or_default()).for_each(|(to, from)| *to = from);
        }
        self.addresses(&mut told, packet, at);
        set_checksums(&mut told, packet, at);
        Some(told)
    }

    /// What an ICMP error quotes, with pseudonyms in it.
    fn quote(&self, packet: &Packet, payload: &[u8]) -> Option<Vec<u8>> {
        let quoted = quoted(packet, payload)?;
        // what claims to be an error about an error is not followed further
        let followed = !matches!(quoted.proto, proto::ICMP | proto::ICMP6);
        let at = places(payload, &quoted).filter(|_| followed)?;
        let mut told = self.packet(payload, &quoted, &at)?;
        told.truncate(at.end);
        Some(told)
    }

    /// The header before the packet: that of Ethernet with its tags, or one without addresses.
    fn link_head(&self, frame: &Frame<'_>, packet: &Packet, bytes: &[u8], ip: usize) -> Vec<u8> {
        let plain = frame.link == ETHERNET && packet.tunnels.is_empty() && ip >= HEAD;
        if !plain {
            let ethertype: [u8; 2] = if packet.v6 { [0x86, 0xdd] } else { [8, 0] };
            return [&[0; 12][..], &ethertype].concat();
        }
        let mut head = bytes.get(..ip).unwrap_or_default().to_vec();
        for at in [0usize, 6] {
            self.put_mac(&mut head, at);
        }
        head
    }

    fn put_mac(&self, bytes: &mut [u8], at: usize) {
        if let Some(place) = bytes.get_mut(at..at.saturating_add(6))
            && let Ok(mac) = <[u8; 6]>::try_from(&*place)
        {
            place.copy_from_slice(&self.mac(mac));
        }
    }

    /// Replaces the addresses of the IP header, and takes out what stands between it and the transport.
    fn addresses(&self, bytes: &mut [u8], packet: &Packet, at: &Places) {
        let [src, dst] = [packet.src, packet.dst].map(|addr| self.ip(addr.ip(packet.v6)));
        let octets = |ip: std::net::IpAddr| match ip {
            std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
            std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let both = [octets(src), octets(dst)].concat();
        let from = at.ip.saturating_add(if packet.v6 { 8 } else { 12 });
        if let Some(place) = bytes.get_mut(from..from.saturating_add(both.len())) {
            place.copy_from_slice(&both);
        }
        if !packet.v6 {
            // options: routes that were taken, among others; 1 is an option that does nothing
            let from = at.ip.saturating_add(20);
            if let Some(place) = bytes.get_mut(from..at.transport.max(from)) {
                place.fill(1);
            }
        }
    }

    /// Replaces an address of four or sixteen bytes.
    pub(super) fn put_ip(&self, place: &mut [u8]) {
        if let Ok(octets) = <[u8; 4]>::try_from(&*place) {
            if let std::net::IpAddr::V4(ip) = self.ip(octets.into()) {
                place.copy_from_slice(&ip.octets());
            }
        } else if let Ok(octets) = <[u8; 16]>::try_from(&*place)
            && let std::net::IpAddr::V6(ip) = self.ip(octets.into())
        {
            place.copy_from_slice(&ip.octets());
        }
    }

    /// ARP for IPv4 on Ethernet (RFC 826), with its tags; `None` of anything else.
    fn arp(&self, frame: &Frame<'_>) -> Option<Vec<u8>> {
        if frame.link != ETHERNET {
            return None;
        }
        let mut at = 12usize;
        while matches!(frame.bytes.get(at..at.saturating_add(2))?, [0x81, 0] | [0x88, 0xa8] | [0x91, 0]) {
            at = at.saturating_add(4);
        }
        let body = at.saturating_add(2);
        let [8, 6, 0, 1, 8, 0, 6, 4] = frame.bytes.get(at..body.saturating_add(6))? else { return None };
        let end = body.saturating_add(28);
        let mut bytes = frame.bytes.get(..end)?.to_vec();
        for place in [0, 6, body.saturating_add(8), body.saturating_add(18)] {
            self.put_mac(&mut bytes, place);
        }
        for place in [body.saturating_add(14), body.saturating_add(24)] {
            self.put_ip(bytes.get_mut(place..place.saturating_add(4))?);
        }
        Some(bytes)
    }
}
