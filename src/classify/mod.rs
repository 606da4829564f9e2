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

pub mod catalog;
pub mod catalogue;
pub mod decide;
pub mod explain;
pub mod facts;
pub mod host;
pub mod names;
pub mod roles;
pub mod rules;
pub mod s3;
pub mod site;
pub mod verdict;
pub mod words;
