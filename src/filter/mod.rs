//! The filter language, the same everywhere a filter is asked for.
//!
//! ```text
//! filter  = and { or and }                        or, ||
//! and     = not { [and] not }                     and, &&, or just a blank
//! not     = [ ! | not ] ( '(' filter ')' | test )
//! test    = WORD | KEY:VALUE{,VALUE} | KEY OP NUMBER   (OP: < <= > >= = !=, no blanks around it)
//! ```
//!
//! - A bare word is found anywhere in a flow's names, addresses, class, subclass or region. A whole address or
//!   network (`10.0.0.0/8`) means `host:`. `re:/…/` is a regular expression, searched for. Case never counts,
//!   but in `community:`.
//! - `"…"` and `'…'` take everything literally; a backslash before the quote or a backslash escapes it. Elsewhere
//!   `*` stands for any run of characters and `?` for one.
//! - `host:` `dst:` `src:` an address, a network or (not `src:`) a name. A name without `*` stands for itself and
//!   all names under it, so `sni:u5fgb.com` is no substring of `evilu5fgb.com`. Likewise `sni:`, `quic.sni:` and
//!   `dns:`.
//! - `class:` (or `method:`) `subclass:` `flag:` `region:` `state:` `proto:` `ja4:` `quic.version:` `community:`
//!   `id:` `port:` `vlan:` `tunnel:` compare the whole value. Ports and VLANs take ranges. Several values, with commas,
//!   mean any of them. `KEY=VALUE` is `KEY:VALUE`, `KEY!=VALUE` its negation.
//! - `state:` takes Zeek's states and the words `open closed unanswered refused reset midstream one-sided interim
//!   held`.
//! - `conf rate rtt retrans age bytes pkts` are compared with a number: decimal units, rates in bits. `dur` is `age`.
//!   A flow that lacks the number (no round trip was seen) passes no comparison of it.
//! - `finding:` takes a finding's rule (`CF-1`), kind, mode or id, or a word of its kind (`stall`, `dns`), and passes
//!   the flows that such a finding cites, hints too. `sev` compares the gravest claim on the flow. `state:held` passes
//!   what a claim of a content-filter stall cites. `role:recorder` and `role:client` (or `viewer`) pass flows of such a
//!   host.
//! - A value of `class:` `state:` `finding:` `role:` `flag:` `subclass:` `proto:` that nothing can be is an error.
//! - Without a diagnosis nothing is found, so these but `role:` match nothing; [`Filter::asks_findings`] tells them, so
//!   that a caller can say it.

mod asked;
mod ast;
mod known;
mod lex;
mod matches;
mod number;
mod parse;
mod select;
mod text;
mod texts;
mod vocabulary;

use std::fmt;
use std::str::FromStr;

pub use asked::Asked;
pub use ast::{End, Expr, HostPattern, Measure, Net, Op, Range, State, Term, TextKey};
pub use known::Known;
pub use select::{Naming, Rows};
pub use text::{Pattern, Regex};
pub use texts::Texts;

use crate::text::safe::safe;

/// A parsed filter. The empty filter passes every flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    expr: Option<Expr>,
}

impl Filter {
    /// Parses an expression.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Filter { expr: parse::parse(text)? })
    }

    /// Whether the flow passes, by itself and by what is known beside it.
    pub fn matches(&self, flow: &impl Asked, known: &Known<'_>) -> bool {
        self.expr.as_ref().is_none_or(|e| matches::expr(e, flow, known))
    }

    /// The expression; `None` for the empty filter.
    pub fn expr(&self) -> Option<&Expr> {
        self.expr.as_ref()
    }

    /// Every key of the language.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        parse::keys()
    }

    /// The tests in it that ask what was found, as text.
    pub fn asks_findings(&self) -> Vec<String> {
        self.terms().filter(|term| asks_findings(term)).map(ToString::to_string).collect()
    }

    /// Whether a test in it asks what hosts are.
    pub fn asks_roles(&self) -> bool {
        self.terms().any(|term| matches!(term, Term::Text(TextKey::Role, _)))
    }

    /// Its single tests, in order.
    fn terms(&self) -> impl Iterator<Item = &Term> {
        let mut open: Vec<&Expr> = self.expr.iter().collect();
        std::iter::from_fn(move || {
            loop {
                match open.pop()? {
                    Expr::Or(parts) | Expr::And(parts) => open.extend(parts.iter().rev()),
                    Expr::Not(inner) => open.push(inner),
                    Expr::Term(term) => return Some(term),
                }
            }
        })
    }
}

fn asks_findings(term: &Term) -> bool {
    match term {
        Term::Text(TextKey::Finding, _) | Term::Severity(..) => true,
        Term::State(states) => states.contains(&State::Held),
        _ => false,
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Filter::parse(text)
    }
}

/// The canonical text, which parses to an equal filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.as_ref().map_or(Ok(()), |e| write!(f, "{e}"))
    }
}

/// Bytes of an expression, from `start` up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// Why an expression is no filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where it went wrong.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// How many characters of an expression stand on either side of the place that an error points at.
const CONTEXT: usize = 40;

impl Error {
    fn new(span: Span, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error { span, message: message.into(), hint: hint.into() }
    }

    /// Where it went wrong, in bytes from the beginning of the expression.
    pub const fn offset(&self) -> usize {
        self.span.start
    }

    /// The message, the expression `text` with carets under the place, and the hint, a line each. Of a long
    /// expression only the part around the place is shown.
    pub fn render(&self, text: &str) -> String {
        let (before, from) = text.split_at_checked(self.span.start).unwrap_or((text, ""));
        let at = from.get(..self.span.end.saturating_sub(self.span.start)).unwrap_or(from);
        let after = from.get(at.len()..).unwrap_or_default();

        let skip = before.chars().count().saturating_sub(CONTEXT);
        let before = format!("{}{}", if skip > 0 { "…" } else { "" }, visible(before.chars().skip(skip)));
        let place = visible(at.chars().take(CONTEXT));
        let after = if at.chars().count() > CONTEXT { "…".to_owned() } else { visible(after.chars().take(CONTEXT)) };

        let indent = " ".repeat(before.chars().count());
        let carets = "^".repeat(place.chars().count().max(1));
        let message = safe(&self.message);
        format!("{message}\n  {before}{place}{after}\n  {indent}{carets}\n  {}", safe(&self.hint))
    }
}

fn visible(chars: impl Iterator<Item = char>) -> String {
    safe(&chars.collect::<String>()).to_string()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {}); {}", safe(&self.message), self.span.start, safe(&self.hint))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
