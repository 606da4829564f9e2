//! What a router says of its own outside address: replies of NAT-PMP (RFC 6886 §3.2, §3.3) and PCP (RFC 6887 §7.2,
//! §11.1).
//!
//! Read are successful replies that tell an address: NAT-PMP's opcode 128, PCP's MAP. Refused: requests, other versions
//! and opcodes, results but success, a PCP mapping that was deleted (its lifetime is 0), the address of all zeros, and
//! what is cut. Options behind a PCP reply are not looked at. One reply costs a few comparisons; nothing is kept here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::Reader;

/// The port on which routers are asked, and from which they answer (RFC 6886 §3.1, RFC 6887 §19.1).
pub const PORT: u16 = 5351;

/// Set in the opcode of a reply.
const REPLY: u8 = 0x80;
/// PCP's opcode for a mapping.
const MAP: u8 = 1;
/// Bytes of a PCP reply to a MAP between its lifetime and the address: epoch (4) and what is reserved (12), which end
/// the header; nonce (12), protocol (1), what is reserved (3), both ports (4).
const BEFORE_ADDRESS: usize = 36;

/// The outside address that a reply tells; `None` where the datagram is none or tells none.
pub fn outside(datagram: &[u8]) -> Option<IpAddr> {
    let mut r = Reader::new(datagram);
    let (version, opcode) = (r.u8().ok()?, r.u8().ok()?);
    let address = match (version, opcode) {
        (0, REPLY) => {
            let success = r.u16().ok()? == 0;
            let _seconds = r.u32().ok()?;
            IpAddr::V4(Ipv4Addr::from(success.then_some(r.u32().ok()?)?))
        }
        (2, opcode) if opcode == REPLY | MAP => {
            let (_, result) = (r.u8().ok()?, r.u8().ok()?);
            let lifetime = r.u32().ok()?;
            r.skip(BEFORE_ADDRESS).ok()?;
            let told = *r.array::<16>().ok()?;
            (result == 0 && lifetime > 0).then_some(IpAddr::V6(Ipv6Addr::from(told)).to_canonical())?
        }
        _ => return None,
    };
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply of NAT-PMP as RFC 6886 §3.2 draws it.
    fn pmp(result: u8, address: [u8; 4]) -> Vec<u8> {
        [&[0, 128, 0, result, 0, 0, 1, 0][..], &address].concat()
    }

    /// A MAP reply of PCP as RFC 6887 §7.2 and §11.1 draw it.
    fn pcp(result: u8, lifetime: u32, address: Ipv6Addr) -> Vec<u8> {
        let header = [&[2, 0x81, 0, result][..], &lifetime.to_be_bytes(), &[0, 0, 1, 0], &[0; 12]].concat();
        let before = [&[7; 12][..], &[6, 0, 0, 0], &443u16.to_be_bytes(), &443u16.to_be_bytes()].concat();
        [header, before, address.octets().to_vec()].concat()
    }

    #[test]
    fn replies_tell_the_outside_address() {
        let shared: IpAddr = "100.64.3.4".parse().unwrap();
        assert_eq!(outside(&pmp(0, [100, 64, 3, 4])), Some(shared));
        assert_eq!(outside(&pcp(0, 7200, "::ffff:100.64.3.4".parse().unwrap())), Some(shared));
        assert_eq!(outside(&pcp(0, 7200, "2001:db8::7".parse().unwrap())), Some("2001:db8::7".parse().unwrap()));
    }

    #[test]
    fn what_tells_none_is_refused() {
        assert_eq!(outside(&pmp(3, [100, 64, 3, 4])), None, "network failure");
        assert_eq!(outside(&pmp(0, [0; 4])), None);
        assert_eq!(outside(&[0, 0]), None, "a request");
        let address = "::ffff:203.0.113.7".parse().unwrap();
        assert_eq!(outside(&pcp(2, 7200, address)), None, "not authorised");
        assert_eq!(outside(&pcp(0, 0, address)), None, "deleted");
        for whole in [pmp(0, [100, 64, 3, 4]), pcp(0, 7200, address)] {
            assert!((0..whole.len()).all(|cut| outside(&whole[..cut]).is_none()));
        }
    }
}
