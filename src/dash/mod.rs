//! The dashboard: what is wrong first, then everything that shows it.
//!
//! A [`snapshot::Snapshot`] of what the engine knows comes in now and then; keys and clicks come in as
//! [`update::Action`]s; [`state::Dash::update`] changes the state and says what it asks of the world; [`draw::draw`]
//! puts the state into a buffer of cells. None of it knows a terminal, a file, a thread or a clock.

pub mod command;
pub mod complete;
pub mod copy;
pub mod deeds;
pub mod detail;
pub mod draw;
pub mod group;
pub mod history;
pub mod key;
pub mod listing;
pub mod mask;
mod mouse;
mod order;
pub mod prompt;
pub mod snapshot;
pub mod state;
mod table;
pub mod take;
pub mod theme;
mod transport;
pub mod update;
pub mod ways;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod update_tests;
