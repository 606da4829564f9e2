//! What stands around a connection's own bytes: who is asked to pass it on, and who passes it on.

use super::{Context, Kind, Learner, NameAt, part};
use crate::inspect::{haproxy, socks};

impl Learner {
    pub(super) fn socks(&mut self, cx: &mut Context<'_>, request: &socks::Request<'_>) {
        cx.came_from_originator();
        let name = match request.host {
            socks::Host::Name(name) => self.strings.keep_bytes(name),
            socks::Host::Address(ip) => self.strings.keep(&ip.to_string()),
        };
        let frame = cx.packet.frame;
        let Some(http) = self.http_for(cx.flow) else { return };
        if http.authority.is_none() {
            http.authority = Some((NameAt { name, frame }, request.port));
            self.carried.push((cx.number, name));
        }
    }

    pub(super) fn proxied(&mut self, cx: &mut Context<'_>, header: &haproxy::Header) {
        cx.came_from_originator();
        if let Some(ends) = header.ends {
            part(&mut self.parts, &mut cx.flow.learnt, Kind::Proxied, &mut self.proxied, || ends);
        }
    }
}
