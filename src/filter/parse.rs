//! From tokens to an expression.

use super::ast::{End, Expr, HostPattern, Measure, Net, Op, Range, State, Term, TextKey};
use super::lex::{Kind, PairOp, Token, Value, lex};
use super::text::Pattern;
use super::{Error, Span, number, vocabulary};
use crate::event::{Class, Severity};

/// How deep parentheses and negations may nest.
const DEPTH_MAX: usize = 64;
/// The longest expression, in bytes.
const LENGTH_MAX: usize = 65_536;

/// Parses an expression; `None` for an empty one.
pub(super) fn parse(text: &str) -> Result<Option<Expr>, Error> {
    if text.len() > LENGTH_MAX {
        let why = format!("the filter is longer than {LENGTH_MAX} bytes");
        return Err(Error::new(Span { start: 0, end: 0 }, why, "shorten it"));
    }
    let tokens = lex(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end: text.trim_end().len(), depth: 0 };
    let expr = parser.or()?;
    match parser.tokens.next() {
        None => Ok(Some(expr)),
        Some(token) => Err(Error::new(token.span, "no ( is open here", "take this ) away")),
    }
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'a>>>,
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Expr, Error> {
        let mut parts = Vec::new();
        loop {
            match self.and()? {
                Expr::Or(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if self.tokens.next_if(|t| matches!(t.kind, Kind::Or)).is_none() {
                return Ok(one_or(parts, Expr::Or));
            }
        }
    }

    fn and(&mut self) -> Result<Expr, Error> {
        let mut parts = Vec::new();
        loop {
            match self.unary()? {
                Expr::And(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            let and = self.tokens.next_if(|t| matches!(t.kind, Kind::And)).is_some();
            let ends = self.tokens.peek().is_none_or(|t| matches!(t.kind, Kind::Or | Kind::Close));
            if ends && !and {
                return Ok(one_or(parts, Expr::And));
            }
        }
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let Some(token) = self.tokens.next() else {
            let span = Span { start: self.end, end: self.end };
            return Err(Error::new(
                span,
                "the filter ends where a test should stand",
                "add a test such as class:relay",
            ));
        };
        match token.kind {
            Kind::Not => Ok(Expr::Not(Box::new(self.nested(token.span, Self::unary)?))),
            Kind::Open => {
                let inner = self.nested(token.span, Self::or)?;
                match self.tokens.next() {
                    Some(Token { kind: Kind::Close, .. }) => Ok(inner),
                    _ => Err(Error::new(token.span, "this ( is never closed", "add a ) at the end")),
                }
            }
            Kind::Close | Kind::And | Kind::Or => {
                Err(Error::new(token.span, "a test should stand here", "a test is a word, or KEY:VALUE"))
            }
            Kind::Word(pattern) => Ok(Expr::Term(word(pattern))),
            Kind::Pair { key, key_span, op, values } => {
                // `KEY!=VALUE` of a key that is no number is its negation.
                let negated = op == PairOp::Compare(Op::Ne) && !is_ordered(key);
                let op = if negated { PairOp::Is } else { op };
                let term = Expr::Term(pair(key, key_span, op, &values)?);
                Ok(if negated { Expr::Not(Box::new(term)) } else { term })
            }
        }
    }

    fn nested(&mut self, span: Span, parse: fn(&mut Self) -> Result<Expr, Error>) -> Result<Expr, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::new(span, format!("more than {DEPTH_MAX} levels deep"), "take parentheses away"));
        }
        let expr = parse(self);
        self.depth -= 1;
        expr
    }
}

fn one_or(mut parts: Vec<Expr>, make: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            make(parts)
        }
    }
}

/// Protocols beneath all others, which as a bare word mean just that, as in filters of other tools.
const TRANSPORTS: [&str; 5] = ["tcp", "udp", "sctp", "icmp", "icmp6"];

/// A whole address or network stands for the host, a transport for itself; other words are looked for in texts.
fn word(pattern: Pattern) -> Term {
    match &pattern {
        Pattern::Glob(text) => match Net::parse(text) {
            Some(net) => Term::Host(End::Either, vec![HostPattern::Net(net)]),
            None if TRANSPORTS.iter().any(|name| text.eq_ignore_ascii_case(name)) => {
                Term::Text(TextKey::Proto, vec![pattern])
            }
            None => Term::Word(pattern),
        },
        _ => Term::Word(pattern),
    }
}

fn is_ordered(key: &str) -> bool {
    measure(key).is_some() || is_severity(key)
}

fn measure(key: &str) -> Option<Measure> {
    if key.eq_ignore_ascii_case("dur") { Some(Measure::Age) } else { Measure::parse(key) }
}

fn is_severity(key: &str) -> bool {
    ["sev", "severity"].iter().any(|k| k.eq_ignore_ascii_case(key))
}

/// Keys that are neither a [`TextKey`] nor a [`Measure`], with an example of each.
const OTHER_KEYS: &[(&str, &str)] = &[
    ("class", "class:relay"),
    ("method", "method:relay"),
    ("host", "host:10.0.0.0/8"),
    ("src", "src:10.0.0.5"),
    ("dst", "dst:*.u5fgb.com"),
    ("port", "port:80,443 or port:1024-65535"),
    ("vlan", "vlan:100"),
    ("id", "id:1234567890"),
    ("state", "state:S0"),
    ("dur", "dur>30s"),
    ("sev", "sev>=warn"),
];

/// Every key, for completion and for help.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let texts = TextKey::ALL.iter().map(|k| k.text());
    OTHER_KEYS.iter().map(|(k, _)| *k).chain(texts).chain(Measure::ALL.iter().map(|m| m.text()))
}

fn pair(key: &str, key_span: Span, op: PairOp, values: &[Value]) -> Result<Term, Error> {
    let lower = key.to_ascii_lowercase();
    if let Some(empty) = values.iter().find(|v| matches!(&v.pattern, Pattern::Glob(text) if text.is_empty())) {
        return Err(Error::new(empty.span, "a value is missing here", example(&lower)));
    }
    if is_ordered(key) {
        return compare(key, key_span, op, values);
    }
    if matches!(op, PairOp::Compare(op) if op != Op::Eq) {
        if !keys().any(|known| known == lower) {
            return Err(unknown_key(key, key_span));
        }
        let hint = if lower == "port" { "write a range: port:1024-65535".to_owned() } else { example(&lower) };
        return Err(Error::new(key_span, format!("{key} is not a number that can be compared"), hint));
    }
    match lower.as_str() {
        "class" | "method" => each(values, class).map(Term::Class),
        "host" => each(values, host).map(|h| Term::Host(End::Either, h)),
        "dst" => each(values, host).map(|h| Term::Host(End::Responder, h)),
        "src" => each(values, address).map(|h| Term::Host(End::Originator, h)),
        "port" => each(values, |v| range(v, "port:80,443 or port:1024-65535")).map(Term::Port),
        "vlan" => each(values, |v| range(v, "vlan:100 or vlan:100-199")).map(Term::Vlan),
        "id" => each(values, id).map(Term::Id),
        "state" => each(values, state).map(Term::State),
        _ => match TextKey::parse(&lower) {
            Some(key) => each(values, |value| text(key, value)).map(|patterns| Term::Text(key, patterns)),
            None => Err(unknown_key(key, key_span)),
        },
    }
}

fn each<T>(values: &[Value], read: impl Fn(&Value) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    values.iter().map(read).collect()
}

fn unknown_key(key: &str, span: Span) -> Error {
    let hint = match closest(key, keys()) {
        Some(near) => format!("did you mean {near}?  (a word that holds : or < > = stands in quotes)"),
        None => {
            format!("keys are {}; a word that holds : or < > = stands in quotes", keys().collect::<Vec<_>>().join(" "))
        }
    };
    Error::new(span, format!("there is no key {key:?}"), hint)
}

/// The candidate that `word` was most likely meant to be.
fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    candidates
        .map(|c| (strsim::jaro_winkler(&word, &c.to_ascii_lowercase()), c))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

fn example(key: &str) -> String {
    let example = OTHER_KEYS.iter().find(|(k, _)| *k == key).map(|(_, e)| (*e).to_owned());
    let example = example.or_else(|| {
        Some(match TextKey::parse(key)? {
            TextKey::Sni | TextKey::QuicSni | TextKey::Dns => format!("{key}:*.u5fgb.com"),
            TextKey::Region => "region:us-west".to_owned(),
            TextKey::Role => "role:recorder".to_owned(),
            TextKey::Proto => "proto:udp".to_owned(),
            TextKey::Flag => "flag:unusual-port".to_owned(),
            TextKey::Tunnel => "tunnel:vxlan,erspan*".to_owned(),
            TextKey::Subclass => "subclass:video-up".to_owned(),
            TextKey::QuicVersion => "quic.version:v1,v2".to_owned(),
            TextKey::Ja4 => "ja4:t13d*".to_owned(),
            TextKey::Community => "community:1:…".to_owned(),
            TextKey::Finding => "finding:CF-1, a kind such as finding:dns-blocked, or a word of one".to_owned(),
        })
    });
    format!("write {}", example.unwrap_or_else(|| "KEY:VALUE".to_owned()))
}

/// The plain text of a value that cannot be a regular expression.
fn plain<'v>(value: &'v Value, hint: &str) -> Result<&'v str, Error> {
    match &value.pattern {
        Pattern::Glob(text) | Pattern::Literal(text) => Ok(text),
        Pattern::Regex(_) => {
            Err(Error::new(value.span, "no regular expression can stand here", format!("write {hint}")))
        }
    }
}

fn class(value: &Value) -> Result<Class, Error> {
    let text = plain(value, "class:relay")?.to_ascii_lowercase();
    Class::parse(&text).ok_or_else(|| not_one_of("class", &text, value.span, Class::ALL.iter().map(|c| c.name())))
}

fn state(value: &Value) -> Result<State, Error> {
    let text = plain(value, "state:S0")?;
    State::parse(text).ok_or_else(|| not_one_of("state", text, value.span, State::ALL.iter().map(|s| s.text())))
}

/// A value of a key whose words are known fits one of them.
fn text(key: TextKey, value: &Value) -> Result<Pattern, Error> {
    let pattern = vocabulary::meant(key, &value.pattern);
    match vocabulary::words(key) {
        Some(words) if !vocabulary::is_open(key, &pattern) && !words.iter().any(|word| pattern.is(word)) => {
            Err(not_one_of(key.text(), &pattern.to_string(), value.span, words.iter().copied()))
        }
        _ => Ok(pattern),
    }
}

/// The most words that a hint lists.
const LISTED: usize = 60;

fn not_one_of<'a>(what: &str, text: &str, span: Span, all: impl Iterator<Item = &'a str> + Clone) -> Error {
    let hint = match closest(text, all.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None if all.clone().count() > LISTED => example(what),
        None => format!("one of {}", all.collect::<Vec<_>>().join(" ")),
    };
    Error::new(span, format!("there is no {what} {text:?}"), hint)
}

fn host(value: &Value) -> Result<HostPattern, Error> {
    if let Pattern::Glob(text) = &value.pattern {
        if let Some(net) = Net::parse(text) {
            return Ok(HostPattern::Net(net));
        }
        if text.contains('/') {
            return Err(Error::new(value.span, "this is no network", "write ADDRESS/BITS, such as 10.0.0.0/8"));
        }
    }
    Ok(HostPattern::Name(value.pattern.clone()))
}

fn address(value: &Value) -> Result<HostPattern, Error> {
    match host(value)? {
        net @ HostPattern::Net(_) => Ok(net),
        HostPattern::Name(_) => {
            let hint = "names are those of the responder: write dst:NAME or host:NAME";
            Err(Error::new(value.span, "src takes an address or a network", hint))
        }
    }
}

fn range(value: &Value, hint: &str) -> Result<Range, Error> {
    let text = plain(value, hint)?;
    let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Range(first, last)),
        (Some(_), Some(_)) => Err(Error::new(value.span, "this range runs backwards", format!("write {hint}"))),
        _ => Err(Error::new(value.span, "not a number from 0 to 65535, nor a range", format!("write {hint}"))),
    }
}

fn id(value: &Value) -> Result<u64, Error> {
    let hint = "id:1234567890";
    let number = plain(value, hint)?.parse();
    number.map_err(|_| Error::new(value.span, "not a flow id", "write the flow_id of a record, such as id:1234567890"))
}

/// A [`Measure`] or a severity, compared.
fn compare(key: &str, key_span: Span, op: PairOp, values: &[Value]) -> Result<Term, Error> {
    let [value] = values else {
        return Err(Error::new(key_span, format!("{key} is compared with one value"), "join two comparisons by or"));
    };
    let op = match op {
        PairOp::Compare(op) => op,
        PairOp::Is if is_severity(key) => Op::Eq,
        PairOp::Is => {
            let hint = format!("write {key}>… or {key}<…");
            return Err(Error::new(key_span, format!("{key} is a number to compare"), hint));
        }
    };
    let Some(measure) = measure(key) else {
        let text = plain(value, "sev>=warn")?;
        let severity = Severity::meant(text);
        return severity
            .map(|s| Term::Severity(op, s))
            .ok_or_else(|| not_one_of("severity", text, value.span, Severity::ALL.iter().map(|s| s.text())));
    };
    let number = plain(value, number::hint(measure)).and_then(|text| {
        number::parse(measure, text).map_err(|hint| Error::new(value.span, format!("not a number of {key}"), hint))
    })?;
    Ok(Term::Compare(measure, op, number))
}
