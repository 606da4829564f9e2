//! DNS messages (RFC 1035 §4, EDNS of RFC 6891 §6), over UDP and, by [`DnsStream`], over TCP (RFC 7766).
//!
//! mDNS (RFC 6762) and LLMNR (RFC 4795) have the same message; NetBIOS names nearly, see [`is_netbios`]. Reading is
//! lazy and tolerant: a message needs its 12-byte header only; questions and records are read when asked for, and a
//! walk ends at the first that is cut or breaks the grammar. Nothing is allocated but by the code names of unassigned
//! numbers. Refused: label types other than plain and pointer, names over 255 bytes or 128 pointers.

mod codes;
mod data;
mod name;
mod netbios;
mod stream;

pub use codes::{qtype_name, rcode_name};
pub use data::{Data, Soa, Svcb, Txt};
pub use name::{JUMPS_MAX, Labels, Name, WIRE_MAX as NAME_MAX, plain_text};
pub use netbios::is_netbios;
pub use stream::{DnsStream, probe_tcp};

use std::net::IpAddr;

use crate::wire::{Reader, Result};
use data::types;

/// The length of the header.
const HEADER_LEN: usize = 12;

/// The bits of the class field that mDNS uses otherwise: "unicast reply wanted" in a question, "cache flush" in a
/// record (RFC 6762 §5.4, §10.2).
const MDNS_BIT: u16 = 0x8000;

/// A DNS message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    body: Reader<'a>,
    /// The id that a response shares with its query.
    pub id: u16,
    flags: u16,
    /// How many questions, answer, authority and additional records the header claims.
    pub counts: [u16; 4],
}

/// Reads a message's header. Fails only where less than the 12 bytes of it are there.
#[inline]
pub fn parse(bytes: &[u8]) -> Result<Message<'_>> {
    let mut body = Reader::new(bytes);
    let (id, flags) = (body.u16()?, body.u16()?);
    let counts = [body.u16()?, body.u16()?, body.u16()?, body.u16()?];
    Ok(Message { bytes, body, id, flags, counts })
}

impl<'a> Message<'a> {
    /// The bytes of the message, as many as were captured.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it is a response (QR).
    pub const fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// The opcode: 0 query, 4 notify, 5 update.
    pub const fn opcode(&self) -> u8 {
        (self.flags >> 11 & 0x0f) as u8
    }

    /// How many questions the header claims.
    pub const fn question_count(&self) -> u16 {
        let [questions, ..] = self.counts;
        questions
    }

    /// The response code of the header's four bits.
    pub const fn header_rcode(&self) -> u8 {
        (self.flags & 0x0f) as u8
    }

    /// The response code, with the upper bits of an OPT record where there is one (RFC 6891 §6.1.3). Walks the
    /// records of a response that has additional ones.
    pub fn rcode(&self) -> u16 {
        let low = u16::from(self.header_rcode());
        let [.., additional] = self.counts;
        if additional == 0 || !self.is_response() {
            return low;
        }
        let opt = self.records().find(|r| r.rtype == types::OPT && r.section == Section::Additional);
        let [high, ..] = opt.map_or([0; 4], |r| r.ttl.to_be_bytes());
        u16::from(high) << 4 | low
    }

    /// The first question.
    #[inline]
    pub fn question(&self) -> Option<Question<'a>> {
        self.questions().next()
    }

    /// The questions that are whole.
    #[inline]
    pub fn questions(&self) -> Questions<'a> {
        Questions { message: self.bytes, reader: self.body, left: self.question_count() }
    }

    /// The records of all sections that are whole, in order.
    #[inline]
    pub fn records(&self) -> Records<'a> {
        self.records_behind(self.questions())
    }

    /// Whether a message without questions begins with a record, or is its header alone.
    fn opens_without_question(&self) -> bool {
        match self.counts {
            [0, 0, 0, 0] => self.body.is_empty(),
            _ => self.records().next().is_some_and(|r| r.name.is_whole()),
        }
    }

    /// The records of all sections that are whole, given what is left of the questions.
    #[inline]
    fn records_behind(&self, mut questions: Questions<'a>) -> Records<'a> {
        while questions.next().is_some() {}
        // a question that is not whole leaves no place where a record could begin
        let reader = if questions.left == 0 { questions.reader } else { Reader::new(&[]) };
        let [_, answers, authority, additional] = self.counts;
        Records { message: self.bytes, reader, left: [answers, authority, additional] }
    }

    /// The first question and the records of the answer section that are whole, in one walk.
    #[inline]
    pub fn question_and_answers(&self) -> (Option<Question<'a>>, impl Iterator<Item = Record<'a>> + use<'a>) {
        let mut questions = self.questions();
        let question = questions.next();
        (question, self.records_behind(questions).take_while(|r| r.section == Section::Answer))
    }

    /// The records of the answer section that are whole.
    #[inline]
    pub fn answers(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        self.records().take_while(|r| r.section == Section::Answer)
    }
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name asked for.
    pub name: Name<'a>,
    /// The type asked for.
    pub qtype: u16,
    /// The class as sent; mDNS uses the top bit to ask for a unicast reply.
    pub qclass: u16,
}

impl<'a> Question<'a> {
    #[inline]
    fn read(message: &'a [u8], reader: &mut Reader<'a>) -> Result<Self> {
        Ok(Question { name: Name::read(message, reader, 0)?, qtype: reader.u16()?, qclass: reader.u16()? })
    }
}

/// The questions of a [`Message`].
#[derive(Clone, Debug)]
pub struct Questions<'a> {
    message: &'a [u8],
    reader: Reader<'a>,
    left: u16,
}

impl<'a> Iterator for Questions<'a> {
    type Item = Question<'a>;

    #[inline]
    fn next(&mut self) -> Option<Question<'a>> {
        let left = self.left.checked_sub(1)?;
        let Ok(question) = Question::read(self.message, &mut self.reader) else {
            self.reader = Reader::new(&[]);
            return None;
        };
        self.left = left;
        Some(question)
    }
}

/// The section a record stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// What answers the question.
    Answer,
    /// Who is in charge of the name.
    Authority,
    /// What else may help; EDNS's OPT too.
    Additional,
}

/// A resource record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    message: &'a [u8],
    rdata: &'a [u8],
    tail: usize,
    /// Where it stands.
    pub section: Section,
    /// The name it belongs to.
    pub name: Name<'a>,
    /// Its type.
    pub rtype: u16,
    /// Its class as sent; mDNS uses the top bit to say "flush", OPT holds a size here.
    pub class: u16,
    /// For how many seconds it may be kept; OPT holds flags here.
    pub ttl: u32,
}

impl<'a> Record<'a> {
    #[inline]
    fn read(message: &'a [u8], reader: &mut Reader<'a>, section: Section) -> Result<Self> {
        let name = Name::read(message, reader, 0)?;
        let (rtype, class, ttl) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let rdata = reader.vec16()?.rest();
        Ok(Record { message, rdata, tail: reader.left(), section, name, rtype, class, ttl })
    }

    /// The data's bytes.
    pub const fn rdata(&self) -> &'a [u8] {
        self.rdata
    }

    /// The address that the record gives, if it is an A or AAAA record.
    #[inline]
    pub fn address(&self) -> Option<IpAddr> {
        match self.rtype {
            types::A if matches!(self.class & !MDNS_BIT, 3 | 4) => None,
            types::A => self.rdata.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
            types::AAAA => self.rdata.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
            _ => None,
        }
    }

    /// The data by its type. Chaosnet's and Hesiod's (RFC 1035 §3.2.4) are not told apart by type.
    #[inline]
    pub fn data(&self) -> Data<'a> {
        match self.class & !MDNS_BIT {
            3 | 4 if self.rtype == types::A => Data::Other(self.rtype, self.rdata),
            _ => Data::read(self.message, self.rtype, self.rdata, self.tail),
        }
    }
}

/// The records of a [`Message`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    message: &'a [u8],
    reader: Reader<'a>,
    left: [u16; 3],
}

impl Records<'_> {
    /// The section of the next record, which is counted off.
    #[inline]
    fn section(&mut self) -> Option<Section> {
        let [answers, authority, additional] = &mut self.left;
        let (left, section) = match (*answers, *authority, *additional) {
            (0, 0, 0) => return None,
            (0, 0, _) => (additional, Section::Additional),
            (0, ..) => (authority, Section::Authority),
            _ => (answers, Section::Answer),
        };
        *left = left.saturating_sub(1);
        Some(section)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let section = self.section()?;
        let record = Record::read(self.message, &mut self.reader, section);
        if record.is_err() {
            self.left = [0; 3];
        }
        record.ok()
    }
}

/// The most records that [`is_plausible`] believes in.
const PLAUSIBLE_RECORDS: u32 = 512;

/// Whether bytes seen where nothing says DNS keep to its grammar: a known opcode, counts that fit together, and a
/// first question (of a response without one, a first record) that is whole, of a known class.
pub fn is_plausible(bytes: &[u8]) -> bool {
    let Ok(message) = parse(bytes) else { return false };
    let [questions, answers, authority, additional] = message.counts;
    let records = [answers, authority, additional].into_iter().map(u32::from).sum::<u32>();
    if !matches!(message.opcode(), 0 | 4 | 5) || message.flags & 0x0040 != 0 || records > PLAUSIBLE_RECORDS {
        return false;
    }
    let query = !message.is_response() && message.opcode() == 0;
    if query && (message.header_rcode() != 0 || answers > 0 || authority > 1 || additional > 2) {
        return false;
    }
    if questions == 0 && message.is_response() {
        return message.records().next().is_some_and(|r| class_is_known(r.class) && r.name.is_whole());
    }
    let mut walk = message.questions();
    let Some(question) = walk.next().filter(|_| questions == 1) else { return false };
    let ends = records > 0 || walk.reader.is_empty();
    ends && question.qtype != 0 && class_is_known(question.qclass) && question.name.is_whole()
}

/// IN, CH, NONE and ANY, with or without the bit of mDNS.
const fn class_is_known(class: u16) -> bool {
    matches!(class & !MDNS_BIT, 1 | 3 | 254 | 255)
}

/// Whether a header that a port already calls DNS can be one.
fn header_is_sane(message: &Message<'_>) -> bool {
    matches!(message.opcode(), 0..=2 | 4..=6) && message.question_count() <= 16
}

/// Whether bytes that a port already calls DNS can begin a conversation in it: other things go by that port because
/// firewalls let it through. The first question has a name that is whole, and of its class and the header one at least
/// makes sense. A message without questions begins with a record, or ends. Where the capture has `cut` all that, the
/// header must do.
pub fn is_credible(bytes: &[u8], cut: bool) -> bool {
    let Ok(message) = parse(bytes) else { return false };
    let sane = header_is_sane(&message);
    match message.question() {
        Some(question) => question.name.is_whole() && (sane || class_is_known(question.qclass)),
        None => sane && (cut || message.question_count() == 0 && message.opens_without_question()),
    }
}

#[cfg(test)]
mod tests;
