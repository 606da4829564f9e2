//! The text and the JSON of `relayscope catalog`: what must be allowed.

use std::fmt::Write;

use serde_json::{Value, json};

use super::catalogue::{Catalogue, HostEntry, PortDirection, PortSpec, ProductId, Requirement};

/// The widest line of a text.
pub(crate) const WIDTH: usize = 100;

/// The rows that concern `product`, or all.
fn hosts(catalogue: &Catalogue, product: Option<ProductId>) -> impl Iterator<Item = &HostEntry> {
    let wanted = move |h: &&HostEntry| match product {
        Some(product) => h.requirement(product) != Requirement::NotListed,
        None => true,
    };
    catalogue.hosts.iter().filter(|h| h.listed).filter(wanted)
}

fn concerns(products: &[ProductId], product: Option<ProductId>) -> bool {
    product.is_none_or(|p| products.contains(&p))
}

const fn direction(direction: PortDirection) -> &'static str {
    match direction {
        PortDirection::In => "in",
        PortDirection::Out => "out",
        PortDirection::Both => "both",
    }
}

/// Ports as `TCP 443, 80`.
pub(super) fn ports(list: &[PortSpec]) -> String {
    let mut text = String::new();
    let mut last = None;
    for port in list {
        let told = port.to_string();
        let short = if last == Some(port.proto) { told.split_once(' ').map_or("", |(_, p)| p) } else { &told };
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(short);
        last = Some(port.proto);
    }
    text
}

/// The allow-list as aligned text, at most 100 columns wide.
pub fn text(catalogue: &Catalogue, product: Option<ProductId>) -> String {
    let mut out = String::from("HOSTS\n");
    for host in hosts(catalogue, product) {
        let _ = writeln!(out, "{:<42}{:<12}{}", host.pattern, ports(&host.ports), demand(host, product));
        wrap(&mut out, "    ", &format!("{} [{}]", host.purpose, host.sources.join(", ")));
        if let Some(note) = &host.note {
            wrap(&mut out, "    ", note);
        }
    }
    out.push_str("\nPORTS (seen from the recorder)\n");
    for port in catalogue.ports.iter().filter(|p| concerns(&p.products, product)) {
        let _ = writeln!(out, "{:<42}{}", ports(&port.ports), direction(port.direction));
        wrap(&mut out, "    ", &format!("{} [{}]", port.purpose, port.sources.join(", ")));
    }
    out.push_str("\nE-MAIL\n");
    for email in catalogue.emails.iter().filter(|e| concerns(&e.products, product)) {
        let _ = writeln!(out, "{:<42}[{}]", email.pattern, email.sources.join(", "));
    }
    out.push_str("\nWHERE THE DOCUMENTS DISAGREE\n");
    for i in &catalogue.inconsistencies {
        let told = format!("{} Here: {} [{}]", i.what, i.decision, i.sources.join(", "));
        let mut block = String::new();
        wrap(&mut block, "     ", &told);
        let _ = write!(out, "{:<5}{}", i.id, block.trim_start());
    }
    out.push_str("\nSOURCES (the numbers are lines of their plain text)\n");
    let mut sources: Vec<_> = catalogue.sources.iter().collect();
    sources.sort_unstable_by_key(|(id, _)| id.as_str());
    for (id, source) in sources {
        let _ = writeln!(out, "{id:<5}{}, {}", source.title, source.publisher);
    }
    out
}

fn demand(host: &HostEntry, product: Option<ProductId>) -> String {
    match product {
        Some(product) => host.requirement(product).text().to_owned(),
        None => format!("ows {}, contera {}", host.ows.text(), host.contera.text()),
    }
}

/// The allow-list as JSON.
pub fn json(catalogue: &Catalogue, product: Option<ProductId>) -> Value {
    let specs = |list: &[PortSpec]| list.iter().map(PortSpec::to_string).collect::<Vec<_>>();
    let host = |h: &HostEntry| {
        let mut value = json!({
            "id": h.id, "pattern": h.pattern, "ports": specs(&h.ports), "purpose": h.purpose,
            "ows": h.ows.text(), "contera": h.contera.text(), "class": h.class.name(), "sources": h.sources,
        });
        if let (Some(note), Some(map)) = (&h.note, value.as_object_mut()) {
            map.insert("note".into(), json!(note));
        }
        value
    };
    let ports = catalogue.ports.iter().filter(|p| concerns(&p.products, product)).map(|p| {
        json!({ "id": p.id, "ports": specs(&p.ports), "direction": direction(p.direction), "purpose": p.purpose,
            "sources": p.sources })
    });
    let emails = catalogue.emails.iter().filter(|e| concerns(&e.products, product));
    json!({
        "hosts": hosts(catalogue, product).map(host).collect::<Vec<_>>(),
        "ports": ports.collect::<Vec<_>>(),
        "email": emails.map(|e| json!({ "pattern": e.pattern, "sources": e.sources })).collect::<Vec<_>>(),
        "inconsistencies": catalogue.inconsistencies.iter().map(|i| {
            json!({ "id": i.id, "what": i.what, "decision": i.decision, "sources": i.sources })
        }).collect::<Vec<_>>(),
        "sources": catalogue.sources.iter().map(|(id, s)| {
            (id.clone(), json!({ "title": s.title, "publisher": s.publisher }))
        }).collect::<serde_json::Map<_, _>>(),
    })
}

/// Appends `text`, broken at blanks into indented lines.
pub(crate) fn wrap(out: &mut String, indent: &str, text: &str) {
    let mut used = 0usize;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if used > 0 && used.saturating_add(width).saturating_add(1) <= WIDTH {
            out.push(' ');
            used = used.saturating_add(width).saturating_add(1);
        } else {
            if used > 0 {
                out.push('\n');
            }
            out.push_str(indent);
            used = indent.len().saturating_add(width);
        }
        out.push_str(word);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_and_rows_whole() {
        let c = Catalogue::embedded().unwrap();
        for product in [None, Some(ProductId::Ows), Some(ProductId::Contera)] {
            let text = text(&c, product);
            assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
            assert_eq!(text.contains("reportstar.com"), product != Some(ProductId::Ows));
            assert_eq!(text.contains("lsf.u5fgb.com  "), product != Some(ProductId::Contera));
            assert_eq!(json(&c, product)["hosts"].as_array().unwrap().len(), hosts(&c, product).count());
        }
        let row = format!("{:<42}TCP 443     required\n    API services", "restapi.gp4f.com");
        assert!(text(&c, Some(ProductId::Ows)).contains(&row));
    }
}
