use super::*;

fn user(text: &str) -> Result<Catalogue, String> {
    Catalogue::with_user(text).map(|(c, _)| c).map_err(|e| e.to_string())
}

const HOST: &str = r#"ports = ["tcp/443"]
    purpose = "p"
    class = "api"
    sources = []"#;

#[test]
fn the_embedded_catalogue_is_whole() {
    let c = Catalogue::embedded().unwrap();
    assert_eq!(c.inconsistencies.len(), 15);
    assert_eq!(c.hosts.iter().filter(|h| h.listed).count(), 23);
    assert_eq!((c.ports.len(), c.emails.len(), c.bandwidths.len(), c.s3_forms.len()), (7, 4, 2, 11));
    let sum: f64 = c.usages.iter().take(5).map(|u| u.megabytes_30_days).sum();
    assert!((sum - c.usages[5].megabytes_30_days).abs() < 1.0, "the vendor's own sum is rounded: {sum}");
    assert!(c.hosts.iter().filter(|h| h.listed).all(|h| !h.sources.is_empty()));
}

#[test]
fn a_users_file_adds_and_replaces() {
    let text = format!(
        "[[host]]\nid = \"api\"\npattern = \"api.example.org\"\nmatch = \"exact\"\n{HOST}\n\
         [[host]]\nid = \"mine\"\npattern = \"*.example.com\"\nmatch = \"below\"\n{HOST}\n\
         [rules.x]\ny = 1\n[diagnosis.z]"
    );
    let (c, user) = Catalogue::with_user(&text).unwrap();
    assert_eq!(c.host("api").unwrap().pattern, "api.example.org");
    assert!(c.host("mine").is_some());
    assert!(user.rules.contains_key("x") && user.diagnosis.contains_key("z"));
}

#[test]
fn what_is_wrong_is_said_with_its_id() {
    let one = |id: &str, pattern: &str, reach: &str, more: &str| {
        user(&format!("[[host]]\nid = \"{id}\"\npattern = \"{pattern}\"\nmatch = \"{reach}\"\n{HOST}\n{more}"))
            .unwrap_err()
    };
    for (told, part) in [
        (one("x", "restapi.gp4f.com", "exact", ""), "host `x`: covers the same names as `api`"),
        (one("x", "a..b", "exact", ""), "host `x`: the pattern `a..b`"),
        (one("x", "a.*.b", "exact", ""), "host `x`: the pattern `a.*.b`"),
        (one("x", "*.a.b", "exact", ""), "host `x`:"),
        (one("x", "a.b", "sideways", ""), "sideways"),
        (one("x", "a.b", "exact", "confidence = 2.0"), "host `x`: `confidence`"),
        (one("x", "a.b", "exact", "typo_of = \"zz\""), "host `x`: `typo_of`"),
        (one("x", "a.b", "exact", "colour = 1"), "colour"),
        (one("x", "a.b", "exact", "flags = [\"odd\"]"), "`odd` is no flag"),
        (one("", "a.b", "exact", ""), "the id is empty"),
        (user("[[port]]\nid = \"p\"\nports = [\"icmp/1\"]\n").unwrap_err(), "`icmp/1` is no port"),
        (
            user("[[email]]\nid = \"p\"\npattern = \"p\"\nproducts = []\nsources = [\"S1:9-3\"]").unwrap_err(),
            "email `p`: `S1:9-3` cites no line",
        ),
        (user("what").unwrap_err(), "line 1"),
    ] {
        assert!(told.contains(part), "{told:?} lacks {part:?}");
    }
    let twice = format!("[[host]]\nid = \"x\"\npattern = \"a.b\"\nmatch = \"exact\"\n{HOST}\n").repeat(2);
    assert_eq!(user(&twice).unwrap_err(), "host `x`: the id is given twice");
}
