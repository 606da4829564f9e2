//! Which of many flows pass a filter. What many of them have in common (a name, an address) is looked at once.

use std::net::IpAddr;

use super::asked::Asked;
use super::ast::{Expr, HostPattern, Term, TextKey};
use super::known::Known;
use super::text::Pattern;
use super::texts::Texts;
use super::{Filter, matches};

/// Which of a flow's texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// All in which a bare word is looked for ([`Asked::words`]), and its addresses.
    Any,
    /// [`Asked::server_names`].
    Server,
    /// [`Asked::host_names`].
    Host,
    /// [`Asked::dns_names`].
    Dns,
}

/// Many flows, with what they have in common at hand.
pub trait Rows {
    /// A flow.
    type Flow: Asked;

    /// All of them, in order.
    fn flows(&self) -> &[Self::Flow];

    /// For each flow whether one of these texts of it passes; `pass` says which of many do.
    fn with_text(&self, naming: Naming, pass: &dyn Fn(&Texts) -> Vec<bool>) -> Vec<bool>;

    /// For each flow whether `holds` for its originator's address, and its responder's.
    fn with_ends(&self, holds: &dyn Fn(IpAddr) -> bool) -> Vec<[bool; 2]>;
}

impl Filter {
    /// Whether each of the flows passes, as [`Filter::matches`] would tell one by one.
    pub fn select(&self, rows: &impl Rows, known: &Known<'_>) -> Vec<bool> {
        let mut passing = vec![true; rows.flows().len()];
        if let Some(expr) = self.expr() {
            narrow(expr, rows, known, &mut passing);
        }
        passing
    }
}

/// Leaves those marked in `passing` that pass the expression, too.
fn narrow(expr: &Expr, rows: &impl Rows, known: &Known<'_>, passing: &mut [bool]) {
    match expr {
        Expr::And(parts) => parts.iter().for_each(|part| narrow(part, rows, known, passing)),
        Expr::Or(parts) => {
            let mut left = passing.to_vec();
            for part in parts {
                let mut found = left.clone();
                narrow(part, rows, known, &mut found);
                left.iter_mut().zip(found).for_each(|(left, found)| *left &= !found);
            }
            passing.iter_mut().zip(left).for_each(|(passes, left)| *passes &= !left);
        }
        Expr::Not(inner) => {
            let mut found = passing.to_vec();
            narrow(inner, rows, known, &mut found);
            passing.iter_mut().zip(found).for_each(|(passes, found)| *passes &= !found);
        }
        Expr::Term(term) => test(term, rows, known, passing),
    }
}

fn test(term: &Term, rows: &impl Rows, known: &Known<'_>, passing: &mut [bool]) {
    let mut keep = |found: Vec<bool>| passing.iter_mut().zip(found).for_each(|(passes, found)| *passes &= found);
    let named = |naming, patterns: &[Pattern]| {
        rows.with_text(naming, &|texts| texts.each(|text| patterns.iter().any(|pattern| pattern.names(text))))
    };
    match term {
        Term::Word(pattern) => keep(rows.with_text(Naming::Any, &|texts| texts.holding(pattern))),
        Term::Text(TextKey::Sni, patterns) => keep(named(Naming::Server, patterns)),
        Term::Text(TextKey::Dns, patterns) => keep(named(Naming::Dns, patterns)),
        Term::Host(end, hosts) => {
            let net = |ip| hosts.iter().any(|host| matches!(host, HostPattern::Net(net) if net.contains(ip)));
            let name = |text: &str| hosts.iter().any(|host| matches::is_host_name(*end, host, text));
            let mut found: Vec<bool> = rows.with_ends(&net).into_iter().map(|ends| end.is_met(ends)).collect();
            if hosts.iter().any(|host| matches!(host, HostPattern::Name(_))) {
                let named = rows.with_text(Naming::Host, &|texts| texts.each(name));
                found.iter_mut().zip(named).for_each(|(found, named)| *found |= named);
            }
            keep(found);
        }
        _ => {
            let flows = passing.iter_mut().zip(rows.flows());
            flows.for_each(|(passes, flow)| *passes = *passes && matches::term(term, flow, known));
        }
    }
}
