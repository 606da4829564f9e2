//! The privacy mask: addresses and names as stand-ins, the same for the same, so that a screen may be shown around.
//!
//! Hosts of the vendor stay readable, but for the labels under its own. A stand-in cannot be turned back by who does
//! not know the salt; two things may share one, if rarely.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, SocketAddr};

use crate::text::safe::safe_name;

/// Masks what it is shown, while it is on.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Whether it masks.
    pub on: bool,
    salt: RandomState,
    /// What may be read: domains.
    readable: Vec<String>,
    /// Files that were written here, which nobody finds by a stand-in.
    written: Vec<String>,
}

impl Mask {
    /// What may be read: patterns such as `*.u5fgb.com`.
    pub fn allow<'a>(&mut self, patterns: impl Iterator<Item = &'a str>) {
        self.readable.clear();
        self.readable.extend(patterns.map(|p| p.rsplit('*').next().unwrap_or(p).trim_start_matches('.').to_owned()));
        self.readable.retain(|domain| domain.contains('.'));
    }

    /// A file of that name was written, and must be found.
    pub fn wrote(&mut self, name: &str) {
        if !self.written.iter().any(|known| known == name) {
            self.written.push(name.to_owned());
        }
    }

    fn stand_in(&self, kind: &str, what: impl Hash) -> String {
        format!("{kind}-{:05x}", self.salt.hash_one(what) >> 44)
    }

    /// An address.
    pub fn ip(&self, ip: IpAddr) -> String {
        if self.on { self.stand_in("host", ip) } else { ip.to_string() }
    }

    /// An address with a port.
    pub fn end(&self, ip: IpAddr, port: Option<u16>) -> String {
        match port {
            None => self.ip(ip),
            Some(port) if self.on || ip.is_ipv4() => format!("{}:{port}", self.ip(ip)),
            Some(port) => SocketAddr::new(ip, port).to_string(),
        }
    }

    /// A hardware address.
    pub fn mac(&self, mac: [u8; 6]) -> String {
        let [a, b, c, d, e, f] = mac;
        if self.on {
            return self.stand_in("mac", mac);
        }
        format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }

    /// The name of a host, safe to show.
    pub fn name(&self, name: &str) -> String {
        if !self.on {
            return safe_name(name).to_string();
        }
        if let Ok(ip) = name.parse() {
            return self.ip(ip);
        }
        let lower = name.to_ascii_lowercase();
        let vendor = |domain: &&String| {
            lower.strip_suffix(domain.as_str()).is_some_and(|under| under.is_empty() || under.ends_with('.'))
        };
        match self.readable.iter().filter(vendor).max_by_key(|domain| domain.len()) {
            Some(domain) if lower.len() == domain.len() => domain.clone(),
            Some(domain) => format!("{}.{domain}", self.stand_in("name", lower)),
            None => self.stand_in("name", lower),
        }
    }

    /// Text with addresses and names in it.
    pub fn prose<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.on {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            self.word(word, &mut masked);
            let gap = after.find(is_of_name).unwrap_or(after.len());
            let (between, next) = after.split_at(gap);
            masked.push_str(between);
            rest = next;
        }
        Cow::Owned(masked)
    }

    fn word(&self, word: &str, to: &mut String) {
        let bare = word.trim_end_matches(['.', ':', '-']);
        let tail = word.get(bare.len()..).unwrap_or_default();
        if self.written.iter().any(|name| name == bare) {
            to.push_str(bare);
        } else if let Ok(ip) = bare.parse::<IpAddr>() {
            to.push_str(&self.ip(ip));
        } else if let Some((ip, port)) = bare.rsplit_once(':').and_then(|(ip, port)| Some((ip.parse().ok()?, port))) {
            to.push_str(&self.ip(ip));
            to.push(':');
            to.push_str(port);
        } else if is_name(bare) {
            let (host, port) = bare.split_once(':').map_or((bare, None), |(host, port)| (host, Some(port)));
            to.push_str(&self.name(host));
            port.into_iter().for_each(|port| {
                to.push(':');
                to.push_str(port);
            });
        } else {
            to.push_str(bare);
        }
        to.push_str(tail);
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_')
}

/// Whether a word looks like the name of a host: labels, and a last one of letters.
fn is_name(word: &str) -> bool {
    let host = word.split(':').next().unwrap_or_default();
    let mut labels = host.rsplit('.');
    let last = labels.next().is_some_and(|l| l.len() >= 2 && l.chars().all(char::is_alphabetic));
    let mut rest = labels.peekable();
    last && rest.peek().is_some() && rest.all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_hidden_and_what_is_the_vendors_is_not() {
        let mut mask = Mask { on: true, ..Mask::default() };
        mask.allow(["*.u5fgb.com", "restapi.gp4f.com"].into_iter());
        let text =
            "From 192.168.1.50:40001 to rec7.us-west.u5fgb.com:443 (10.0.0.9, fe80::1): 1.5 s, see restapi.gp4f.com.";
        let masked = mask.prose(text);
        assert!(!masked.contains("192.168") && !masked.contains("rec7") && !masked.contains("10.0.0.9"), "{masked}");
        assert!(!masked.contains("fe80"), "{masked}");
        assert!(masked.contains(".u5fgb.com:443 (") && masked.ends_with("1.5 s, see restapi.gp4f.com."), "{masked}");
        assert_eq!(mask.prose("10.0.0.9"), mask.ip("10.0.0.9".parse().unwrap()));
        assert_ne!(mask.name("a.example.com"), mask.name("b.example.com"));
        assert!(!mask.name("evilu5fgb.com").contains("u5fgb"));
        mask.wrote("20250615-report.html");
        assert_eq!(mask.prose("to 20250615-report.html."), "to 20250615-report.html.");
        assert!(!mask.prose("to 20250615-other.html.").contains("other"));
        mask.on = false;
        assert_eq!(mask.prose(text), text);
    }
}
