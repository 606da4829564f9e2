//! relayscope: names every flow of a cloud-managed video surveillance system, from packets alone.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod app;
pub mod capture;
pub mod carve;
pub mod changes;
pub mod classify;
pub mod cli;
pub mod compare;
mod crew;
pub mod dash;
pub mod decode;
pub mod diagnose;
pub mod engine;
pub mod event;
pub mod evidence;
pub mod exit;
pub mod filter;
pub mod flow;
pub mod handover;
pub mod inspect;
pub mod legs;
pub mod measure;
pub mod monitor;
pub mod pcapng;
pub mod pipeline;
pub mod platform;
pub mod present;
pub mod redact;
pub mod short;
pub mod source;
pub mod text;
pub mod time;
pub mod wire;
