//! The site file: what the user knows for certain about a site, as TOML.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::catalogue::ProductId;
use super::names::key;
use super::toml_error;

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    base: u128,
    mask: u128,
}

impl Net {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
    pub fn parse(text: &str) -> Option<Net> {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().ok()?;
        let (width, offset) = if ip.is_ipv4() { (32u32, 96u32) } else { (128, 0) };
        let bits = bits.map_or(Some(width), |b| b.parse().ok()).filter(|b| *b <= width)?;
        let host_bits = 128u32.saturating_sub(bits.saturating_add(offset));
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(Net { base: key(ip) & mask, mask })
    }

    /// Whether `ip` lies in it.
    pub fn holds(self, ip: IpAddr) -> bool {
        key(ip) & self.mask == self.base
    }
}

impl<'de> Deserialize<'de> for Net {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Net::parse(&text).ok_or_else(|| Error::custom(format!("`{text}` is no network")))
    }
}

/// What the user knows of the site.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// The product in use.
    pub product: Option<ProductId>,
    /// The recorders' addresses.
    #[serde(deserialize_with = "addresses")]
    pub recorders: Vec<IpAddr>,
    /// The addresses of hosts that view.
    #[serde(deserialize_with = "addresses")]
    pub clients: Vec<IpAddr>,
    /// Networks of the site beside the private ones.
    pub nets: Vec<Net>,
    /// The site's public addresses.
    #[serde(deserialize_with = "addresses")]
    pub wan: Vec<IpAddr>,
    /// Explicit proxies.
    #[serde(deserialize_with = "proxies")]
    pub proxies: Vec<SocketAddr>,
    /// Ports forwarded to a recorder beside 80, 443 and 8887.
    pub direct_ports: Vec<u16>,
    /// The port of LSF's domain redirect.
    pub lsf_redirect_port: Option<u16>,
    /// The region whose relay the recorders are meant to use, as it stands in the relay's name.
    pub region: Option<String>,
    /// What the line out carries, in megabits per second.
    #[serde(deserialize_with = "positive")]
    pub uplink_mbps: Option<f64>,
}

impl Site {
    /// Reads a site file; the error names line and field.
    pub fn parse(text: &str) -> Result<Site, String> {
        toml::from_str(text).map_err(|e| toml_error(text, &e))
    }

    /// Says another thing of a host's role: that it is a recorder, then that it is a client, then nothing. Gives what.
    pub fn turn_role(&mut self, ip: IpAddr) -> Option<&'static str> {
        let (recorder, client) = (self.recorders.contains(&ip), self.clients.contains(&ip));
        self.recorders.retain(|known| *known != ip);
        self.clients.retain(|known| *known != ip);
        if recorder {
            self.clients.push(ip);
            Some("client")
        } else if client {
            None
        } else {
            self.recorders.push(ip);
            Some("recorder")
        }
    }

    /// Whether `ip` is inside: RFC 1918, RFC 6598, unique local (RFC 4193), link-local, or one of the site's networks.
    pub fn inside(&self, ip: IpAddr) -> bool {
        is_private(ip) || self.nets.iter().any(|n| n.holds(ip))
    }

    /// Whether `ip` is inside, and whether it is public ([`is_public`]).
    #[inline]
    pub fn place(&self, ip: IpAddr) -> (bool, bool) {
        match ip {
            IpAddr::V4(v4) if is_private_v4(v4) => (true, false),
            IpAddr::V4(v4) => (self.nets.iter().any(|n| n.holds(ip)), is_public_v4(v4)),
            IpAddr::V6(_) => (self.nets.iter().any(|n| n.holds(ip)) || is_private(ip), is_public(ip)),
        }
    }
}

fn positive<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    let value = toml::Value::deserialize(d)?;
    let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
    match number.filter(|number| number.is_finite() && *number > 0.0) {
        Some(number) => Ok(Some(number)),
        None => Err(Error::custom(format!("`{value}` is no rate: write megabits per second, above zero"))),
    }
}

fn addresses<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<IpAddr>, D::Error> {
    each(d, "no address: write one such as 192.168.1.50")
}

fn proxies<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<SocketAddr>, D::Error> {
    each(d, "no address with a port: write one such as 192.168.1.1:3128")
}

/// Texts, each of which is read by itself, so that the error can say which is wrong, and how.
fn each<'de, D: Deserializer<'de>, T: FromStr>(d: D, wrong: &str) -> Result<Vec<T>, D::Error> {
    let read = |text: String| text.parse().map_err(|_| Error::custom(format!("`{text}` is {wrong}")));
    Vec::<String>::deserialize(d)?.into_iter().map(read).collect()
}

/// Whether `ip` is of a private range: RFC 1918, RFC 6598, RFC 4193, or link-local.
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    match ip.octets() {
        [10, ..] | [192, 168, ..] | [169, 254, ..] => true,
        [172, b, ..] => b & 0xf0 == 16,
        [100, b, ..] => b & 0xc0 == 64,
        _ => false,
    }
}

/// Whether `ip` is an ordinary host out on the internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => !(is_private(ip) || v6.is_loopback() || v6.is_multicast() || v6.is_unspecified()),
    }
}

/// Whether two addresses are of one site though both are public: IPv6 has no other.
pub fn is_one_site(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.segments()[..3] == b.segments()[..3],
        _ => false,
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [first, ..] = ip.octets();
    // loopback, multicast and what is reserved beside what is private
    !(matches!(first, 0 | 127 | 224..) || is_private_v4(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_what_they_should() {
        let net = |t| Net::parse(t).unwrap();
        assert!(net("203.0.113.0/24").holds(ip("203.0.113.9")) && !net("203.0.113.0/24").holds(ip("203.0.114.9")));
        assert!(net("0.0.0.0/0").holds(ip("8.8.8.8")) && !net("0.0.0.0/0").holds(ip("2001:db8::1")));
        assert!(net("::/0").holds(ip("2001:db8::1")) && net("2001:db8::1").holds(ip("2001:db8::1")));
        assert!(Net::parse("1.2.3.4/33").is_none() && Net::parse("x/8").is_none() && Net::parse("1.2.3.4/").is_none());
    }

    #[test]
    fn roles_turn() {
        let mut site = Site::default();
        let told: Vec<_> = (0..4).map(|_| site.turn_role(ip("10.0.0.5"))).collect();
        assert_eq!(told, [Some("recorder"), Some("client"), None, Some("recorder")]);
        assert!(site.recorders == [ip("10.0.0.5")] && site.clients.is_empty());
    }

    #[test]
    fn inside_is_private_or_named() {
        let site = Site::parse("nets = [\"203.0.113.0/28\"]\nrecorders = [\"10.0.0.5\"]\nproduct = \"ows\"").unwrap();
        for (text, inside) in [
            ("10.1.1.1", true),
            ("172.31.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("169.254.1.1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("::ffff:192.168.0.1", true),
            ("203.0.113.3", true),
            ("203.0.113.99", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(site.inside(ip(text)), inside, "{text}");
        }
        assert!(!is_public(ip("0.0.0.0")) && !is_public(ip("224.0.0.1")) && is_public(ip("8.8.8.8")));
        assert_eq!(Site::parse("uplink_mbps = 5.5").unwrap().uplink_mbps, Some(5.5));
        assert_eq!(Site::parse("uplink_mbps = 10").unwrap().uplink_mbps, Some(10.0));
        assert!(Site::parse("uplink_mbps = 0").unwrap_err().contains("is no rate"));
        assert!(Site::parse("colour = 1").unwrap_err().contains("colour"));
        for (text, said) in [
            ("uplink_mbps = \"fast\"", "line 1: `\"fast\"` is no rate"),
            ("clients = [\"10.0.0.5\", \"pc\"]", "line 1: `pc` is no address: write one such as"),
            ("\nproxies = [\"10.0.0.1\"]", "line 2: `10.0.0.1` is no address with a port"),
        ] {
            let error = Site::parse(text).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
