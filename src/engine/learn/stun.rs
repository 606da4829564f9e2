//! What STUN tells.

use super::{Context, Kind, Learner, part};
use crate::engine::learnt::{Mapped, Stun};
use crate::event::MethodCounts;
use crate::inspect::stun;

/// How many mapped addresses, and methods, one flow keeps.
const MAX_STUN: usize = 16;

impl Learner {
    pub(super) fn stun(&mut self, cx: &mut Context<'_>, message: &stun::Message<'_>) {
        let details = message.details();
        let (frame, side) = (cx.packet.frame, usize::from(cx.second));
        let Learner { parts, stun, strings, records, counts, .. } = self;
        let make = || Stun { frame, ..Stun::default() };
        let (Some(known), fresh) = part(parts, &mut cx.flow.learnt, Kind::Stun, stun, make) else { return };
        counts.stun_flows = counts.stun_flows.wrapping_add(u64::from(fresh));
        known.ice |= details.is_ice();
        known.turn |= matches!(message.method(), 0x003..=0x00b);
        if *records {
            let detail = known.detail.get_or_insert_default();
            detail.username = detail.username.or_else(|| details.username.map(|n| strings.keep_bytes(n)));
            detail.software = detail.software.or_else(|| details.software.map(|n| strings.keep_bytes(n)));
            count_method(&mut detail.methods, message);
        }
        let tally = match message.class() {
            stun::Class::Request => known.requests.get_mut(side),
            stun::Class::Success => known.success.get_mut(side),
            _ => None,
        };
        if let Some(tally) = tally {
            *tally = tally.saturating_add(1);
        }
        for mapped in message.mapped() {
            let told = Mapped::new(mapped, 1u8.wrapping_sub(u8::from(cx.second)));
            if known.mapped.len() < MAX_STUN && !known.mapped.contains(&told) {
                known.mapped.push(told);
            }
        }
    }
}

/// Counts a STUN message under its method.
fn count_method(methods: &mut Vec<(u16, MethodCounts)>, message: &stun::Message<'_>) {
    let method = message.method();
    if methods.iter().all(|(m, _)| *m != method) && methods.len() < MAX_STUN {
        methods.push((method, MethodCounts::default()));
    }
    let Some((_, counts)) = methods.iter_mut().find(|(m, _)| *m == method) else { return };
    let count = match message.class() {
        stun::Class::Request | stun::Class::Indication => &mut counts.requests,
        stun::Class::Success => &mut counts.success,
        stun::Class::Error => &mut counts.error,
    };
    *count = count.saturating_add(1);
}
