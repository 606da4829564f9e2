//! What the options of a SYN offer (RFC 9293 §3.2, RFC 7323 §2.2).

use crate::wire::Reader;

/// What they offer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offer {
    /// The maximum segment size.
    pub mss: Option<u16>,
    /// The window scale, 14 at the most.
    pub scale: Option<u8>,
}

impl Offer {
    /// Of these options, as far as they can be read; the last of a kind counts.
    pub fn of(options: &[u8]) -> Offer {
        let (mut offer, mut r) = (Offer::default(), Reader::new(options));
        while let Ok(kind) = r.u8() {
            match kind {
                0 => break,
                1 => continue,
                _ => {}
            }
            let Some(mut body) = r.u8().ok().and_then(|len| r.sub(usize::from(len).saturating_sub(2)).ok()) else {
                break;
            };
            match kind {
                2 => offer.mss = Some(body.u16().unwrap_or(0)),
                3 => offer.scale = body.u8().ok().map(|scale| scale.min(14)).or(offer.scale),
                _ => {}
            }
        }
        offer
    }
}
