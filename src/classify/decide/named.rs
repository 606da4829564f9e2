//! Rules on names: storage, control services, updates, relay.

use super::super::facts::{TCP, UDP};
use super::super::roles::Role;
use super::super::rules::Relay;
use super::super::verdict::{Tier, What};
use super::super::words::{Flag, Flags, Sub, Subs};
use super::Claim;
use super::case::{Case, Opinion};
use crate::event::Class;
use crate::time::SECOND;

/// The class of the strongest name; a carried name of no entry leaves no say to learnt ones.
pub(super) fn named<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let opinion = *case.lead()?;
    let class = opinion.class()?;
    let mut claim = Claim::new(class, opinion.tier, opinion.confidence, opinion.what, opinion.frame);
    claim.subs = opinion.host.subs;
    claim.named = Some(opinion);
    claim.confidence = claim.confidence.min(opinion.host.cap);
    match class {
        Class::Relay => claim.subs = relay_subs(case),
        Class::VendorOther => one_label(case, &opinion, &mut claim),
        Class::S3 if opinion.host.subs.has(Sub::UnknownBucket) => path_style(case, &mut claim),
        Class::Dns => {
            claim.subs = Subs::of(match (case.facts.proto, case.port) {
                (UDP, 853) => Sub::Doq,
                (_, 853) => Sub::Dot,
                _ => Sub::Doh,
            });
            claim.flags = claim.flags.with(Flag::EncryptedDns);
        }
        _ => {}
    }
    Some(claim)
}

/// One label under the relay's domain: a relay where the product's document says so, or where it speaks like one.
fn one_label(case: &Case<'_, '_>, opinion: &Opinion<'_>, claim: &mut Claim<'_>) {
    let know = case.know;
    let may_be = opinion.host.entry(know.catalogue).and_then(|e| e.may_be) == Some(Class::Relay);
    let documented = know.catalogue.class_for(opinion.host, know.roles.site.product) == Some(Class::Relay);
    let confidence = match (case.facts.message_http, documented) {
        (Some(_), _) => know.rules.relay.one_label_message_http,
        (None, true) => know.rules.relay.one_label,
        (None, false) => return,
    };
    if may_be {
        claim.class = Class::Relay;
        claim.confidence = claim.confidence.min(confidence);
        claim.subs = relay_subs(case);
    }
}

/// A storage name that hides the bucket: the vendor's where a known recorder alone uses such names.
fn path_style(case: &Case<'_, '_>, claim: &mut Claim<'_>) {
    let rules = &case.know.rules.s3;
    let client = case.facts.orig.0;
    let vendor = case.orig_role.is_recorder() && case.know.roles.only_path_style_user(client);
    claim.subs = claim.subs.with_if(vendor, Sub::Vendor);
    let cap = if vendor { rules.path_style_recorder } else { rules.path_style };
    claim.confidence = claim.confidence.min(cap);
}

/// Rules that need no name: `message/http`, and WSUS's port.
pub(super) fn nameless<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let (f, rules) = (case.facts, case.know.rules);
    if let Some(frame) = f.message_http {
        let what = What::Proof("content type message/http");
        let mut claim = Claim::new(Class::Relay, Tier::E2, rules.relay.message_http_alone, what, Some(frame));
        claim.subs = relay_subs(case);
        return Some(claim);
    }
    let wsus = f.proto == TCP && case.port == 8531 && case.orig_role.is_recorder() && case.lead().is_none();
    if wsus {
        let what = What::Port { proto: f.proto, port: case.port, role: "from the recorder" };
        let mut claim = Claim::new(Class::Update, Tier::E6, rules.update.wsus_port, what, Some(f.first_frame));
        claim.subs = Subs::of(Sub::Wsus);
        claim.flags = Flags::NONE.with_if(case.orig_role == Role::Recorder, Flag::RoleInferred);
        return Some(claim);
    }
    None
}

/// What a relay flow carries, by its rates.
pub(super) fn relay_subs(case: &Case<'_, '_>) -> Subs {
    let (f, rules) = (case.facts, &case.know.rules.relay);
    let [up, down] = f.rates.video_windows;
    let [burst, _] = f.rates.bursts;
    let subs = Subs::NONE
        .with_if(up > 0, Sub::VideoUp)
        .with_if(down > 0, Sub::VideoDown)
        .with_if(up == 0 && burst > 0, Sub::UploadBurst);
    if subs.is_empty() { quiet_sub(f.payload, f.end.since(f.start), rules) } else { subs }
}

/// A relay flow without video or bursts: idle, or metadata.
fn quiet_sub(payload: [u64; 2], nanos: u64, rules: &Relay) -> Subs {
    let [up, down] = payload;
    let seconds = (nanos as f32 / SECOND as f32).max(1.0);
    let rate = up.max(down) as f32 * 8.0 / seconds;
    if up.max(down) == 0 {
        Subs::NONE
    } else if rate >= rules.idle_bps && rate < rules.video_bps {
        Subs::of(Sub::Metadata)
    } else if rate < rules.idle_bps && seconds >= rules.idle_seconds {
        Subs::of(Sub::Idle)
    } else {
        Subs::NONE
    }
}
