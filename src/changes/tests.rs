use super::firewall::{Dialect, Wanted, sheet, snippet};
use super::*;
use crate::classify::catalogue::ProductId;
use crate::diagnose::capture::is_about_capture;

fn catalogue() -> Catalogue {
    Catalogue::embedded().unwrap()
}

#[test]
fn every_kind_asks_for_something_and_every_dialect_has_texts() {
    let texts = Texts::embedded().unwrap();
    // these tell of the capture, or of nothing that is wrong
    let silent = |kind: Kind| is_about_capture(kind) || kind == Kind::RemoteAssistOpen;
    for kind in Kind::ALL.iter().filter(|kind| !silent(**kind)) {
        assert!(texts.asks.contains_key(kind), "{}", kind.text());
    }
    for rule in &texts.rules {
        assert!(!rule.sources.is_empty(), "{}", rule.text);
    }
    for dialect in
        [Dialect::Plain, Dialect::PaloAlto, Dialect::Fortigate, Dialect::Squid, Dialect::CiscoWsa, Dialect::PfSense]
    {
        let firewall = texts.firewalls.iter().find(|firewall| firewall.id == dialect).unwrap();
        assert!(dialect == Dialect::Plain || !firewall.sources.is_empty(), "{}", firewall.name);
    }
}

#[test]
fn snippets_say_what_each_product_needs() {
    let (catalogue, texts) = (catalogue(), Texts::embedded().unwrap());
    for firewall in &texts.firewalls {
        for product in [ProductId::Ows, ProductId::Contera] {
            let wanted = Wanted::all(&catalogue, Some(product));
            let name = format!("{:?}-{}", firewall.id, product.name());
            insta::assert_snapshot!(name, snippet(firewall.id, &wanted));
            let sheet = sheet(firewall, &wanted, &texts);
            assert!(sheet.lines().filter(|line| line.starts_with('#')).all(|line| line.chars().count() <= 200));
        }
    }
}

/// `*.*.` is what the vendor writes, and what no firewall should be given.
#[test]
fn no_wildcard_stands_beside_another() {
    let catalogue = catalogue();
    for dialect in [Dialect::PaloAlto, Dialect::Fortigate, Dialect::Squid, Dialect::CiscoWsa, Dialect::PfSense] {
        let text = snippet(dialect, &Wanted::all(&catalogue, None));
        assert!(!text.contains("*.*") && text.contains("u5fgb.com"), "{text}");
    }
}

/// Squid refuses a name that another entry of the list covers.
#[test]
fn squid_is_given_no_name_twice() {
    let catalogue = catalogue();
    for product in [None, Some(ProductId::Ows), Some(ProductId::Contera)] {
        let text = snippet(Dialect::Squid, &Wanted::all(&catalogue, product));
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("acl relayscope dstdomain ")).collect();
        for (at, name) in names.iter().enumerate() {
            let covers = |other: &&str| {
                let base = other.trim_start_matches('.');
                other.starts_with('.') && (*name == base || name.ends_with(*other))
            };
            let others = names.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, other)| other);
            assert!(!others.copied().any(|other| covers(&other)), "{name} in {names:?}");
        }
    }
}

/// The forms of Batfish's grammar of PAN-OS, and of its maker's documents for what that leaves out: a line has one
/// attribute, and names are no longer than they may be.
#[test]
fn pan_os_is_given_one_attribute_a_line() {
    const RULE: [&str; 10] =
        ["from", "to", "source", "destination", "category", "application", "service", "action", "type", "top"];
    for product in [None, Some(ProductId::Ows), Some(ProductId::Contera)] {
        for line in snippet(Dialect::PaloAlto, &Wanted::all(&catalogue(), product)).lines() {
            let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
            let (name, longest, rest) = match &words[..] {
                ["set", "profiles", "custom-url-category", name, rest @ ..] => (name, 31, rest),
                ["set" | "move", "rulebase", "security" | "decryption", "rules", name, rest @ ..] => {
                    assert!(RULE.contains(&rest[0]), "{line}");
                    (name, 63, rest)
                }
                ["set", "service", name, "protocol", "tcp" | "udp", "port", rest @ ..] => (name, 63, rest),
                ["set", "address", name, "fqdn", rest @ ..] => (name, 63, rest),
                _ => panic!("{line}"),
            };
            assert!(name.len() <= longest && name.starts_with("relayscope-"), "{line}");
            match rest {
                [_] | [_, _] | ["type", "\"URL", "List\""] | [_, "[", .., "]"] => {}
                _ => panic!("more than one attribute: {line}"),
            }
        }
    }
}

/// What is opened is closed, in the order of FortiOS: an entry within its table.
#[test]
fn fortios_tables_are_closed() {
    for product in [None, Some(ProductId::Ows), Some(ProductId::Contera)] {
        let mut open = Vec::new();
        for line in snippet(Dialect::Fortigate, &Wanted::all(&catalogue(), product)).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match &words[..] {
                ["config", ..] => open.push("config"),
                ["edit", name] => {
                    assert_eq!(open.last(), Some(&"config"), "{line}");
                    assert!(*name == "0" || name.trim_matches('"').len() <= 79, "{line}");
                    open.push("edit");
                }
                ["set", "name", name] => assert!(name.trim_matches('"').len() <= 35, "{line}"),
                ["set", _, _, ..] => assert_eq!(open.last(), Some(&"edit"), "{line}"),
                ["next"] => assert_eq!(open.pop(), Some("edit"), "{line}"),
                ["end"] => assert_eq!(open.pop(), Some("config"), "{line}"),
                _ => panic!("{line}"),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

#[test]
fn a_name_that_is_none_is_not_pasted() {
    let text = "[[host]]\nid = \"x\"\npattern = \"a\\nhttp_access allow all\"\nmatch = \"exact\"\nports = [\"tcp/443\"]\n\
                purpose = \"p\"\nclass = \"api\"\nows = \"required\"\nsources = []\n";
    if let Ok((catalogue, _)) = Catalogue::with_user(text) {
        assert!(!snippet(Dialect::Squid, &Wanted::all(&catalogue, None)).contains("allow all"));
    }
}

#[test]
fn only_claims_ask_and_one_cause_asks_once() {
    let (catalogue, texts) = (catalogue(), Texts::embedded().unwrap());
    let findings = crate::present::sample::findings();
    let claims = findings.iter().filter(|f| f.is_claim() && !is_about_capture(f.kind)).count();
    let mut diagnosis = Diagnosis { findings, site: crate::present::sample::site(), ..Diagnosis::default() };
    let changes = requested(&diagnosis, &catalogue, &texts);
    assert_eq!(changes.iter().map(|change| change.why.len()).sum::<usize>(), claims);
    let again = diagnosis.findings.clone();
    diagnosis.findings.extend(again);
    assert_eq!(requested(&diagnosis, &catalogue, &texts).len(), changes.len());
    diagnosis.findings.iter_mut().for_each(|finding| finding.confidence = 0.5);
    assert!(requested(&diagnosis, &catalogue, &texts).is_empty());
}
