use super::firewall::{Dialect, Wanted, sheet, snippet};
use super::*;
use crate::classify::catalogue::ProductId;
use crate::diagnose::capture::is_about_capture;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{RuleId, Rules};
use crate::time::Timestamp;

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

/// The draft of a claim of a rule, from the recorder to an address and port.
fn claim(rules: &Rules, rule: RuleId, to: &str, port: u16) -> FindingRecord {
    let finding = Draft::new(rules, rule, Timestamp(1), Timestamp(2)).base(0.9).host("a1.us-west.u5fgb.com").build();
    FindingRecord { dest_ip: to.parse().ok(), dest_port: Some(port), proto: Some("UDP".into()), ..finding }
}

#[test]
fn a_change_is_about_who_must_act() {
    let (catalogue, texts, rules) = (catalogue(), Texts::embedded().unwrap(), Rules::embedded().unwrap());
    let asked =
        |findings: Vec<FindingRecord>| requested(&Diagnosis { findings, ..Diagnosis::default() }, &catalogue, &texts);
    // a resolver that is silent is one row, whatever was asked of it
    let silent = claim(&rules, RuleId::D1, "192.168.1.1", 53);
    let other = FindingRecord { id: "other".into(), host: Some("ows.openeye.net".into()), ..silent.clone() };
    let [change] = &asked(vec![silent, other])[..] else { panic!() };
    assert_eq!(
        (&*change.destination, &*change.ports),
        (&["192.168.1.1".to_owned()][..], &["TCP 53".to_owned(), "UDP 53".to_owned()][..])
    );
    assert_eq!(change.why.len(), 2);
    // a provider's translation has no address at the site, least of all that of whom it was seen with
    let [change] = &asked(vec![claim(&rules, RuleId::D32, "198.51.100.21", 443)])[..] else { panic!() };
    assert!(change.destination.is_empty() && change.ports.is_empty(), "{change:?}");
    // one relay is decrypted by the name of another next time; who wants a login wants it of all
    let site = crate::present::sample::site();
    let rows = |id: &str, pattern: &str| {
        let mut row = site.allow_list[0].clone();
        (row.id, row.pattern, row.finding_ids) = (id.into(), pattern.into(), Vec::new());
        row
    };
    let listed = |rule| {
        let allow_list = vec![rows("relay", "*.*.u5fgb.com"), rows("api", "restapi.gp4f.com")];
        let site = crate::event::SiteRecord { allow_list, ..site.clone() };
        let findings = vec![claim(&rules, rule, "203.0.113.9", 443)];
        let diagnosis = Diagnosis { findings, site, ..Diagnosis::default() };
        requested(&diagnosis, &catalogue, &texts).swap_remove(0).destination
    };
    assert_eq!(listed(RuleId::D9), ["*.u5fgb.com", "u5fgb.com"]);
    assert_eq!(listed(RuleId::D28), ["*.u5fgb.com", "u5fgb.com", "restapi.gp4f.com"]);
    // that a name is not found is asked of its resolver alone
    let gap = FindingRecord { kind: Kind::AllowlistGap, ..claim(&rules, RuleId::D37, "192.168.1.1", 53) };
    assert_eq!(asked(vec![gap.clone()]).len(), 1);
    assert_eq!(asked(vec![FindingRecord { manner: Some(Manner::Unfound), ..gap }]), []);
}

#[test]
fn a_firewall_does_not_lack_what_the_resolver_does() {
    let (catalogue, texts, rules) = (catalogue(), Texts::embedded().unwrap(), Rules::embedded().unwrap());
    let lacks = |rule, manner| {
        let finding = claim(&rules, rule, "203.0.113.9", 443);
        let kind = if rule == RuleId::D37 { Kind::AllowlistGap } else { finding.kind };
        let finding = FindingRecord { kind, manner, ..finding };
        let mut site = crate::present::sample::site();
        site.allow_list.truncate(1);
        let row = &mut site.allow_list[0];
        (row.id, row.state, row.finding_ids) = ("relay".to_owned(), AllowState::Blocked, vec![finding.id.clone()]);
        lacking(&Diagnosis { findings: vec![finding], site, ..Diagnosis::default() }, &catalogue, &texts).len()
    };
    assert_eq!((lacks(RuleId::D2, None), lacks(RuleId::D37, Some(Manner::Unfound))), (0, 0));
    assert_eq!((lacks(RuleId::D6, None), lacks(RuleId::D37, None)), (1, 1));
}
