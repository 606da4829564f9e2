//! Credentials in text, masked: what follows `Authorization`, a cookie's value, and what looks like a secret in the
//! query of an address.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex::{Captures, Regex};

/// What stands in the place of a secret.
const MASK: &str = "•••";

/// Headers whose whole value is secret, credentials before the @ of an address, and parameters that are called like
/// secrets.
const PATTERN: &str = r#"(?ix)
    (?P<header> (?-u:\b)(?:proxy-)?authorization [\ \t]* [:=] [\ \t]* | (?-u:\b)(?:set-)?cookie2? [\ \t]* [:=] [\ \t]* ) [^\r\n]+
  | (?P<scheme> (?-u:\b)(?:basic|bearer|digest|negotiate|ntlm)[\ \t]+ ) [a-z0-9+/=_.~-]{8,}
  | (?P<user> [a-z][a-z0-9+.-]*:// ) [^\ \t/@:]+ (?: : [^\ \t/@]* )? @
  | (?P<param> [?&;] [a-z0-9_.\[\]-]* (?: token|key|secret|passw?o?r?d?|pwd|auth|sig|signature|session|sid|credential|code )
      [a-z0-9_.\[\]-]* = ) [^&;\ \t\r\n"'<>]+
"#;

/// The text without the credentials in it.
pub fn credentials(text: &str) -> Cow<'_, str> {
    static FOUND: OnceLock<Option<Regex>> = OnceLock::new();
    // the pattern is a constant, and a test makes sure that it is one
    let Some(regex) = FOUND.get_or_init(|| Regex::new(PATTERN).ok()) else { return Cow::Borrowed(text) };
    regex.replace_all(text, |found: &Captures<'_>| {
        let kept = ["header", "scheme", "user", "param"].iter().find_map(|name| found.name(name));
        let at = if found.name("user").is_some() { "@" } else { "" };
        format!("{}{MASK}{at}", kept.map_or("", |kept| kept.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        for (text, masked) in [
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: •••"),
            ("it sent Bearer abcdefghijk.lm and left", "it sent Bearer ••• and left"),
            ("GET /a?x=1&access_token=s3cret&y=2", "GET /a?x=1&access_token=•••&y=2"),
            ("/put?X-Amz-Signature=abc&X-Amz-Credential=k/1", "/put?X-Amz-Signature=•••&X-Amz-Credential=•••"),
            ("http://user:pw@proxy:3128/", "http://•••@proxy:3128/"),
            ("Set-Cookie: sid=1; Path=/", "Set-Cookie: •••"),
            ("the proxy wants NTLM or Negotiate of the recorder", "the proxy wants NTLM or Negotiate of the recorder"),
            ("a request of 417 bytes to a1.us-west.u5fgb.com", "a request of 417 bytes to a1.us-west.u5fgb.com"),
        ] {
            assert_eq!(credentials(text), masked, "{text}");
        }
    }
}
