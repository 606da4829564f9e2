//! What a box has done to the streams between two captures.
//!
//! Each stream is judged by what may have carried it on: the one flow that is its other half, or all flows to the same
//! place of which nobody knows whose they are. So that much came out at most, and a box that uses few connections for
//! many is never taken for one that holds.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use crate::diagnose::rules::Rules;
use crate::diagnose::settings::Legs as Settings;
use crate::engine::case::{Case, Direction, TcpCase, is_full_ttl};
use crate::engine::leg::LegFlow;
use crate::event::{Class, HINT, Mode};
use crate::time::seconds;

use super::Legs;
use super::curve::Curve;
use super::hold::{self, Hold};
use super::join::{Join, Joined, amount, goes_out};
use super::lag::{self, Lag};
use super::streams::{Part, PlaceOf, Streams};

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
    let bench = Bench::new(legs, joined, &rules.settings.legs);
    let places: Vec<PlaceOf<'_>> = joined.pools.iter().map(PlaceOf::new).collect();
    let mut found: Vec<Judged> = Vec::new();
    let mut groups: BTreeMap<Group, Streams<'_>> = BTreeMap::new();
    let pairs = joined.pairs.iter().filter(|pair| !pair.same).map(Streams::of_pair);
    let pooled = places.iter().flat_map(|place| place.pool.lan.iter().map(|lan| Streams::of_place(*lan, place)));
    for streams in pairs.chain(pooled) {
        found.extend(bench.judge(&streams));
        bench.add(&mut groups, streams);
    }
    // none of them may have been long enough by itself
    let known: HashSet<usize> = found.iter().flat_map(|judged| &judged.lan).copied().collect();
    let groups = groups.values().filter(|group| group.flows.len() > 1);
    found.extend(
        groups.filter(|group| !group.flows.iter().any(|at| known.contains(at))).flat_map(|group| bench.judge(group)),
    );
    found
}

/// A client, and what it goes to.
type Group = (IpAddr, String, u16);

struct Bench<'a> {
    legs: &'a Legs<'a>,
    joined: &'a Joined,
    /// The relay's addresses, as either capture has named them.
    relays: HashSet<IpAddr>,
    /// The inner flows that are joined one to one.
    paired: HashSet<usize>,
    /// What goes out of the site while both captures run, by its client: TCP that was established.
    by_client: HashMap<IpAddr, Vec<usize>>,
    /// What went in and came out of all connections that are the same on both sides.
    same: OnceCell<[Curve; 2]>,
    settings: &'a Settings,
}

impl<'a> Bench<'a> {
    fn new(legs: &'a Legs<'a>, joined: &'a Joined, settings: &'a Settings) -> Bench<'a> {
        let all = legs.lan.flows.iter().chain(&legs.wan.flows);
        let relays = all.filter(|flow| flow.case.class == Class::Relay && flow.case.via_proxy.is_none());
        let [begin, end] = legs.overlap();
        let mut by_client: HashMap<IpAddr, Vec<usize>> = HashMap::new();
        for (at, flow) in legs.lan.flows.iter().enumerate() {
            let case = &flow.case;
            let meanwhile = legs.lan_at(case.first()) < end && legs.lan_at(case.last) > begin;
            if case.is_tcp() && case.established && meanwhile && goes_out(case) {
                by_client.entry(case.orig.0).or_default().push(at);
            }
        }
        Bench {
            legs,
            joined,
            relays: relays.map(|flow| flow.case.resp.0).collect(),
            paired: joined.pairs.iter().map(|pair| pair.lan).collect(),
            by_client,
            same: OnceCell::new(),
            settings,
        }
    }

    fn lan(&self, at: usize) -> Option<&'a LegFlow> {
        self.legs.lan.flows.get(at)
    }

    fn wan(&self, at: usize) -> Option<&'a LegFlow> {
        self.legs.wan.flows.get(at)
    }

    /// Adds streams to those of the same client to the same place.
    fn add(&self, groups: &mut BTreeMap<Group, Streams<'a>>, streams: Streams<'a>) {
        let Some(case) = streams.flows.first().and_then(|at| self.lan(*at)).map(|flow| &flow.case) else { return };
        let to = case.host.clone().unwrap_or_else(|| case.resp.0.to_string());
        let group = groups.entry((case.orig.0, to, case.port())).or_default();
        group.flows.extend(streams.flows);
        group.halves.extend(streams.halves);
        group.lan.extend(streams.lan);
        group.wan.extend(streams.wan);
        for place in streams.places {
            if !group.places.iter().any(|known| std::ptr::eq(*known, place)) {
                group.places.push(place);
            }
        }
    }

    /// What became of streams, in both directions.
    fn judge(&self, streams: &Streams<'_>) -> Vec<Judged> {
        [Direction::Orig, Direction::Resp].into_iter().filter_map(|sender| self.stream(sender, streams)).collect()
    }

    /// What became of a stream that `sender` sends. Out of the site it goes in by the inner flows, and into the site by
    /// their outer halves.
    fn stream(&self, sender: Direction, streams: &Streams<'_>) -> Option<Judged> {
        let part = self.part(sender, streams)?;
        let (put_in, come_out) = self.curves(&part, streams);
        let Part { outward, leading, flows, halves, .. } = part;
        let [begin, end] = self.legs.overlap();
        let open = flows.iter().map(|flow| self.open_until(flow)).fold(f64::NEG_INFINITY, f64::max);
        let end = if outward { end } else { end.min(open) };
        let doubt = self.legs.clock.uncertainty;
        let judged =
            |lan: Vec<usize>, what: What, most: f64| Some(Judged { lan, wan: streams.wan(), sender, what, most });
        let Some(hold) = hold::find(&put_in, &come_out, [begin, end], doubt, self.settings) else {
            let one = flows.len() == 1 && halves.len() == 1;
            let lag = one.then(|| lag::find(&put_in, &come_out, doubt, self.settings)).flatten()?;
            return judged(leading, What::Lagged(lag), 1.0);
        };
        if !outward && self.waited(&flows, hold.from.at) < self.settings.held_seconds {
            return None;
        }
        let leading = self.heaviest(leading, sender, streams, &hold);
        let others: Vec<&LegFlow> = streams.wan().iter().filter_map(|at| self.wan(*at)).collect();
        let (ins, outs) = if outward { (&flows, &others) } else { (&others, &flows) };
        let sure = if self.legs.clock.is_sound(self.settings) { 1.0 } else { HINT };
        match self.doubt(sender, &hold, &flows, ins, outs, streams) {
            Some(why) => judged(leading, What::Open(hold, why), HINT),
            None => judged(leading, What::Held(hold, self.mode(outward, &hold, &flows, &halves)), sure),
        }
    }

    /// The streams of one direction, if they are such as are judged, and long enough for it.
    fn part(&self, sender: Direction, streams: &Streams<'_>) -> Option<Part<'a>> {
        let outward = sender == Direction::Orig;
        let halves: Vec<(&LegFlow, &LegFlow)> =
            streams.halves.iter().filter_map(|half| Some((self.lan(half.lan)?, self.wan(half.wan)?))).collect();
        let leading: Vec<usize> = match outward {
            true => streams.flows.clone(),
            false => streams.halves.iter().map(|half| half.lan).collect(),
        };
        let flows: Vec<&LegFlow> = leading.iter().filter_map(|at| self.lan(*at)).collect();
        let most: f64 = match outward {
            true => flows.iter().map(|flow| amount(flow, sender)).sum(),
            false => halves.iter().map(|(_, other)| amount(other, sender)).sum(),
        };
        // a lag-one stream is longer than that as well; most streams are not, and then nothing else need be looked at
        if flows.is_empty() || most < self.settings.held_bytes {
            return None;
        }
        let sound = |flow: &&LegFlow| flow.case.established && !flow.case.one_sided && goes_out(&flow.case);
        let carries = |flow: &&LegFlow| self.is_judged(&flow.case);
        let any = |wan: &[usize]| wan.iter().filter_map(|at| self.wan(*at)).any(|flow| carries(&flow));
        let beyond = || {
            any(&streams.wan)
                || streams.places.iter().any(|place| *place.is_judged.get_or_init(|| any(&place.pool.wan)))
        };
        let wanted = flows.iter().all(sound) && (flows.iter().any(carries) || beyond());
        wanted.then_some(Part { sender, outward, leading, flows, halves })
    }

    /// What has gone in, and what may have come out of it.
    fn curves<'s>(&self, part: &Part<'_>, streams: &'s Streams<'_>) -> (Curve, Cow<'s, Curve>) {
        let sender = part.sender;
        let put_in: Vec<Curve> = if part.outward {
            part.flows.iter().map(|flow| self.inner(flow, sender, true)).collect()
        } else {
            // what the box still fetches for nobody is not held from anybody
            let wanted = |(a, b): &(&LegFlow, &LegFlow)| {
                self.outer(b, sender, true).within(f64::NEG_INFINITY, self.open_until(a))
            };
            part.halves.iter().map(wanted).collect()
        };
        let out = |at: &usize| match part.outward {
            true => self.wan(*at).map(|flow| self.outer(flow, sender, false)),
            false => self.lan(*at).map(|flow| self.inner(flow, sender, false)),
        };
        let single = if part.outward { &streams.wan } else { &streams.lan };
        let mut come_out: Vec<Cow<'s, Curve>> = single.iter().filter_map(out).map(Cow::Owned).collect();
        for place in &streams.places {
            let [of_orig, of_resp] = &place.come_out;
            let (sum, all) = if part.outward { (of_orig, &place.pool.wan) } else { (of_resp, &place.pool.lan) };
            let sum = sum.get_or_init(|| Curve::sum(&all.iter().filter_map(out).collect::<Vec<_>>()));
            come_out.push(Cow::Borrowed(sum));
        }
        let come_out = match come_out.len() {
            1 => come_out.pop().unwrap_or_default(),
            _ => Cow::Owned(Curve::sum(&come_out)),
        };
        (Curve::sum(&put_in), come_out)
    }

    /// Whether a flow's streams are judged: those of the ways to view. What else a filter scans at leisure is its
    /// business. One that began before its capture is known by an address that the other capture has named.
    fn is_judged(&self, case: &Case) -> bool {
        let named = case.class == Class::Unknown && self.relays.contains(&case.resp.0);
        let carries = case.http.as_ref().is_some_and(|http| http.message_http.is_some());
        matches!(case.class, Class::Relay | Class::Direct) || carries || named
    }

    /// The flows that had a part in a hold, the one with the most first.
    fn heaviest(&self, flows: Vec<usize>, sender: Direction, streams: &Streams<'_>, hold: &Hold) -> Vec<usize> {
        let weight = |at: usize| {
            let half = streams.halves.iter().find(|half| half.lan == at).and_then(|half| self.wan(half.wan));
            let curve = match sender {
                Direction::Orig => self.lan(at).map(|flow| self.inner(flow, sender, true)),
                Direction::Resp => half.map(|flow| self.outer(flow, sender, true)),
            };
            curve.map_or(0.0, |curve| curve.by(hold.until) - curve.by(hold.from.at - self.settings.margin_seconds))
        };
        if flows.len() < 2 {
            return flows;
        }
        let weighed: Vec<(f64, usize)> = flows.iter().map(|at| (weight(*at), *at)).collect();
        let most = weighed.iter().map(|(weight, _)| *weight).fold(0.0, f64::max);
        // of those that are alike the first leads
        let mut heavy: Vec<(f64, usize)> =
            weighed.into_iter().filter(|(weight, _)| *weight > self.settings.passed_share * most).collect();
        heavy.sort_by_key(|(weight, at)| (*weight < self.settings.released_share * most, *at));
        heavy.into_iter().map(|(_, at)| at).collect()
    }

    fn inner(&self, flow: &LegFlow, sender: Direction, taken: bool) -> Curve {
        curve(flow, sender, self.legs.lan_at(flow.case.first()), taken)
    }

    fn outer(&self, flow: &LegFlow, sender: Direction, taken: bool) -> Curve {
        curve(flow, sender, self.legs.wan_at(flow.case.first()), taken)
    }

    /// When a flow of the inner capture was ended; never, if nobody has.
    fn open_until(&self, flow: &LegFlow) -> f64 {
        let ended = flow.case.is_over();
        if ended { self.legs.lan_at(flow.case.last) } else { f64::INFINITY }
    }

    /// For how long clients have waited in all, from `from` on.
    fn waited(&self, flows: &[&LegFlow], from: f64) -> f64 {
        let [_, end] = self.legs.overlap();
        flows
            .iter()
            .map(|flow| (self.open_until(flow).min(end) - self.legs.lan_at(flow.case.first()).max(from)).max(0.0))
            .sum()
    }

    /// Whether connections that a box uses for others as well carried more during a hold than those others put in.
    fn may_have_come_out(&self, hold: &Hold, matched: &[Join]) -> bool {
        let moved = |curve: Curve| curve.by(hold.until) - curve.by(hold.from.at);
        let more = matched.iter().filter_map(|pair| Some((self.lan(pair.lan)?, self.wan(pair.wan)?))).map(|(a, b)| {
            let (put_in, come_out) =
                (moved(self.inner(a, Direction::Orig, false)), moved(self.outer(b, Direction::Orig, false)));
            (come_out - put_in * (1.0 + self.settings.passed_share)).max(0.0)
        });
        hold.come_out + more.sum::<f64>() >= self.settings.passed_share * hold.put_in
    }

    /// What else may be to blame for a hold of these streams, if anything.
    fn doubt(
        &self,
        sender: Direction,
        hold: &Hold,
        flows: &[&LegFlow],
        in_flows: &[&LegFlow],
        out_flows: &[&LegFlow],
        streams: &Streams<'_>,
    ) -> Option<Doubt> {
        let outward = sender == Direction::Orig;
        let elsewhere = || {
            let far = streams.halves.is_empty() && flows.iter().any(|flow| self.ends(flow) == Ends::Far);
            far || self.may_have_come_out(hold, streams.matched())
        };
        let seen = || streams.known || self.sees_all(flows) || !outward && self.is_taken_in(&streams.halves);
        if outward && elsewhere() || self.is_blind(hold) || !seen() {
            return Some(Doubt::Unseen);
        }
        let missed = |flow: &&LegFlow| {
            flow.case.one_sided
                || trouble(&flow.case, sender)
                    .is_some_and(|t| t.missed as f64 > self.settings.missed_share * hold.put_in)
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
            let until = since + seconds(t.closed.nanos);
            t.closed.nanos > 0
                && until.min(hold.until) - since.max(hold.from.at)
                    >= self.settings.closed_share * (hold.until - hold.from.at)
        });
        if closed {
            return Some(Doubt::Closed);
        }
        (outward && hold.released.is_none() && flows.iter().all(|flow| self.is_refused(&flow.case, hold)))
            .then_some(Doubt::Refused)
    }

    /// Whether the box answered an upload itself with a refusal, or broke it off, before it had held it for long.
    fn is_refused(&self, case: &Case, hold: &Hold) -> bool {
        let Some(tcp) = &case.tcp else { return false };
        let turns = case.http.iter().flat_map(|http| &http.turns);
        // a timeout is how a hold ends that is nobody's refusal
        let refuses = turns.map(|turn| turn.turn.status).any(|status| status >= 400 && !matches!(status, 408 | 504));
        let reset = tcp.rst_by == Some(Direction::Resp);
        // in TLS the answer before the end is not to be read
        let ends = tcp.fin_by == Some(Direction::Resp) && case.tls.is_some();
        let lasted = self.legs.lan_at(case.last) - hold.from.at;
        refuses || (reset || ends) && lasted < self.settings.refusal_seconds
    }

    /// Whether the outer capture shows nothing during a hold of connections that go on in the inner one.
    fn is_blind(&self, hold: &Hold) -> bool {
        let moved = |curve: &Curve| curve.by(hold.until) - curve.by(hold.from.at);
        let [inside, outside] = self.same.get_or_init(|| self.sum_of_same()).each_ref().map(moved);
        inside >= self.settings.same_bytes && outside < self.settings.seen_share * inside
    }

    fn sum_of_same(&self) -> [Curve; 2] {
        let pairs = self.joined.pairs.iter().filter(|pair| pair.same);
        let pairs = pairs.filter_map(|pair| Some((self.lan(pair.lan)?, self.wan(pair.wan)?)));
        let both = |(a, b)| {
            [Direction::Orig, Direction::Resp].map(|way| (self.inner(a, way, false), self.outer(b, way, false)))
        };
        let (inside, outside): (Vec<Curve>, Vec<Curve>) = pairs.flat_map(both).unzip();
        [Curve::sum(&inside), Curve::sum(&outside)]
    }

    /// Whether the outer capture shows most of what these flows' client has to do with the outside.
    fn sees_all(&self, flows: &[&LegFlow]) -> bool {
        let Some(client) = flows.first().map(|flow| flow.case.orig.0) else { return false };
        let (mut seen, mut all) = (0usize, 0usize);
        for at in self.by_client.get(&client).into_iter().flatten() {
            let paired = self.paired.contains(at);
            let own = || {
                let case = self.lan(*at).map(|flow| &flow.case);
                let same =
                    |held: &Case, case: &Case| held.host.is_some() && held.host == case.host || held.resp == case.resp;
                case.is_some_and(|case| flows.iter().any(|held| same(&held.case, case)))
            };
            if paired || !own() {
                all = all.saturating_add(1);
                seen = seen.saturating_add(usize::from(paired));
            }
        }
        seen > 0 && seen as f64 >= self.settings.seen_share * all as f64
    }

    /// Whether the outer capture shows by itself that it sees a viewer's way out: the viewer's connection ends at the
    /// box, and with it the box opened one for the same name, by which all the video came in.
    fn is_taken_in(&self, halves: &[Join]) -> bool {
        let shows = |half: &Join| {
            let (Some(a), Some(b)) = (self.lan(half.lan), self.wan(half.wan)) else { return false };
            let same_name = a.case.host.is_some() && a.case.host == b.case.host;
            same_name && amount(b, Direction::Resp) >= self.settings.held_bytes && self.ends(a) == Ends::Near
        };
        !halves.is_empty() && halves.iter().all(shows)
    }

    /// How far away an inner flow's other end is, by its handshake and the hops of its packets, against the connections
    /// that are the same on both sides. A box can only swallow what it acknowledges itself.
    fn ends(&self, flow: &LegFlow) -> Ends {
        let passed = || self.joined.pairs.iter().filter(|pair| pair.same).filter_map(|pair| self.lan(pair.lan));
        let passed = || passed().filter(|other| other.case.is_tcp() && goes_out(&other.case));
        let trip = |case: &Case| case.tcp.as_ref().and_then(|tcp| tcp.rtt_min);
        let usual = passed().filter_map(|other| trip(&other.case)).fold(f64::INFINITY, f64::min);
        let [_, ttl] = flow.case.ttl;
        let own_hops = passed().all(|other| other.case.ttl[1] != ttl);
        if usual.is_infinite() || flow.case.via_proxy.is_some() {
            return Ends::Unknown;
        }
        // a full time to live was taken from by nobody on the way
        if own_hops && is_full_ttl(ttl) {
            return Ends::Near;
        }
        match trip(&flow.case).filter(|_| usual >= self.settings.far_seconds) {
            Some(own) if own < self.settings.far_share * usual => Ends::Near,
            Some(_) => Ends::Far,
            None => Ends::Unknown,
        }
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

    fn mode(&self, outward: bool, hold: &Hold, flows: &[&LegFlow], halves: &[(&LegFlow, &LegFlow)]) -> Mode {
        let walls = || {
            let troubles = flows.iter().filter_map(|flow| trouble(&flow.case, Direction::Resp));
            outward && troubles.into_iter().any(|t| seconds(t.closed.nanos) >= self.settings.wall_seconds)
        };
        let drips = || {
            let sender = if outward { Direction::Orig } else { Direction::Resp };
            halves.iter().any(|(a, b)| {
                let come_out = if outward { self.outer(b, sender, false) } else { self.inner(a, sender, false) };
                self.drips(&come_out, hold)
            })
        };
        match () {
            () if hold.released.is_some() => Mode::HoldRelease,
            () if drips() => Mode::Trickle,
            () if walls() => Mode::ZeroWindow,
            () if outward => Mode::UploadSwallow,
            () => Mode::BufferAll,
        }
    }

    /// Whether drops of comfort come out while the rest is held: small ones, several, and not all at the beginning.
    fn drips(&self, come_out: &Curve, hold: &Hold) -> bool {
        let (mut before, mut drops) = (0.0, 0usize);
        let begun =
            come_out.steps().first().map_or(0.0, |step| step.at).max(hold.from.at) + self.settings.margin_seconds;
        for step in come_out.steps().iter().filter(|step| step.at < hold.until) {
            if step.at > begun {
                if step.bytes - before > self.settings.drop_bytes {
                    return false;
                }
                drops = drops.saturating_add(1);
            }
            before = step.bytes;
        }
        drops as f64 >= self.settings.drops
    }
}

/// Where a connection ends that is in the inner capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// At the box.
    Near,
    /// As far away as those that the box passes on as they are.
    Far,
    Unknown,
}

fn curve(flow: &LegFlow, sender: Direction, begun: f64, taken: bool) -> Curve {
    let side = flow.side(sender);
    let unseen = flow.case.one_sided && side.sent.total() == 0;
    let line = if taken || unseen { &side.acked } else { &side.sent };
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
