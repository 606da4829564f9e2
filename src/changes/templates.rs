//! The templates of the snippets, and what they are filled with.

use std::collections::BTreeSet;

use askama::Template;

use super::firewall::{Dialect, Name, Row};
use crate::classify::catalogue::PortSpec;
use crate::decode::proto;

/// What a snippet is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub rows: Vec<Row>,
    pub emails: Vec<String>,
}

impl Parts {
    /// Rows of HTTP and HTTPS.
    fn web(&self, required: bool) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.required == required && row.is_web())
    }

    /// Rows with other ports, required or not.
    fn other(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.is_web())
    }

    /// Each port that such rows need, once.
    fn services(&self) -> Vec<Service> {
        let mut seen = BTreeSet::new();
        let ports = self.other().flat_map(|row| &row.ports).filter(|port| !is_web_port(port));
        ports.map(|port| Service::of(*port)).filter(|service| seen.insert(service.slug.clone())).collect()
    }

    /// The TCP ports that a proxy must tunnel to beside 80 and 443.
    fn tunnels(&self) -> Vec<String> {
        self.services().into_iter().filter(|s| s.proto == "tcp").map(|s| s.port).collect()
    }

    fn has_web(&self, required: bool) -> bool {
        self.web(required).next().is_some()
    }

    /// Web rows, and those of other TCP ports that a proxy can tunnel.
    fn proxied(&self, required: bool) -> impl Iterator<Item = &Row> {
        let tcp = |row: &&Row| row.ports.iter().all(|port| port.proto == proto::TCP);
        self.rows.iter().filter(move |row| row.required == required).filter(tcp)
    }
}

fn is_web_port(port: &PortSpec) -> bool {
    port.proto == proto::TCP && port.first == port.last && matches!(port.first, 80 | 443)
}

/// A port, as an object of a firewall.
#[derive(Debug)]
struct Service {
    slug: String,
    proto: &'static str,
    port: String,
}

impl Service {
    fn of(port: PortSpec) -> Service {
        let proto = if port.proto == proto::TCP { "tcp" } else { "udp" };
        let range = match port.first == port.last {
            true => port.first.to_string(),
            false => format!("{}-{}", port.first, port.last),
        };
        Service { slug: format!("{proto}-{range}"), proto, port: range }
    }

    fn is_web(&self) -> bool {
        self.proto == "tcp" && matches!(self.port.as_str(), "80" | "443")
    }
}

impl Row {
    fn services(&self) -> Vec<Service> {
        self.ports.iter().map(|port| Service::of(*port)).collect()
    }

    fn ports_text(&self) -> String {
        self.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl Name {
    /// `.u5fgb.com` for a tree, else the name.
    fn dotted(&self) -> String {
        if self.tree { format!(".{}", self.base) } else { self.base.clone() }
    }

    /// As a part of an alias's name, which takes letters, digits and underscores.
    fn alias(&self) -> String {
        self.base.replace(['-', '.'], "_")
    }

    /// As a part of a regular expression.
    fn escaped(&self) -> String {
        self.base.replace('.', "\\.")
    }
}

macro_rules! snippet {
    ($name:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $name<'a> {
            parts: &'a Parts,
        }
    };
}

snippet!(Plain, "firewall/plain.txt");
snippet!(PaloAlto, "firewall/paloalto.txt");
snippet!(Fortigate, "firewall/fortigate.txt");
snippet!(Squid, "firewall/squid.txt");
snippet!(CiscoWsa, "firewall/cisco-wsa.txt");
snippet!(PfSense, "firewall/pfsense.txt");

/// The snippet of a dialect. Writing to a text does not fail.
pub(super) fn render(dialect: Dialect, parts: &Parts) -> String {
    let text = match dialect {
        Dialect::Plain => Plain { parts }.render(),
        Dialect::PaloAlto => PaloAlto { parts }.render(),
        Dialect::Fortigate => Fortigate { parts }.render(),
        Dialect::Squid => Squid { parts }.render(),
        Dialect::CiscoWsa => CiscoWsa { parts }.render(),
        Dialect::PfSense => PfSense { parts }.render(),
    };
    text.unwrap_or_default()
}
