//! What is selected: as text to be copied, and as the flows that it is about.

use super::listing::ends;
use super::state::{Dash, View};

/// The text of what is selected.
pub fn text(dash: &Dash) -> Option<String> {
    let mask = &dash.mask;
    let snapshot = &dash.snapshot;
    let at = dash.cursor();
    let text = match dash.list() {
        View::Flows => {
            let flow = dash.selected_flow()?;
            let ([(orig, from), (resp, to)], says) = ends(flow);
            let name = flow.name.as_deref().map(|name| format!(" ({})", mask.name(name))).unwrap_or_default();
            let says = says.map(|says| format!(" {says}")).unwrap_or_default();
            let (proto, class) = (&flow.proto_name, flow.class.name());
            format!("{proto}{says} {} → {}{name} {class}", mask.end(orig, from), mask.end(resp, to))
        }
        View::Findings | View::Overview => {
            let finding = dash.selected_finding()?;
            format!("{} ({}, {}). {}", finding.title, finding.rule, finding.word.text(), finding.advice)
        }
        View::Sessions => snapshot.sessions.get(at)?.story.clone(),
        View::AllowList => {
            let row = snapshot.site.allow_list.get(at)?;
            format!("{} {}: {}", row.pattern, row.ports.join(", "), row.purpose)
        }
        View::Hosts => return Some(mask.ip(snapshot.hosts.get(at)?.ip)),
        View::Capture => snapshot.quality.advice.clone(),
    };
    Some(mask.prose(&text).into_owned()).filter(|text| !text.is_empty())
}

/// The flows that what is selected is about, and what it is called: marked flows if there are any.
pub fn chosen(dash: &Dash) -> Option<(Vec<u64>, String)> {
    if !dash.wish.marks.is_empty() {
        let mut flows: Vec<u64> = dash.wish.marks.iter().copied().collect();
        flows.sort_unstable();
        return Some((flows, "marked".to_owned()));
    }
    match dash.list() {
        View::Flows => dash.selected_flow().map(|flow| (vec![flow.id], format!("flow-{}", flow.id))),
        View::Findings | View::Overview => {
            let finding = dash.selected_finding().filter(|f| !f.flow_ids.is_empty())?;
            Some((finding.flow_ids.clone(), format!("{}-{}", finding.rule, finding.id)))
        }
        View::Sessions => {
            let at = dash.cursor();
            let session = dash.snapshot.sessions.get(at)?;
            let flows: Vec<u64> = session.steps.iter().flat_map(|step| &step.flow_ids).copied().collect();
            (!flows.is_empty()).then(|| (flows, format!("session-{}", at + 1)))
        }
        View::AllowList | View::Hosts | View::Capture => None,
    }
}
