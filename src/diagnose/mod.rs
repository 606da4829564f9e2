//! Diagnosis: what is wrong, where, how sure, and who must change what.
//!
//! A rule is data ([`rules`]); a detector looks at facts, asks the rule's thresholds, and drafts a finding ([`draft`]).
//! No detector reads packet bytes, and none knows a host by itself.

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

pub mod draft;
pub mod rules;
pub mod scene;
pub mod settings;
pub mod stall;
#[cfg(test)]
pub(crate) mod testcases;
