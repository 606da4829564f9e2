//! Rules on roles: connections to the recorder, and the recorder's own to cameras and panels.

use super::super::facts::{TCP, is_literal};
use super::super::roles::{Contact, Role};
use super::super::rules::nanos;
use super::super::site::{is_one_site, is_public};
use super::super::verdict::{Tier, What};
use super::super::words::{Flag, Flags, Sub, Subs};
use super::Claim;
use super::case::Case;
use crate::event::Class;

/// The port of ConteraVMS's and ConteraMobile's video.
pub(super) const CONTERA_VIDEO: u16 = 8887;

/// RTSP by its grammar.
pub(super) fn rtsp<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let frame = case.facts.rtsp?;
    let what = What::Proof("RTSP message");
    let mut claim = Claim::new(Class::Camera, Tier::E2, case.know.rules.confidence.proof, what, Some(frame));
    claim.subs = Subs::of(Sub::Rtsp);
    Some(claim)
}

/// A claim by a role and a port.
fn role_claim<'a>(case: &Case<'a, '_>, class: Class, role: Role, inferred: f32, text: &'static str) -> Claim<'a> {
    let c = &case.know.rules.confidence;
    let f = case.facts;
    let confidence = if role == Role::RecorderGiven { c.role_given } else { inferred };
    let what = What::Port { proto: f.proto, port: f.resp.1, role: text };
    let mut claim = Claim::new(class, Tier::E6, confidence, what, Some(f.first_frame));
    claim.flags = Flags::NONE.with_if(role == Role::Recorder, Flag::RoleInferred);
    claim
}

/// A panel's events to the recorder.
pub(super) fn dmp<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let f = case.facts;
    let fits = f.proto == TCP && f.resp.1 == 2001 && case.resp_role.is_recorder() && case.on_site();
    fits.then(|| role_claim(case, Class::Dmp, case.resp_role, case.know.rules.confidence.role, "to the recorder"))
}

/// Whether a client comes over IPv6 from the recorder's own site: no router translates there, so the address from which
/// the site speaks to the cloud is the recorder's own, and its neighbours come to it by that one.
fn is_beside(case: &Case<'_, '_>) -> bool {
    let (orig, resp, roles) = (case.facts.orig.0, case.facts.resp.0, case.know.roles);
    let own = resp.is_ipv6() && is_public(resp) && roles.is_wan(resp) && !roles.site.wan.contains(&resp);
    own && (roles.site.inside(orig) || is_one_site(orig, resp))
}

/// Clients that come in from outside, or from inside by the site's public address.
pub(super) fn direct<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let (f, roles) = (case.facts, case.know.roles);
    let port = f.resp.1;
    let forwarded = matches!(port, 80 | 443 | CONTERA_VIDEO) || roles.site.direct_ports.contains(&port);
    if f.proto != TCP || !forwarded || case.facts.authority.is_some() || is_beside(case) {
        return None;
    }
    let inferred = case.know.rules.confidence.role;
    let contera = |claim: &mut Claim<'a>, sub: Sub| {
        claim.subs = Subs::of(sub).with_if(port == CONTERA_VIDEO, Sub::Contera8887);
    };
    let from_outside = is_public(f.orig.0) && !roles.site.inside(f.orig.0) && !roles.is_wan(f.orig.0);
    if from_outside && case.resp_role.is_recorder() {
        let mut claim = role_claim(case, Class::Direct, case.resp_role, inferred, "from outside to the recorder");
        contera(&mut claim, Sub::Inbound);
        return Some(claim);
    }
    // Contera's own port speaks for itself, a little, where no recorder is known.
    if from_outside && port == CONTERA_VIDEO && roles.site.inside(f.resp.0) {
        let mut claim = role_claim(case, Class::Direct, Role::None, inferred, "from outside to a local host");
        contera(&mut claim, Sub::Inbound);
        return Some(claim);
    }
    if roles.is_wan(f.resp.0) {
        let sub = if roles.site.inside(f.orig.0) { Sub::Hairpin } else { Sub::Inbound };
        let given = if roles.site.wan.contains(&f.resp.0) { Role::RecorderGiven } else { Role::None };
        let mut claim = role_claim(case, Class::Direct, given, inferred, "to the site's public address");
        contera(&mut claim, sub);
        return Some(claim);
    }
    // what a gateway makes of a connection to that address: the same, once more, from the gateway
    let window = nanos(case.know.rules.lsf.turn_seconds);
    if case.on_site() && case.resp_role.is_recorder() && !f.midstream && roles.turned(f.start, window) {
        let text = "to the recorder, right after a connection to the site's public address";
        let mut claim = role_claim(case, Class::Direct, case.resp_role, inferred, text);
        contera(&mut claim, Sub::Hairpin);
        return Some(claim);
    }
    None
}

/// A client of the site at the recorder: sent by the cloud, by itself, or nobody can tell.
pub(super) fn on_site<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let (f, know) = (case.facts, case.know);
    let port = f.resp.1;
    let redirect = know.roles.site.lsf_redirect_port == Some(port);
    let serves = matches!(port, 80 | 443 | CONTERA_VIDEO) || redirect || know.roles.site.direct_ports.contains(&port);
    let beside = is_beside(case);
    let role = if beside { Role::Recorder } else { case.resp_role };
    let fits = f.proto == TCP && serves && role.is_recorder() && !case.orig_role.is_recorder();
    if !fits || !(beside || case.on_site()) || f.authority.is_some() {
        return None;
    }
    let rules = &know.rules.lsf;
    // What came before a connection that was already there is not known.
    let contact = match f.midstream {
        true => Contact::Unseen,
        false => know.roles.contact(f.orig.0, f.start, nanos(rules.contact_seconds)),
    };
    let claim = match contact {
        Contact::Yes => {
            let text = "to the recorder, right after the client spoke to the cloud";
            let mut claim = role_claim(case, Class::Lsf, role, rules.inferred, text);
            claim.subs = Subs::of(if redirect || domain(case) { Sub::DomainRedirect } else { Sub::Ip });
            claim
        }
        Contact::No => {
            let text = "to the recorder; the client had no contact with the cloud before";
            role_claim(case, Class::LocalIp, role, rules.inferred, text)
        }
        Contact::Unseen => {
            let text = "to the recorder; whether the cloud sent the client cannot be seen";
            let mut claim = role_claim(case, Class::LocalDirect, role, rules.undecided, text);
            claim.confidence = claim.confidence.min(rules.undecided);
            claim
        }
    };
    Some(claim)
}

/// Whether the client asked for a domain name, as LSF's domain redirect makes it.
fn domain(case: &Case<'_, '_>) -> bool {
    case.facts.sni.is_some_and(|s| !is_literal(s.name))
}

/// What the recorder itself opens to local hosts, and RTSP's ports.
pub(super) fn camera<'a>(case: &Case<'a, '_>) -> Option<Claim<'a>> {
    let f = case.facts;
    let inferred = case.know.rules.confidence.role;
    if f.proto != TCP || f.authority.is_some() {
        return None;
    }
    let own = case.orig_role.is_recorder() && !case.resp_role.is_recorder() && case.on_site();
    let proxy = case.know.roles.site.proxies.iter().any(|p| p.ip() == f.resp.0);
    if matches!(f.resp.1, 554 | 8554) {
        let role = if own { case.orig_role } else { Role::None };
        let mut claim = role_claim(case, Class::Camera, role, inferred, "is RTSP's");
        claim.subs = Subs::of(Sub::Rtsp);
        return Some(claim);
    }
    let web = matches!(f.resp.1, 80 | 443 | 8000 | 8080 | 8443) && !proxy;
    (own && web).then(|| {
        let mut claim = role_claim(case, Class::Camera, case.orig_role, inferred, "from the recorder to a local host");
        claim.confidence = claim.confidence.min(inferred);
        claim
    })
}
