//! What a box has done to the streams between two captures.
//!
//! Each stream is judged by what may have carried it on: the one flow that is its other half, or all flows to the same
//! place of which nobody knows whose they are. So that much came out at most, and a box that uses few connections for many
//! is never taken for one that holds.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use crate::diagnose::rules::Rules;
use crate::diagnose::settings::Legs as Settings;
use crate::engine::case::{Case, Direction, TcpCase};
use crate::engine::leg::LegFlow;
use crate::event::{Class, HINT, Mode};

use super::Legs;
use super::curve::Curve;
use super::hold::{self, Hold};
use super::join::{Join, Joined, Pool, goes_out};
use super::lag::{self, Lag};

/// What was found of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The inner flows that it is about, the leading one first.
    pub lan: Vec<usize>,
    /// The outer flows that were, or could have been, their other half.
    pub wan: Vec<usize>,
    /// Who sends the stream.
    pub sender: Direction,
    /// What the box did.
    pub what: What,
    /// The most that this can be sure.
    pub most: f64,
}

/// What a box did to a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// It held it.
    Held(Hold, Mode),
    /// It passed each message on only with the next.
    Lagged(Lag),
    /// It seems to have held it, but something else may be to blame.
    Open(Hold, Doubt),
}

/// Why a hold is not claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The outer capture does not see all that leaves.
    Unseen,
    /// A capture has missed packets just there.
    Missed,
    /// What was sent on was not acknowledged: the line or the far end is slow.
    Busy,
    /// The receiver itself took no more.
    Closed,
    /// The box has refused.
    Refused,
}

impl Doubt {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Doubt::Unseen => "the outer capture does not see all that leaves the site",
            Doubt::Missed => "a capture has missed packets",
            Doubt::Busy => "what was passed on was not acknowledged: the line behind is slow",
            Doubt::Closed => "the receiver took no more",
            Doubt::Refused => "the box refused it",
        }
    }
}

/// Judges all streams.
pub fn judge(legs: &Legs<'_>, joined: &Joined, rules: &Rules) -> Vec<Judged> {
    let settings = &rules.settings.legs;
    let bench = Bench { legs, joined, settings };
    let mut found: Vec<Judged> = Vec::new();
    for pair in joined.pairs.iter().filter(|pair| !pair.same) {
        let streams = [Direction::Orig, Direction::Resp].into_iter();
        found.extend(streams.filter_map(|sender| bench.stream(sender, &[pair.clone()], &[pair.lan], &[pair.wan])));
    }
    for pool in &joined.pools {
        found.extend(bench.pool(pool));
    }
    found
}

struct Bench<'a> {
    legs: &'a Legs<'a>,
    joined: &'a Joined,
    settings: &'a Settings,
}

impl Bench<'_> {
    fn lan(&self, at: usize) -> Option<&LegFlow> {
        self.legs.lan.flows.get(at)
    }

    fn wan(&self, at: usize) -> Option<&LegFlow> {
        self.legs.wan.flows.get(at)
    }

    /// The streams of a pool: each by itself; and where none of a client's was long enough for that, all of them.
    fn pool(&self, pool: &Pool) -> Vec<Judged> {
        let mut found = Vec::new();
        let mut clients: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
        for at in &pool.lan {
            let Some(flow) = self.lan(*at) else { continue };
            clients.entry(flow.case.orig.0).or_default().push(*at);
            found.extend(self.stream(Direction::Orig, &[], &[*at], &pool.wan));
        }
        for join in &pool.likely {
            found.extend(self.stream(Direction::Resp, std::slice::from_ref(join), &pool.lan, &pool.wan));
        }
        let has = |found: &[Judged], client: &[usize]| found.iter().any(|j| j.lan.iter().any(|at| client.contains(at)));
        for flows in clients.values().filter(|flows| flows.len() > 1) {
            if has(&found, flows) {
                continue;
            }
            let likely: Vec<Join> = pool.likely.iter().filter(|join| flows.contains(&join.lan)).cloned().collect();
            let up = self.stream(Direction::Orig, &[], flows, &pool.wan);
            let down = || (likely.len() > 1).then(|| self.stream(Direction::Resp, &likely, &pool.lan, &pool.wan)).flatten();
            found.extend(up.or_else(down));
        }
        found
    }

    /// What became of a stream that `sender` sends. Out of the site it goes in by the flows of `lan` and comes out by any
    /// of `wan`; into the site it goes in by the outer halves of `halves` and comes out by any of `lan`.
    fn stream(&self, sender: Direction, halves: &[Join], lan: &[usize], wan: &[usize]) -> Option<Judged> {
        let leading: Vec<usize> =
            if halves.is_empty() { lan.to_vec() } else { halves.iter().map(|half| half.lan).collect() };
        let flows: Vec<&LegFlow> = leading.iter().filter_map(|at| self.lan(*at)).collect();
        let others: Vec<&LegFlow> = wan.iter().filter_map(|at| self.wan(*at)).collect();
        let carries = |flow: &&LegFlow| is_judged(&flow.case);
        if !flows.iter().all(|flow| flow.case.established && !flow.case.one_sided && goes_out(&flow.case))
            || !flows.iter().any(carries) && !others.iter().any(carries)
        {
            return None;
        }
        let outward = sender == Direction::Orig;
        let (put_in, come_out) = if outward {
            let put_in = flows.iter().map(|flow| self.inner(flow, sender, true));
            (put_in.collect::<Vec<_>>(), others.iter().map(|flow| self.outer(flow, sender, false)).collect::<Vec<_>>())
        } else {
            let put_in = halves.iter().filter_map(|half| {
                let (flow, other) = (self.lan(half.lan)?, self.wan(half.wan)?);
                // what the box still fetches for nobody is not held from anybody
                Some(self.outer(other, sender, true).within(f64::NEG_INFINITY, self.open_until(flow)))
            });
            let all = lan.iter().filter_map(|at| self.lan(*at));
            (put_in.collect(), all.map(|flow| self.inner(flow, sender, false)).collect())
        };
        let [begin, end] = self.legs.overlap();
        let open = flows.iter().map(|flow| self.open_until(flow)).fold(f64::NEG_INFINITY, f64::max);
        let alone = flows.len() == 1;
        let end = if !outward && alone { end.min(open) } else { end };
        let (put_in, come_out) = (Curve::sum(&put_in), Curve::sum(&come_out));
        let doubt = self.legs.clock.uncertainty;
        let judged = |what: What, most: f64| {
            Some(Judged { lan: leading.clone(), wan: wan.to_vec(), sender, what, most })
        };
        let Some(hold) = hold::find(&put_in, &come_out, [begin, end], doubt, self.settings) else {
            let one = alone && halves.len() <= 1 && wan.len() == 1 || halves.len() == 1;
            let lag = one.then(|| lag::find(&put_in, &come_out, doubt, self.settings)).flatten()?;
            return judged(What::Lagged(lag), 1.0);
        };
        if !outward && !alone && self.waited(&flows, hold.from.at) < self.settings.held_seconds {
            return None;
        }
        let (out_flows, in_flows): (Vec<&LegFlow>, &[&LegFlow]) =
            if outward { (others.clone(), &flows) } else { (flows.clone(), &others) };
        match self.doubt(sender, &hold, &flows, in_flows, &out_flows) {
            Some(why) => judged(What::Open(hold, why), HINT),
            None => judged(What::Held(hold, self.mode(outward, &hold, &flows)), 1.0),
        }
    }

    fn inner(&self, flow: &LegFlow, sender: Direction, taken: bool) -> Curve {
        curve(flow, sender, self.legs.lan_at(flow.case.first()), taken)
    }

    fn outer(&self, flow: &LegFlow, sender: Direction, taken: bool) -> Curve {
        curve(flow, sender, self.legs.wan_at(flow.case.first()), taken)
    }

    /// When a flow of the inner capture was ended; never, if nobody has.
    fn open_until(&self, flow: &LegFlow) -> f64 {
        let ended = flow.case.tcp.as_ref().is_some_and(|tcp| tcp.fin_by.is_some() || tcp.rst_by.is_some());
        if ended { self.legs.lan_at(flow.case.last) } else { f64::INFINITY }
    }

    /// For how long clients have waited in all, from `from` on.
    fn waited(&self, flows: &[&LegFlow], from: f64) -> f64 {
        let [_, end] = self.legs.overlap();
        flows.iter().map(|flow| (self.open_until(flow).min(end) - self.legs.lan_at(flow.case.first()).max(from)).max(0.0)).sum()
    }

    /// What else may be to blame for a hold, if anything.
    fn doubt(
        &self,
        sender: Direction,
        hold: &Hold,
        flows: &[&LegFlow],
        in_flows: &[&LegFlow],
        out_flows: &[&LegFlow],
    ) -> Option<Doubt> {
        let outward = sender == Direction::Orig;
        let blind = self.is_blind(hold) || outward && out_flows.is_empty() && !self.sees_all(flows);
        if blind {
            return Some(Doubt::Unseen);
        }
        let missed = |flow: &&LegFlow| {
            flow.case.one_sided || trouble(&flow.case, sender).is_some_and(|t| t.missed as f64 > self.settings.missed_share * hold.put_in)
        };
        if out_flows.iter().any(missed) || in_flows.iter().any(missed) {
            return Some(Doubt::Missed);
        }
        let at = |flow: &LegFlow| {
            let first = flow.case.first();
            if outward { self.legs.wan_at(first) } else { self.legs.lan_at(first) }
        };
        if out_flows.iter().any(|flow| self.is_busy(flow, sender, at(flow), hold)) {
            return Some(Doubt::Busy);
        }
        let closed = out_flows.iter().filter_map(|flow| trouble(&flow.case, other(sender))).any(|t| {
            let since = if outward { self.legs.wan_at(t.closed.since) } else { self.legs.lan_at(t.closed.since) };
            let until = since + crate::time::seconds(t.closed.nanos);
            t.closed.nanos > 0 && until.min(hold.until) - since.max(hold.from.at) >= self.settings.closed_share * (hold.until - hold.from.at)
        });
        if closed {
            return Some(Doubt::Closed);
        }
        (outward && flows.iter().all(|flow| self.is_refused(&flow.case, hold))).then_some(Doubt::Refused)
    }

    /// Whether the box answered an upload itself with a refusal, or broke it off, before it had held it for long.
    fn is_refused(&self, case: &Case, hold: &Hold) -> bool {
        let Some(tcp) = &case.tcp else { return false };
        let turns = case.http.iter().flat_map(|http| &http.turns);
        // a timeout is how a hold ends that is nobody's refusal
        let refuses = turns.map(|turn| turn.turn.status).any(|status| status >= 400 && !matches!(status, 408 | 504));
        let broken = tcp.rst_by == Some(Direction::Resp) || tcp.fin_by == Some(Direction::Resp);
        let lasted = self.open_until_of(case) - hold.from.at;
        refuses || broken && lasted < self.settings.refusal_seconds
    }

    fn open_until_of(&self, case: &Case) -> f64 {
        self.legs.lan_at(case.last)
    }

    /// Whether the outer capture shows nothing during a hold of connections that go on in the inner one.
    fn is_blind(&self, hold: &Hold) -> bool {
        let (mut inside, mut outside) = (0.0, 0.0);
        let pairs = self.joined.pairs.iter().filter(|pair| pair.same);
        for (a, b) in pairs.filter_map(|pair| Some((self.lan(pair.lan)?, self.wan(pair.wan)?))) {
            for sender in [Direction::Orig, Direction::Resp] {
                let moved = |curve: Curve| curve.by(hold.until) - curve.by(hold.from.at);
                inside += moved(self.inner(a, sender, false));
                outside += moved(self.outer(b, sender, false));
            }
        }
        inside >= self.settings.same_bytes && outside < self.settings.seen_share * inside
    }

    /// Whether the outer capture shows most of what these flows' client has to do with the outside.
    fn sees_all(&self, flows: &[&LegFlow]) -> bool {
        let Some(client) = flows.first().map(|flow| flow.case.orig.0) else { return false };
        let joined: HashSet<usize> = self.joined.pairs.iter().map(|pair| pair.lan).collect();
        let [begin, end] = self.legs.overlap();
        let (mut seen, mut all) = (0usize, 0usize);
        for (at, flow) in self.legs.lan.flows.iter().enumerate() {
            let case = &flow.case;
            let inside = self.legs.lan_at(case.first()) >= begin && self.legs.lan_at(case.last) <= end;
            let own = flows.iter().any(|held| held.case.host.is_some() && held.case.host == case.host || held.case.resp == case.resp);
            if case.orig.0 == client && case.is_tcp() && case.established && inside && goes_out(case) && (!own || joined.contains(&at)) {
                all = all.saturating_add(1);
                seen = seen.saturating_add(usize::from(joined.contains(&at)));
            }
        }
        seen > 0 && seen as f64 >= self.settings.seen_share * all as f64
    }

    /// Whether what was passed on waits for its acknowledgement most of the time.
    fn is_busy(&self, flow: &LegFlow, sender: Direction, begun: f64, hold: &Hold) -> bool {
        let side = flow.side(sender);
        let sent = Curve::of(&side.sent, begun, false);
        let acked = Curve::of(&side.acked, begun, false);
        let looks = 40.0;
        let mut open = 0.0;
        let mut look = 0.0;
        while look < looks {
            look += 1.0;
            let at = hold.from.at + (hold.until - hold.from.at) * look / looks;
            open += f64::from(u8::from(sent.by(at) > acked.by(at) + 1.0));
        }
        acked.total() + sent.total() > 0.0 && open >= self.settings.busy_share * looks
    }

    fn mode(&self, outward: bool, hold: &Hold, flows: &[&LegFlow]) -> Mode {
        let closed = || {
            let box_closed = flows.iter().filter_map(|flow| trouble(&flow.case, Direction::Resp)).any(|t| {
                crate::time::seconds(t.closed.nanos) >= self.settings.closed_share * (hold.until - hold.from.at)
            });
            outward && box_closed
        };
        match () {
            () if hold.released.is_some() => Mode::HoldRelease,
            () if hold.drops as f64 >= self.settings.drops => Mode::Trickle,
            () if closed() => Mode::ZeroWindow,
            () if outward => Mode::UploadSwallow,
            () => Mode::BufferAll,
        }
    }
}

/// Whether a flow's streams are judged: those of the ways to view. What else a filter scans at leisure is its business.
fn is_judged(case: &Case) -> bool {
    matches!(case.class, Class::Relay | Class::Direct) || case.http.as_ref().is_some_and(|http| http.message_http.is_some())
}

fn curve(flow: &LegFlow, sender: Direction, begun: f64, taken: bool) -> Curve {
    let side = flow.side(sender);
    let line = if taken || side.sent.total() == 0 { &side.acked } else { &side.sent };
    Curve::of(line, begun, taken)
}

const fn other(direction: Direction) -> Direction {
    match direction {
        Direction::Orig => Direction::Resp,
        Direction::Resp => Direction::Orig,
    }
}

fn trouble(case: &Case, of: Direction) -> Option<&crate::engine::case::TroubleCase> {
    let tcp: &TcpCase = case.tcp.as_ref()?;
    let [orig, resp] = &tcp.trouble;
    Some(if of == Direction::Orig { orig } else { resp })
}
