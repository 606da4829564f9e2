use super::*;
use crate::event::{HttpRecord, MessageRecord, NtpRecord};
use crate::present::sample;
use crate::source::{Frame, LinkType};
use crate::time::Timestamp;
use proptest::prelude::*;

fn redactor() -> Redactor {
    let what = What { ips: true, names: true, macs: true };
    Redactor::new(what, [9; KEY], &Catalogue::embedded().unwrap())
}

#[test]
fn what_may_be_asked_for() {
    assert_eq!(What::parse("ips, macs"), Ok(What { ips: true, names: false, macs: true }));
    assert!(What::parse("").is_err() && What::parse("ips,mails").unwrap_err().contains("'mails'"));
    assert_eq!(What::parse("names").unwrap().text(), "names");
}

#[test]
fn sentences_lose_what_they_name_and_keep_the_rest() {
    let r = redactor();
    let text = "192.168.1.50 asked acme-7.us-west.u5fgb.com:443, 203.0.113.9:443 and fe80::1 (aa:bb:cc:dd:ee:ff) for 1.5 s, \
                0.86, e.g. TLS 1.2 by CF-1 [S1:163]; see stun.u5fgb.com.";
    let told = r.text(text);
    for original in ["192.168.1.50", "acme-7", "203.0.113.9", "fe80::1 ", "aa:bb:cc"] {
        assert!(!told.contains(original), "{original} in {told}");
    }
    for kept in
        [".us-west.u5fgb.com:443,", "192.168.", "for 1.5 s, 0.86, e.g. TLS 1.2 by CF-1 [S1:163]; see stun.u5fgb.com."]
    {
        assert!(told.contains(kept), "{kept} in {told}");
    }
    assert_eq!(r.text(text), told);
    assert_eq!(r.host("192.168.1.50"), r.ip("192.168.1.50".parse().unwrap()).to_string());
    assert!(told.starts_with(&r.host("192.168.1.50")));
}

#[test]
fn addresses_joined_to_a_makers_words_are_found() {
    let r = redactor();
    for (text, original) in [
        ("PBX 10.0.0.10_2", "10.0.0.10"),
        ("Phone10.0.0.10b7", "10.0.0.10"),
        ("node192.168.1.5", "192.168.1.5"),
        ("(sip:10.0.0.5:5060)", "10.0.0.5"),
        ("fw28.80.0.95.", "28.80.0.95"),
        ("PolyVVX_410-UA/4.1.4_0004f2abcdef", "0004f2abcdef"),
        ("SIP-000E08D1C0DE.", "000E08D1C0DE"),
        ("MAC:0004f2abcdef", "0004f2abcdef"),
        ("mac:00:04:f2:ab:cd:ef", "00:04:f2:ab:cd:ef"),
        ("Phone_00-04-f2-ab-cd-ef", "00-04-f2-ab-cd-ef"),
    ] {
        let told = r.agent(text);
        let (before, after) = text.split_once(original).unwrap();
        assert!(!told.contains(original) && told.starts_with(before) && told.ends_with(after), "{text}: {told}");
        let none = Redactor::new(What { names: true, ..What::default() }, [9; KEY], &Catalogue::embedded().unwrap());
        assert_eq!(none.agent(text), text);
    }
    for kept in [
        "Mozilla/5.0 (Windows NT 6.1; en-US; rv:1.9.1) Gecko/20091221",
        "libcurl/7.88.1 (x86_64-pc-linux-gnu)",
        "Net::Async::HTTP WWW::Curl Mojo::Base",
        "é_0123456789abcdef…",
    ] {
        assert_eq!(r.agent(kept), kept);
    }
    // what looks like a name is one only where names are replaced
    let macs = Redactor::new(What { macs: true, ..What::default() }, [9; KEY], &Catalogue::embedded().unwrap());
    for told in [macs.agent("CP7960_0004.f2ab.cdef"), macs.agent("0004f2abcdef.cfg"), r.agent("0004f2abcdef.cfg")] {
        assert!(!told.contains("f2ab"), "{told}");
    }
    // in our own sentences twelve digits are a pseudonym as it is
    assert_eq!(r.text("owner-d4b72a7b65e7"), "owner-d4b72a7b65e7");
}

#[test]
fn what_is_not_asked_for_stays() {
    let what = What { ips: false, names: true, macs: false };
    let r = Redactor::new(what, [9; KEY], &Catalogue::embedded().unwrap());
    let told = r.text("192.168.1.50 is files.corp.example at aa:bb:cc:dd:ee:ff");
    assert!(told.starts_with("192.168.1.50 is ") && told.ends_with(" at aa:bb:cc:dd:ee:ff") && !told.contains("corp"));
}

#[test]
fn records_join_and_tell_nothing() {
    let mut r = redactor();
    let (mut flow, mut dns) = (sample::relay(), sample::dns());
    let issuer = "CN=ACME Root CA, O=ACME Stores";
    let tls = flow.tls.as_mut().unwrap();
    tls.issuerdn = Some(issuer.into());
    tls.sni = Some("acme-7.us-west.u5fgb.com".into());
    dns.dns[0].qname = Some("acme-7.us-west.u5fgb.com".into());
    r.learn(&flow).unwrap();
    let before = serde_json::to_string(&(&flow, &dns)).unwrap();
    r.flow(&mut flow);
    r.flow(&mut dns);
    let after = serde_json::to_string(&(&flow, &dns)).unwrap();
    for secret in ["acme", "ACME", "192.168.1.50", "198.51.100"] {
        assert!(!after.contains(secret), "{secret} in {after}\nfrom {before}");
    }
    assert_eq!(flow.tls.as_ref().unwrap().sni, dns.dns[0].qname);
    let told = r.text("HTTPS is decrypted by CN=ACME Root CA, O=ACME Stores; ACME Root CA is not public");
    assert!(!told.contains("ACME"), "{told}");
    if let Some(id) = &flow.community_id {
        let ends = ((flow.src_ip, flow.src_port.unwrap()), (flow.dest_ip, flow.dest_port.unwrap()));
        assert_eq!(*id, crate::flow::key::community_id(0, 6, ends.0, ends.1));
    }
}

#[test]
fn what_protocols_have_no_word_for_is_hidden() {
    let (r, mut flow) = (redactor(), sample::relay());
    let http = |method: &str, coding: &str, upgrade: &str| HttpRecord {
        method: Some(method.to_owned().into()),
        transfer_encoding: Some(coding.to_owned().into()),
        upgrade: Some(upgrade.to_owned().into()),
        ..HttpRecord::default()
    };
    let known = http("M-SEARCH", "gzip, Chunked", "websocket");
    flow.http = vec![known.clone(), http("ACME", "chunked, acme", "acme/1")];
    flow.tls.as_mut().unwrap().alpn = std::borrow::Cow::Owned(["h2", "stun.turn", "acme-7"].into_iter().collect());
    let message = |method: &str| MessageRecord { method: Some(method.to_owned().into()), ..MessageRecord::default() };
    (flow.rtsp, flow.sip) = (Some(Box::new(message("DESCRIBE"))), Some(Box::new(message("ACME"))));
    flow.ntp = Some(Box::new(NtpRecord { kiss: Some("ACME".into()), ..NtpRecord::default() }));
    r.flow(&mut flow);
    let told = serde_json::to_string(&flow).unwrap();
    assert!(!told.to_ascii_lowercase().contains("acme"), "{told}");
    assert_eq!(flow.http[0], known);
    assert!(told.contains(r#"["h2","stun.turn","…"]"#) && told.contains("DESCRIBE"), "{told}");
    // where only addresses are replaced such words stay
    let what = What { ips: true, names: false, macs: false };
    let mut flow = sample::relay();
    flow.http = vec![http("ACME", "acme", "acme")];
    Redactor::new(what, [9; KEY], &Catalogue::embedded().unwrap()).flow(&mut flow);
    assert_eq!(flow.http[0], http("ACME", "acme", "acme"));
}

#[test]
fn hosts_without_a_domain_are_replaced_and_countries_are_words() {
    let mut r = redactor();
    let mut dns = sample::dns();
    for name in ["nas", "to", "in"] {
        dns.dns[0].qname = Some(name.into());
        r.learn(&dns).unwrap();
    }
    let told = r.text("nas cannot be reached in vain: to nas");
    assert_eq!(told, format!("{0} cannot be reached in vain: to {0}", r.name("nas")));
}

#[test]
fn of_many_owners_none_is_left() {
    let mut r = redactor();
    let mut flow = sample::relay();
    for n in 0..5_000 {
        flow.tls.as_mut().unwrap().issuerdn = Some(format!("C=US, O=Stores {n:04}, CN=HP").into());
        r.learn(&flow).unwrap();
    }
    for n in [0, 1_300, 4_999] {
        let told = r.text(&format!("issued by `C=US, O=Stores {n:04}, CN=HP`; Stores {n:04} (HP) is not public"));
        assert!(!told.contains("Stores") && !told.contains("HP"), "{told}");
    }
}

/// A datagram of DNS in Ethernet, from a host of the site to its resolver.
fn dns_frame(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len() + 8).unwrap();
    let total = (length + 20).to_be_bytes();
    let link = [&[2, 0, 0, 0, 0, 9][..], &[0xac, 0x1d, 0xea, 0xdb, 0xee, 0xf0], &[8, 0]].concat();
    let ip =
        [&[0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0][..], &[192, 168, 1, 1], &[192, 168, 1, 50]].concat();
    let udp = [&[0, 53, 0x9c, 0x40][..], &length.to_be_bytes(), &[9, 9], message].concat();
    [link, ip, udp].concat()
}

#[test]
fn an_answer_of_dns_is_told_by_its_pseudonyms() {
    let name = b"\x06acme-7\x07us-west\x05u5fgb\x03com\0";
    let question = [&[0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0][..], name, &[0, 1, 0, 1]].concat();
    let cname = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 9][..], b"\x06stores\xc0\x13"].concat();
    let address = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4][..], &[203, 0, 113, 9]].concat();
    let bytes = dns_frame(&[question, cname, address].concat());
    let r = redactor();
    let frame = Frame { ts: Timestamp(0), link: LinkType(1), len: bytes.len() as u32, bytes: &bytes };
    let (link, told) = r.frame(&frame).unwrap();
    assert_eq!((link, told.len()), (LinkType(1), bytes.len()));
    let holds = |needle: &[u8]| told.windows(needle.len()).any(|window| window == needle);
    for secret in [&b"acme-7"[..], b"stores", &[203, 0, 113, 9], &[192, 168, 1, 50], &[0xac, 0x1d, 0xea]] {
        assert!(!holds(secret), "{secret:?}");
    }
    let octets = |text: &str| match r.ip(text.parse().unwrap()) {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => unreachable!(),
    };
    let label = r.name("acme-7.us-west.u5fgb.com").split('.').next().unwrap().to_owned();
    assert!(holds(b"us-west\x05u5fgb") && holds(label.as_bytes()));
    assert!(holds(&octets("203.0.113.9")) && holds(&octets("192.168.1.50")));
}

proptest! {
    #[test]
    fn any_frame_is_replaced_or_left_out(bytes in prop::collection::vec(any::<u8>(), 0..300), link in prop_oneof![Just(1u16), Just(101), any::<u16>()]) {
        redactor().frame(&Frame { ts: Timestamp(0), link: LinkType(link), len: 1500, bytes: &bytes });
    }

    #[test]
    fn any_message_of_dns_is_taken(message in prop::collection::vec(any::<u8>(), 12..300)) {
        let bytes = dns_frame(&message);
        let frame = Frame { ts: Timestamp(0), link: LinkType(1), len: bytes.len() as u32, bytes: &bytes };
        prop_assert_eq!(redactor().frame(&frame).unwrap().1.len(), bytes.len());
    }

    #[test]
    fn any_sentence_is_taken(text: String) {
        redactor().text(&text);
    }
}
