//! What DNS messages tell: exchanges, and which names have which addresses.

use super::{Answer, Context, Dns, DnsExchange, DnsList, Kind, Learner, PendingQuery, part, push};
use crate::decode::Addr;
use crate::engine::strings;
use crate::event::LIST_MAX;
use crate::flow::key::digest_of_text;
use crate::flow::{Flow, NONE};
use crate::inspect::dns;

/// How many addresses one shard keeps of all DNS answers: names are a help, not a promise.
pub const MAX_ANSWERS: usize = 1 << 17;
/// How many owners of an unsolicited answer's addresses get a record of their own.
const MAX_OWNERS: usize = 64;
/// So many bytes of text are kept of a message for each of its own: one name, said again by two bytes, may be a thousand.
const TEXT: usize = 4;

impl Learner {
    pub(super) fn dns(&mut self, cx: &mut Context<'_>, message: &dns::Message<'_>) {
        let frame = cx.packet.frame;
        let make = || Dns::new(frame);
        let (_, fresh) = part(&mut self.parts, &mut cx.flow.learnt, Kind::Dns, &mut self.dns, make);
        self.counts.dns_flows = self.counts.dns_flows.wrapping_add(u64::from(fresh));
        if message.is_response() {
            self.dns_response(cx, message);
        } else {
            self.dns_query(cx, message);
        }
    }

    /// A message that asks or answers as DNS does, and of which nothing but that is kept.
    pub(super) fn netbios_name(&mut self, cx: &mut Context<'_>) {
        let make = || Dns::new(cx.packet.frame);
        part(&mut self.parts, &mut cx.flow.learnt, Kind::Dns, &mut self.dns, make);
    }

    pub(super) fn keep_name(&mut self, name: &dns::Name<'_>) -> u32 {
        let mut buffer = [0; dns::NAME_MAX];
        if let Some(plain) = name.in_place().and_then(|wire| dns::plain_text(wire, &mut buffer)) {
            return self.strings.keep(plain);
        }
        self.scratch.clear();
        let _ = name.write_to(&mut self.scratch);
        self.strings.keep(&self.scratch)
    }

    fn known_dns(&mut self, flow: &Flow) -> Option<&mut Dns> {
        self.dns.get_mut(self.parts.get(flow.learnt, Kind::Dns))
    }

    /// The list of a flow's exchanges, which only records need.
    fn dns_list(&mut self, flow: &Flow) -> Option<&mut DnsList> {
        Some(self.known_dns(flow)?.recorded())
    }

    fn dns_query(&mut self, cx: &mut Context<'_>, message: &dns::Message<'_>) {
        let (records, ts) = (self.records, cx.packet.ts);
        for question in message.questions() {
            self.note_asked(cx, message.id, &question);
            let qname = name_digest(&question.name);
            let name = if records { self.keep_name(&question.name) } else { strings::OMITTED };
            let Some(dns) = self.known_dns(cx.flow) else { return };
            let mut query = PendingQuery { ts, record: NONE, qname, id: message.id, qtype: question.qtype };
            if dns.waits_for(&query) {
                continue;
            }
            if records {
                let DnsList { list, omitted } = dns.recorded();
                query.record = u32::try_from(list.len()).unwrap_or(NONE);
                push(list, omitted, || DnsExchange {
                    id: message.id,
                    qname: Some(name),
                    qtype: Some(question.qtype),
                    ..DnsExchange::default()
                });
            }
            dns.ask(query);
        }
    }

    fn dns_response(&mut self, cx: &mut Context<'_>, message: &dns::Message<'_>) {
        let (question, answers) = message.question_and_answers();
        let (asked, asked_for, qtype) = (question, question.map(|q| q.name), question.map(|q| q.qtype));
        self.keep_addresses(cx, answers, asked_for);
        let question = question.map(|q| (name_digest(&q.name), q.qtype));
        let Some(dns) = self.known_dns(cx.flow) else { return };
        // a response repeats the question that it answers (RFC 5452 §4.2); without one only the id tells, and what
        // multicast DNS sends has none (RFC 6762 §18.1)
        let answers = |p: &PendingQuery| question.map_or(message.id != 0, |q| q == (p.qname, p.qtype));
        let query = dns.answer(cx.seen(), |p| p.id == message.id && answers(p));
        self.counts.dns_exchanges = self.counts.dns_exchanges.wrapping_add(u64::from(query.is_some()));
        // whose question was seen is known already, if it is watched
        if let Some(asked) = asked.filter(|_| query.is_none() || !self.asked.is_empty()) {
            self.note_answered(cx, message, &asked);
        }
        if !self.records {
            return;
        }
        let mut answered = DnsExchange { rcode: Some(message.rcode()), ..self.told_by(message) };
        let Some(dns) = self.dns_list(cx.flow) else { return };
        if let Some(query) = query {
            // one for whose question there was no room is counted with that
            if let Some(exchange) = dns.list.get_mut(query.record as usize) {
                let rtt = Some(cx.packet.ts.since(query.ts));
                *exchange =
                    DnsExchange { id: exchange.id, qname: exchange.qname, qtype: exchange.qtype, rtt, ..answered };
            }
        } else if let Some(name) = asked_for {
            (answered.id, answered.qname, answered.qtype) = (message.id, Some(self.keep_name(&name)), qtype);
            let Some(dns) = self.dns_list(cx.flow) else { return };
            push(&mut dns.list, &mut dns.omitted, || answered);
        } else {
            self.unsolicited(cx, message);
        }
        self.other_questions(cx, message);
    }

    /// What the records of a response say.
    fn told_by(&mut self, message: &dns::Message<'_>) -> DnsExchange {
        self.told.clear();
        let room = message.bytes().len().saturating_mul(TEXT);
        let mut ttl = None;
        for record in message.answers() {
            ttl = ttl.into_iter().chain([record.ttl]).min();
            if self.told.len() < LIST_MAX && self.told.bytes() < room {
                self.told.push_by(|text| record.data().write_to(text));
            }
        }
        DnsExchange { answers: self.told.clone(), ttl, ..DnsExchange::default() }
    }

    /// A response with more questions than one (multicast DNS) answers each.
    fn other_questions(&mut self, cx: &mut Context<'_>, message: &dns::Message<'_>) {
        for question in message.questions().skip(1) {
            let qname = Some(self.keep_name(&question.name));
            let Some(dns) = self.dns_list(cx.flow) else { return };
            push(&mut dns.list, &mut dns.omitted, || DnsExchange {
                id: message.id,
                qname,
                qtype: Some(question.qtype),
                rcode: Some(message.rcode()),
                ..DnsExchange::default()
            });
        }
    }

    /// A response without a question (multicast DNS): a record for each owner of an address.
    fn unsolicited(&mut self, cx: &mut Context<'_>, message: &dns::Message<'_>) {
        let mut room = message.bytes().len().saturating_mul(TEXT);
        for record in message.answers().take(MAX_OWNERS) {
            if room == 0 {
                return;
            }
            let qname = Some(self.keep_name(&record.name));
            let data = record.data().to_string();
            room = room.saturating_sub(data.len());
            let Some(dns) = self.dns_list(cx.flow) else { return };
            if let Some(same) =
                dns.list.iter_mut().rev().take(MAX_OWNERS).find(|e| e.id == message.id && e.qname == qname)
            {
                let again = same.answers.iter().rev().take(MAX_OWNERS).any(|answer| answer == data);
                if !again && same.answers.len() < LIST_MAX {
                    same.answers.push(&data);
                }
                continue;
            }
            push(&mut dns.list, &mut dns.omitted, || DnsExchange {
                id: message.id,
                qname,
                rcode: Some(message.rcode()),
                answers: [data].iter().collect(),
                ttl: Some(record.ttl),
                ..DnsExchange::default()
            });
        }
    }

    /// Every address in the answer belongs to the name that was asked for, through whatever aliases; without a
    /// question each owner tells for itself.
    fn keep_addresses<'m>(
        &mut self,
        cx: &Context<'_>,
        answers: impl Iterator<Item = dns::Record<'m>>,
        asked_for: Option<dns::Name<'_>>,
    ) {
        if self.addresses.count() >= MAX_ANSWERS {
            return;
        }
        let mut answer: Option<Answer> = None;
        for record in answers {
            let Some(address) = record.address().map(Addr::from_ip) else { continue };
            let name = match answer.as_ref().filter(|_| asked_for.is_some()) {
                Some(answer) => answer.name,
                None => self.keep_name(&asked_for.unwrap_or(record.name)),
            };
            if let Some(other) = answer.take_if(|answer| answer.name != name) {
                self.answers.insert(other);
            }
            let answer = answer.get_or_insert_with(|| self.addresses.begin(cx.packet, name));
            answer.ttl = answer.ttl.min(record.ttl);
            self.addresses.push(answer, address);
        }
        if let Some(answer) = answer {
            self.answers.insert(answer);
        }
    }
}

/// A digest of a name on the wire, which neither side need write as the other does (RFC 4343 §3).
fn name_digest(name: &dns::Name<'_>) -> u32 {
    digest_of_text(name.wire(&mut [0; dns::NAME_MAX])) as u32
}
