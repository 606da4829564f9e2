//! CSV (RFC 4180): a flow a row.
//!
//! Columns, in this order: `flow_id community_id start end age proto src_ip src_port dest_ip dest_port vlan tunnel
//! class subclass region confidence name flags pkts_toserver pkts_toclient bytes_toserver bytes_toclient
//! payload_toserver payload_toclient conn_state history midstream one_sided rtt_min retransmissions ja4`.
//! They mean what they mean in NDJSON; `name` is the flow's server name, HTTP host, proxied authority or DNS
//! question, the first there is. Lists are joined by blanks; what was not seen is empty.
//!
//! A text cell that a spreadsheet would take for a formula gets an apostrophe in front; characters that act on a
//! terminal are escaped.

use std::fmt::Display;
use std::io::{self, Write};

use super::told_name_of;
use crate::changes::Change;
use crate::event::{FlowRecord, Rfc3339};
use crate::text::safe::safe;

const HEADER: &str = "flow_id,community_id,start,end,age,proto,src_ip,src_port,dest_ip,dest_port,vlan,tunnel,class,\
    subclass,region,confidence,name,flags,pkts_toserver,pkts_toclient,bytes_toserver,bytes_toclient,\
    payload_toserver,payload_toclient,conn_state,history,midstream,one_sided,rtt_min,retransmissions,ja4\r\n";

/// Writes flows as CSV rows beneath a header row.
#[derive(Debug)]
pub struct Csv<W> {
    row: Row<W>,
}

impl<W: Write> Csv<W> {
    /// Writes the header row.
    pub fn begin(mut writer: W) -> io::Result<Self> {
        writer.write_all(HEADER.as_bytes())?;
        Ok(Csv { row: Row { writer, text: String::new(), any: false } })
    }

    /// A flow's row.
    pub fn flow(&mut self, record: &FlowRecord<'_>) -> io::Result<()> {
        let row = &mut self.row;
        let counts = &record.flow;
        row.number(Some(record.flow_id))?;
        row.text(record.community_id.as_deref())?;
        row.number(Some(Rfc3339(counts.start)))?;
        row.number(Some(Rfc3339(counts.end)))?;
        row.number(Some(counts.age))?;
        row.text(Some(&record.proto))?;
        row.number(Some(record.src_ip))?;
        row.number(record.src_port)?;
        row.number(Some(record.dest_ip))?;
        row.number(record.dest_port)?;
        row.list(&record.vlan)?;
        row.list(&record.tunnel)?;
        row.text(Some(record.class.name()))?;
        row.list(&record.subclass)?;
        row.text(record.region.as_deref())?;
        row.number(Some(record.confidence))?;
        row.text(told_name_of(record))?;
        row.list(&record.flags)?;
        for count in [
            counts.pkts_toserver,
            counts.pkts_toclient,
            counts.bytes_toserver,
            counts.bytes_toclient,
            counts.payload_toserver,
            counts.payload_toclient,
        ] {
            row.number(Some(count))?;
        }
        row.text(counts.conn_state)?;
        row.text(Some(&counts.history))?;
        row.number(Some(counts.midstream))?;
        row.number(Some(counts.one_sided))?;
        row.number(record.tcp.as_ref().and_then(|t| t.rtt_min))?;
        row.number(record.tcp.as_ref().map(|t| t.retransmissions))?;
        row.text(record.tls.as_ref().and_then(|t| t.ja4.as_ref()).and_then(|j| j.iter().next()))?;
        row.end()
    }

    /// Flushes, and hands the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.row.writer.flush()?;
        Ok(self.row.writer)
    }
}

/// Writes requested changes as CSV rows beneath a header row.
///
/// # Errors
/// What writing gives.
pub fn changes(mut writer: impl Write, changes: &[Change]) -> io::Result<()> {
    writer.write_all(b"change,where,destination,ports,direction,rules,findings,requirement,sources\r\n")?;
    let mut row = Row { writer, text: String::new(), any: false };
    for change in changes {
        let rules: Vec<&str> = change.why.iter().map(|why| why.rule).collect();
        let findings: Vec<&str> = change.why.iter().map(|why| why.finding.as_str()).collect();
        row.text(Some(&change.what))?;
        row.text(Some(&change.r#where))?;
        row.text(Some(&change.destination.join(" ")))?;
        row.text(Some(&change.ports.join(", ")))?;
        row.text(Some(change.direction.text()))?;
        row.text(Some(&rules.join(" ")))?;
        row.text(Some(&findings.join(" ")))?;
        row.text(Some(&change.requirement))?;
        row.text(Some(&change.sources.join(", ")))?;
        row.end()?;
    }
    row.writer.flush()
}

#[derive(Debug)]
struct Row<W> {
    writer: W,
    /// Reused for each text that has to be looked through.
    text: String,
    any: bool,
}

impl<W: Write> Row<W> {
    fn separate(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.any, true) { self.writer.write_all(b",") } else { Ok(()) }
    }

    /// A cell of our own making: digits, an address, a time, true or false.
    fn number(&mut self, value: Option<impl Display>) -> io::Result<()> {
        self.separate()?;
        value.map_or(Ok(()), |v| write!(self.writer, "{v}"))
    }

    fn text(&mut self, text: Option<&str>) -> io::Result<()> {
        use std::fmt::Write as _;
        self.separate()?;
        let Some(text) = text else { return Ok(()) };
        self.text.clear();
        if text.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
            self.text.push('\'');
        }
        // Writing to a String does not fail.
        let _ = write!(self.text, "{}", safe(text));
        if !self.text.contains([',', '"']) {
            return self.writer.write_all(self.text.as_bytes());
        }
        write!(self.writer, "\"{}\"", self.text.replace('"', "\"\""))
    }

    fn list(&mut self, items: &[impl Display]) -> io::Result<()> {
        self.separate()?;
        for (i, item) in items.iter().enumerate() {
            write!(self.writer, "{}{item}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.any = false;
        self.writer.write_all(b"\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;
    use proptest::prelude::*;

    fn rows(flows: &[FlowRecord<'_>]) -> String {
        let mut csv = Csv::begin(Vec::new()).unwrap();
        for flow in flows {
            csv.flow(flow).unwrap();
        }
        String::from_utf8(csv.finish().unwrap()).unwrap()
    }

    #[test]
    fn golden() {
        insta::assert_snapshot!(rows(&[sample::relay(), sample::dns(), sample::unknown()]));
    }

    proptest! {
        #[test]
        fn names_come_back_and_are_no_formula(name in prop_oneof![any::<String>(), "[=+@,\"\r\n -]{0,4}[a-z]{0,3}"]) {
            let mut flow = sample::relay();
            flow.tls.as_mut().unwrap().sni = Some(name.clone().into());
            let text = rows(&[flow]);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let column = reader.headers().unwrap().iter().position(|h| h == "name").unwrap();
            let records: Vec<_> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(records.len(), 1);
            let cell = &records[0][column];
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
            let shown = safe(&name).to_string();
            prop_assert_eq!(cell.strip_prefix('\'').filter(|_| !name.starts_with('\'')).unwrap_or(cell), shown);
        }
    }
}
