//! Classification: what a flow is, as a pure function of facts and knowledge.
//!
//! Knowledge is data ([`catalogue`], [`rules`]); what one capture taught is an index ([`names`], [`roles`]); what a
//! flow showed is a plain struct ([`facts`]). [`decide::classify`] puts the three together and touches nothing else,
//! so its answer depends neither on order nor on threads.
//!
//! Names come off the wire and may be anything: every reading of them is bounded and cannot panic.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod buckets;
pub mod catalog;
pub mod catalogue;
pub mod decide;
pub mod explain;
pub mod facts;
pub mod host;
pub mod named;
pub mod names;
pub mod roles;
pub mod rules;
pub mod s3;
pub mod settings;
mod sieve;
pub mod site;
pub mod verdict;
pub mod watch;

pub use crate::event::labels as words;

/// What is wrong with a TOML file, on one line. `text` is the whole file, so that the line can be told; where it is
/// not at hand the message alone must do.
fn toml_error(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) if !text.is_empty() => {
            format!("line {}: {message}", before.matches('\n').count().saturating_add(1))
        }
        _ => message,
    }
}
