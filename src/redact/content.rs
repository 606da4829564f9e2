//! Content of packets with pseudonyms in it: DNS, STUN, the names in TLS and HTTP. Lengths stay; what is not understood
//! is taken out.

use crc::{CRC_32_ISO_HDLC, Crc};

use super::Redactor;
use crate::carve::payload::Form;
use crate::decode::{Packet, proto};
use crate::wire::Reader;

const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// How many labels and how many pointers of one name are followed.
const LABELS: usize = 128;
/// What makes a fingerprint of STUN out of a checksum (RFC 8489 §14.7).
const FINGERPRINT: u32 = 0x5354_554e;

impl Redactor {
    /// Replaces what a payload names. It has been stripped before.
    pub(super) fn content(&self, payload: &mut [u8], packet: &Packet) {
        if packet.fragment.is_some() {
            return payload.fill(0);
        }
        match Form::of(packet, payload) {
            Form::Dns if packet.proto == proto::UDP => self.dns(payload),
            Form::Dns => self.dns(payload.get_mut(2..).unwrap_or_default()),
            Form::Stun => self.stun(payload),
            Form::Tls => self.tls_records(payload),
            Form::Http => self.http_head(payload),
            // the reference of a time server is an address, as often as not
            Form::Ntp => payload.iter_mut().skip(12).take(4).for_each(|byte| *byte = 0),
            Form::Other if matches!(packet.proto, proto::ICMP | proto::ICMP6) => {}
            Form::Other => payload.fill(0),
        }
    }

    /// A message of DNS (RFC 1035 §4).
    fn dns(&self, message: &mut [u8]) {
        let whole = message.to_vec();
        let end = self.dns_sections(&whole, message).unwrap_or_default();
        if let Some(rest) = message.get_mut(end..) {
            rest.fill(0);
        }
    }

    /// Replaces names and addresses; gives where it stopped understanding.
    fn dns_sections(&self, whole: &[u8], message: &mut [u8]) -> Option<usize> {
        let mut r = Reader::new(whole.get(4..)?);
        let counts = [r.u16().ok()?, r.u16().ok()?, r.u16().ok()?, r.u16().ok()?];
        let [questions, records @ ..] = counts;
        let mut at = 12usize;
        for _ in 0..questions {
            let Some(behind) = self.dns_name(whole, message, at) else { return Some(at) };
            at = behind.saturating_add(4);
        }
        for _ in 0..records.iter().map(|n| u32::from(*n)).sum::<u32>() {
            let Some(behind) = self.dns_record(whole, message, at) else { return Some(at) };
            at = behind;
        }
        Some(at.min(whole.len()))
    }

    fn dns_record(&self, whole: &[u8], message: &mut [u8], at: usize) -> Option<usize> {
        let fields = self.dns_name(whole, message, at)?;
        let mut r = Reader::new(whole.get(fields..)?);
        let (kind, _class, _ttl, length) = (r.u16().ok()?, r.u16().ok()?, r.u32().ok()?, r.u16().ok()?);
        let data = fields.saturating_add(10);
        let end = data.saturating_add(usize::from(length));
        whole.get(data..end)?;
        let told = match kind {
            1 | 28 => {
                self.put_ip(message.get_mut(data..end)?);
                end
            }
            2 | 5 | 12 | 39 => self.dns_name(whole, message, data)?,
            15 => self.dns_name(whole, message, data.saturating_add(2))?,
            33 => self.dns_name(whole, message, data.saturating_add(6))?,
            6 => {
                let second = self.dns_name(whole, message, data)?;
                self.dns_name(whole, message, second)?;
                end
            }
            _ => data,
        };
        if let Some(rest) = message.get_mut(told.min(end)..end) {
            rest.fill(0);
        }
        Some(end)
    }

    /// Replaces the labels of a name, wherever they stand; gives where it ends.
    fn dns_name(&self, whole: &[u8], message: &mut [u8], begin: usize) -> Option<usize> {
        let (mut at, mut behind, mut labels) = (begin, None, Vec::new());
        for _ in 0..LABELS {
            let length = usize::from(*whole.get(at)?);
            match length {
                0 => {
                    self.put_labels(whole, message, &labels);
                    return Some(behind.unwrap_or_else(|| at.saturating_add(1)));
                }
                1..=63 => {
                    let from = at.saturating_add(1);
                    let to = from.saturating_add(length);
                    whole.get(from..to)?;
                    labels.push(from..to);
                    at = to;
                }
                192.. => {
                    let low = usize::from(*whole.get(at.saturating_add(1))?);
                    behind = behind.or(Some(at.saturating_add(2)));
                    at = (length & 63) << 8 | low;
                }
                _ => return None,
            }
        }
        None
    }

    fn put_labels(&self, whole: &[u8], message: &mut [u8], places: &[std::ops::Range<usize>]) {
        if !self.what.names {
            return;
        }
        let labels: Vec<&[u8]> = places.iter().filter_map(|place| whole.get(place.clone())).collect();
        for (place, told) in places.iter().zip(self.names.labels(&labels)) {
            if let Some(to) = message.get_mut(place.clone()).filter(|to| to.len() == told.len()) {
                to.copy_from_slice(&told);
            }
        }
    }

    /// A message of STUN (RFC 8489 §5): addresses are replaced, and values that may name somebody taken out.
    fn stun(&self, message: &mut [u8]) {
        let whole = message.to_vec();
        let transaction = whole.get(4..20).unwrap_or_default().to_vec();
        let mut at = 20usize;
        while let Some(&[a, b, high, low]) =
            whole.get(at..at.saturating_add(4)).and_then(|head| head.first_chunk::<4>())
        {
            let kind = u16::from_be_bytes([a, b]);
            let from = at.saturating_add(4);
            let length = usize::from(u16::from_be_bytes([high, low]));
            let to = from.saturating_add(length).min(whole.len());
            let before = message.get(..at).unwrap_or_default().to_vec();
            let Some(value) = message.get_mut(from..to) else { break };
            match kind {
                // addresses as they are
                0x0001 | 0x8023 | 0x802b | 0x802c => self.stun_address(value, &[0; 16]),
                // addresses under the cookie and the transaction
                0x0012 | 0x0016 | 0x0020 => self.stun_address(value, &transaction),
                // ERROR-CODE, CHANNEL-NUMBER, LIFETIME, REQUESTED-TRANSPORT, PRIORITY, USE-CANDIDATE, ICE roles,
                // CHANGE-REQUEST
                0x0003 | 0x000c | 0x000d | 0x0019 | 0x0024 | 0x0025 | 0x8029 | 0x802a => {}
                0x0009 => value.iter_mut().skip(4).for_each(|byte| *byte = 0),
                0x8028 => {
                    let crc = CRC32.checksum(&before) ^ FINGERPRINT;
                    if value.len() == 4 {
                        value.copy_from_slice(&crc.to_be_bytes());
                    }
                }
                _ => value.fill(0),
            }
            at = from.saturating_add(length.next_multiple_of(4));
        }
    }

    /// A value that holds an address: one byte, the family, the port, the address, all but the first two under `mask`.
    fn stun_address(&self, value: &mut [u8], mask: &[u8]) {
        let Some(address) = value.get_mut(4..) else { return };
        let unmask = |address: &mut [u8]| address.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        unmask(address);
        self.put_ip(address);
        unmask(address);
    }

    /// Records of TLS (RFC 8446 §5.1, §4): of handshakes the hellos stay, with the client's name replaced.
    fn tls_records(&self, payload: &mut [u8]) {
        let mut at = 0usize;
        while let Some(&[kind, 3, _, high, low]) =
            payload.get(at..at.saturating_add(5)).and_then(|head| head.first_chunk::<5>())
        {
            let from = at.saturating_add(5);
            let end = from.saturating_add(usize::from(u16::from_be_bytes([high, low])));
            let to = end.min(payload.len());
            let Some(body) = payload.get_mut(from..to) else { return };
            if kind == 22 {
                self.handshake(body);
            }
            at = end;
        }
        if let Some(rest) = payload.get_mut(at..) {
            rest.fill(0);
        }
    }

    fn handshake(&self, body: &mut [u8]) {
        if !self.what.names {
            return;
        }
        match body.first() {
            Some(1) => {
                let told = sni(body);
                match told {
                    Some(place) => {
                        let name: Vec<u8> = body.get(place.clone()).unwrap_or_default().to_vec();
                        let told = self.name(&String::from_utf8_lossy(&name));
                        if let Some(to) = body.get_mut(place).filter(|to| to.len() == told.len()) {
                            to.copy_from_slice(told.as_bytes());
                        } else {
                            body.iter_mut().skip(4).for_each(|byte| *byte = 0);
                        }
                    }
                    None => body.iter_mut().skip(4).for_each(|byte| *byte = 0),
                }
            }
            Some(2) => {
                // what follows the hello in one record may be a certificate
                let length = Reader::new(body.get(1..).unwrap_or_default()).u24().map_or(0, |n| n as usize);
                body.iter_mut().skip(length.saturating_add(4)).for_each(|byte| *byte = 0);
            }
            _ => body.iter_mut().skip(4).for_each(|byte| *byte = 0),
        }
    }

    /// A head of HTTP: the method or the status, the host with its name replaced, what frames the message.
    fn http_head(&self, payload: &mut [u8]) {
        if !self.what.names && !self.what.ips {
            return;
        }
        let whole = payload.to_vec();
        let mut at = 0usize;
        for (n, line) in whole.split_inclusive(|b| *b == b'\n').enumerate() {
            let Some(place) = payload.get_mut(at..at.saturating_add(line.len())) else { return };
            at = at.saturating_add(line.len());
            if n == 0 {
                first_line(place);
            } else {
                self.header(place);
            }
        }
    }

    fn header(&self, line: &mut [u8]) {
        let Some(colon) = line.iter().position(|b| *b == b':') else { return };
        let text = String::from_utf8_lossy(line).into_owned();
        let Some((name, value)) = text.split_once(':') else { return };
        let told = match name.to_ascii_lowercase().as_str() {
            "content-type" | "content-length" | "transfer-encoding" | "connection" | "proxy-connection" | "expect" => {
                return;
            }
            "host" => self.host(value.trim()),
            _ => String::new(),
        };
        let room = value.trim_end_matches(['\r', '\n']).len();
        let Some(place) = line.get_mut(colon.saturating_add(1)..).and_then(|rest| rest.get_mut(..room)) else { return };
        let mut written = format!(" {told}").into_bytes();
        // an address may have become longer or shorter, and the line may not
        written.resize(place.len(), b' ');
        place.copy_from_slice(&written);
    }
}

/// Of a request's first line the target goes, of a response's the words behind the status.
fn first_line(line: &mut [u8]) {
    let text = line.to_vec();
    let response = text.starts_with(b"HTTP/");
    let Some(first) = text.iter().position(|b| *b == b' ') else { return };
    let ending = text.iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let end = text.len().saturating_sub(ending);
    let (from, to) = if response {
        (first.saturating_add(4), end)
    } else {
        // where a query was taken out, the version behind it went with it
        let last = text.iter().rposition(|b| *b == b' ').filter(|last| *last > first).unwrap_or(end);
        (first.saturating_add(1), last)
    };
    if let Some(place) = line.get_mut(from..to) {
        place.fill(b'-');
        // a target begins with a slash
        if !response && let Some(begin) = place.first_mut() {
            *begin = b'/';
        }
    }
}

/// Where the name stands in a ClientHello (RFC 6066 §3); `None` where the hello is not whole.
fn sni(hello: &[u8]) -> Option<std::ops::Range<usize>> {
    let at = |r: &Reader<'_>| hello.len().checked_sub(r.left());
    let mut r = Reader::new(hello);
    r.skip(4).ok()?;
    r.skip(34).ok()?;
    r.vec8().ok()?;
    r.vec16().ok()?;
    r.vec8().ok()?;
    let length = usize::from(r.u16().ok()?);
    if r.left() < length {
        return None;
    }
    let mut found = 0..0;
    while r.left() >= 4 {
        let kind = r.u16().ok()?;
        let length = usize::from(r.u16().ok()?);
        let begin = at(&r)?;
        r.skip(length).ok()?;
        if kind == 0 && length >= 5 {
            found = begin.saturating_add(5)..begin.saturating_add(length);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_request_no_target_stays() {
        for (line, told) in [
            ("GET http://a1b2.x.example/view/1 HTTP/1.1\r\n", "GET /--------------------------- HTTP/1.1\r\n"),
            // as stripping leaves it
            ("GET http://a1b2.x.example/view?\0\0\0\0\r\n", "GET /------------------------------\r\n"),
            ("CONNECT a1b2.x.example:443 HTTP/1.1\r\n", "CONNECT /----------------- HTTP/1.1\r\n"),
            ("HTTP/1.1 403 a1b2.x.example\r\n", "HTTP/1.1 403---------------\r\n"),
            ("GET\r\n", "GET\r\n"),
        ] {
            let mut bytes = line.as_bytes().to_vec();
            first_line(&mut bytes);
            assert_eq!(String::from_utf8_lossy(&bytes), told);
        }
    }
}
