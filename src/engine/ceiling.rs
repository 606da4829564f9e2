//! A ceiling on what the shards hold, kept whatever arrives.
//!
//! What a frame may add is known by its length, so it need only be counted what is held when so many frames have come
//! that it may have grown too much. Then flows of DNS with long lists go, and those that were silent for longest, those of
//! the system last, until there is room again. All is by packets alone: the same packets are let go at the same frames.

use std::collections::HashSet;

use super::analysis::{Analysis, FlowAt, FlowView};
use super::compact::Keep;
use super::held::of_dns;
use super::naming::Naming;
use super::parts::Kind;
use super::shard::Shard;
use super::{Engine, learnt};
use crate::decode::proto;
use crate::flow::Flow;
use crate::flow::key::SHARDS;
use crate::source::Shed;
use crate::time::SECOND;

/// The least ceiling that makes sense, in bytes: tables grow by blocks, sixteen times.
pub const LEAST: usize = 16 << 20;
/// What a frame may add: a flow with its rows, and of what it carries a few times its length, in bytes.
const FRAME: usize = 1 << 10;
const TIMES: usize = 4;
/// The part of a ceiling, in sixteenths, at which there is too much; the rest is for what the letting go itself takes.
const FULL: usize = 12;
/// The part that is held when there is room again.
const ROOMY: usize = 8;
/// The same where more comes than there is time for: few flows go at a time then, which costs more for each, as nothing
/// else is done meanwhile.
const STRAINED: usize = 10;
/// How often flows are let go at once at the most.
const ROUNDS: usize = 16;
/// The least share of all flows that goes at once: for a few it is not worth to go through all.
const SHARE: f64 = 1.0 / 16.0;
/// A flow of DNS whose list takes more than the ceiling divided by this goes before others: who asks from one port is
/// never silent for long, and all others would go for its list. With the next message such a flow begins anew, which a
/// connection of TCP cannot.
const LONG: usize = 8192;
/// The same of one that asked for a name of the system: what came of that is told as long as the flow is there.
const LONG_OF_SYSTEM: usize = LONG / 4;
/// An answer comes within this, in nanoseconds, or not at all: question and answer are told together.
const ANSWERED: u64 = 2 * SECOND;
/// What an address that DNS told takes at the least, in bytes: it is kept, and put in order as often as all is named.
const ANSWER: usize = 96;
/// How long, in nanoseconds, all answers of DNS are kept where there is no room.
const ANSWERS: u64 = 600 * SECOND;

/// A ceiling.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    most: usize,
    /// What may still be added before it is counted again.
    room: usize,
    /// Packets that had been passed over when it was last asked.
    shed: u64,
    /// Bytes that are held beside the shards.
    beside: usize,
}

impl Ceiling {
    /// Of so many bytes, [`LEAST`] at least.
    pub fn new(most: usize) -> Self {
        let most = most.max(LEAST);
        Ceiling { most, room: part(most, ROOMY), shed: 0, beside: 0 }
    }

    /// Takes a frame of which so many bytes were captured. False: first it must be made sure that there is room
    /// ([`Engine::make_room`]).
    #[inline]
    pub fn takes(&mut self, captured: usize) -> bool {
        let cost = captured.saturating_mul(TIMES).saturating_add(FRAME);
        let left = self.room.checked_sub(cost);
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// So many bytes are held beside the shards from now on, by what was made of what they hold. Half of the ceiling is
    /// theirs all the same: less of them is what makes less of it.
    pub fn set_beside(&mut self, bytes: usize) {
        let bytes = bytes.min(self.most / 2);
        self.room = self.room.saturating_sub(bytes.saturating_sub(self.beside));
        self.beside = bytes;
    }

    /// Gives back what was counted for packets that have been passed over since: they add nothing. Whether that is
    /// enough to go on with.
    fn gives_back(&mut self, shed: u64) -> bool {
        let since = shed.saturating_sub(std::mem::replace(&mut self.shed, shed));
        self.room = self.room.saturating_add(usize::try_from(since).unwrap_or(usize::MAX).saturating_mul(FRAME));
        self.room >= part(self.most, 1)
    }
}

fn part(most: usize, sixteenths: usize) -> usize {
    most.saturating_mul(sixteenths) / 16
}

impl Engine {
    /// Bytes of memory that flows, streams and names hold.
    pub fn held(&self) -> usize {
        self.analysis.shards.iter().map(|shard| shard.held()).sum()
    }

    /// Makes room below a ceiling: lets flows go if too much is held, and gives each to `tell` before. All numbers and
    /// places change then, which is what it says; `naming` was used for that and is to be renewed.
    ///
    /// # Errors
    /// What `tell` gives.
    pub fn make_room<E>(
        &mut self,
        ceiling: &mut Ceiling,
        naming: &mut Naming<'_>,
        mut tell: impl FnMut(&FlowView<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        if ceiling.gives_back(self.analysis.shed()) {
            return Ok(false);
        }
        let most = ceiling.most.saturating_sub(ceiling.beside);
        let mut held = self.held();
        let full = held > part(most, FULL);
        let roomy = part(most, if self.shed == Shed::Nothing { ROOMY } else { STRAINED });
        for round in 0..ROUNDS {
            if !full || held <= roomy || self.analysis.is_empty() {
                break;
            }
            let over = held.saturating_sub(roomy);
            let share = (over as f64 / held as f64).max(SHARE);
            let pick = |analysis: &Analysis, naming: &Naming<'_>| {
                let long = if round == 0 { long_lists(analysis, ceiling.most) } else { Vec::new() };
                if long.is_empty() { first_to_go(analysis, naming, share) } else { long }
            };
            self.let_go(pick, ceiling.most, naming, &mut tell)?;
            held = self.held();
        }
        // where nothing helps, it is at least not counted at every frame
        ceiling.room = part(most, FULL).saturating_sub(held).max(part(most, 1));
        Ok(full)
    }

    /// Lets go of the flows that are picked.
    fn let_go<E>(
        &mut self,
        pick: impl FnOnce(&Analysis, &Naming<'_>) -> Vec<FlowAt>,
        most: usize,
        naming: &mut Naming<'_>,
        tell: &mut impl FnMut(&FlowView<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let analysis = self.look();
        naming.renew(analysis);
        let going = pick(analysis, naming);
        let latest = analysis.totals.last;
        for at in &going {
            if let Some(view) = analysis.view(*at, naming) {
                tell(&view)?;
            }
        }
        for at in &going {
            if let Some(flow) = self.analysis.flow_mut(*at) {
                flow.give_up();
            }
        }
        let answers = latest.before(ANSWERS);
        let room = part(most, 1) / SHARDS / ANSWER;
        self.compact(&Keep { flow: &|flow| !flow.given_up(), answers, names: answers, room });
        Ok(())
    }
}

/// Flows of DNS with long lists, and no question that may be answered yet. What they told of names stays.
fn long_lists(analysis: &Analysis, most: usize) -> Vec<FlowAt> {
    let since = analysis.totals.last.before(ANSWERED);
    let taken = |shard: &Shard, flow: &Flow| {
        let dns = shard.learner.dns.get(shard.learner.parts.get(flow.learnt, Kind::Dns));
        dns.filter(|dns| flow.proto() == proto::UDP && !dns.asked_since(since)).map_or(0, of_dns)
    };
    let mut long = analysis.places_of(|shard, flow| taken(shard, flow) > most / LONG);
    let watched: HashSet<(u32, u32)> = (0u32..)
        .zip(&analysis.shards)
        .flat_map(|(at, shard)| shard.learner.asked.iter().map(move |asked| (at, asked.flow)))
        .collect();
    let of_flow = |at: &FlowAt| {
        let shard = analysis.shard_of(*at)?;
        Some(taken(shard, shard.table.flow(at.number())?))
    };
    let is_very_long = |at: &FlowAt| of_flow(at).is_some_and(|bytes| bytes > most / LONG_OF_SYSTEM);
    long.retain(|at| !watched.contains(&(at.shard, at.number())) || is_very_long(at));
    long
}

/// A share of all flows, those that are missed least, in the order of their first frames. Little is put down of each
/// flow for that, as there is no room.
fn first_to_go(analysis: &Analysis, naming: &Naming<'_>, share: f64) -> Vec<FlowAt> {
    let all = || analysis.shards.iter().flat_map(|shard| shard.table.flows().map(move |(_, flow)| (shard, flow)));
    let mut ranks = Vec::with_capacity(analysis.len());
    ranks.extend(all().map(|(shard, flow)| rank(naming, shard, flow)));
    let count = (ranks.len() as f64 * share).ceil() as usize;
    let Some(last) = count.checked_sub(1).filter(|at| *at < ranks.len()) else { return Vec::new() };
    let (less, most, _) = ranks.select_nth_unstable(last);
    let most = *most;
    let mut alike = count.saturating_sub(less.iter().filter(|rank| **rank < most).count());
    drop(ranks);
    let mut going = analysis.places_of(|shard, flow| rank(naming, shard, flow) <= most);
    going.retain(|at| {
        let flow = analysis.shard_of(*at).and_then(|shard| Some((shard, shard.table.flow(at.number())?)));
        let least = flow.is_some_and(|(shard, flow)| rank(naming, shard, flow) < most);
        let stays = !least && alike == 0;
        alike = alike.saturating_sub(usize::from(!least));
        !stays
    });
    going
}

/// The more, the later a flow is to go: what was told goes first, what is of the system last, and what was silent for
/// longest before others.
fn rank(naming: &Naming<'_>, shard: &Shard, flow: &Flow) -> u64 {
    let message = |http: &learnt::Http| http.message_http != 0;
    let of_system = naming.is_to_vendor(shard, flow) || shard.learner.http_of(flow).is_some_and(message);
    u64::from(!flow.told()) << 63 | u64::from(of_system) << 62 | flow.last.0.min((1 << 62) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frames_may_add_is_counted_down() {
        let mut ceiling = Ceiling::new(0);
        let frames = (0..).take_while(|_| ceiling.takes(256)).count();
        assert_eq!(frames, part(LEAST, ROOMY) / (FRAME + TIMES * 256));
        assert!(!ceiling.takes(256) && !ceiling.takes(usize::MAX));
    }

    #[test]
    fn what_is_held_beside_leaves_less_room() {
        let frames = |beside: &[usize]| {
            let mut ceiling = Ceiling::new(0);
            beside.iter().for_each(|bytes| ceiling.set_beside(*bytes));
            (0..).take_while(|_| ceiling.takes(256)).count() * (FRAME + TIMES * 256)
        };
        assert_eq!(frames(&[0]), part(LEAST, ROOMY));
        assert_eq!(frames(&[1 << 20]), part(LEAST, ROOMY) - (1 << 20));
        assert_eq!(frames(&[1 << 20, 2 << 20, 1 << 20]), part(LEAST, ROOMY) - (2 << 20));
        assert_eq!(frames(&[usize::MAX]), part(LEAST, ROOMY) - LEAST / 2);
    }
}
