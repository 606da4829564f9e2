//! What the capture itself is worth (D-21 to D-24): said first, and a bound to how sure the rest can be.

use super::draft::Draft;
use super::rules::{Place, RuleId, Rules};
use crate::decode::Undecoded;
use crate::engine::analysis::share;
use crate::event::{CaptureQuality, FindingRecord, Kind};
use crate::text::units::{Bytes, Count, Counted, Percent};
use crate::time::Timestamp;

/// Everything that is wrong with the capture.
pub fn findings(quality: &CaptureQuality, rules: &Rules) -> Vec<FindingRecord> {
    let (Some(first), Some(last)) = (quality.first, quality.last) else { return Vec::new() };
    let found = [one_sided, drops, cut, duplicates].map(|rule| rule(quality, rules, first, last));
    found.into_iter().flatten().collect()
}

/// Whether the kind is about the capture and not about the network.
pub const fn is_about_capture(kind: Kind) -> bool {
    matches!(kind, Kind::SpanDuplicates | Kind::SpanOneSided | Kind::CaptureDrops | Kind::CaptureTruncated)
}

/// Whether the capture is too poor to judge by: one direction only, much of it lost, most of it cut, or not in order.
pub fn is_poor(quality: &CaptureQuality, rules: &Rules) -> bool {
    is_poor_in_headers(quality, rules)
        || share(quality.cut_frames, quality.frames) > rules.settings.capture.poor_cut_share
}

/// The same for what rests on headers alone, which cut frames have.
pub fn is_poor_in_headers(quality: &CaptureQuality, rules: &Rules) -> bool {
    let at = &rules.settings.capture;
    let unseen = dropped(quality).saturating_add(quality.shed_frames);
    let lost = share(unseen, quality.frames.saturating_add(dropped(quality)));
    is_one_sided(quality, rules)
        || (quality.missed_share > at.poor_missed_share && quality.missed_bytes as f64 >= at.missed_bytes)
        || lost > at.poor_missed_share
        || is_disordered(quality, rules)
}

/// Says in a capture's quality what to do about it.
pub fn advise(quality: &mut CaptureQuality, rules: &Rules) {
    quality.advice = advice(quality, rules);
    quality.sound = quality.advice == rules.sentences.sound;
}

/// What to do about the capture, in a sentence or two.
fn advice(quality: &CaptureQuality, rules: &Rules) -> String {
    let (at, sentences) = (&rules.settings.capture, &rules.sentences);
    if quality.frames == 0 {
        return sentences.empty.clone();
    }
    if is_disordered(quality, rules) {
        return sentences.disordered.clone();
    }
    let found = findings(quality, rules);
    if let Some(worst) = found.iter().find(|finding| finding.is_claim()) {
        return format!("{}. {}", worst.title, worst.advice);
    }
    let encrypted = quality.undecoded.get(Undecoded::Encrypted.name()).copied().unwrap_or(0);
    let text = if share(encrypted, quality.frames) > at.encrypted_share {
        &sentences.encrypted
    } else if share(quality.undecoded.values().sum(), quality.frames) > at.undecoded_share {
        &sentences.unreadable
    } else if found.iter().any(|finding| matches!(finding.kind, Kind::SpanOneSided | Kind::CaptureDrops)) {
        &sentences.doubtful
    } else if !quality.warnings.is_empty() {
        // of what is missing at the end of a file no share tells
        &sentences.sound_as_far
    } else {
        &sentences.sound
    };
    text.clone()
}

/// Whether time runs back too often: files read in the wrong order, or several of the same time one after the other.
fn is_disordered(quality: &CaptureQuality, rules: &Rules) -> bool {
    share(quality.earlier_frames, quality.frames) > rules.settings.capture.poor_earlier_share
}

/// Frames that were dropped before they reached the capture, as far as it says.
fn dropped(quality: &CaptureQuality) -> u64 {
    let drops = [quality.kernel_drops, quality.interface_drops, Some(quality.queue_drops)];
    drops.into_iter().flatten().fold(0, u64::saturating_add)
}

/// Whether the mirror shows one direction only, and in more connections than chance would have it.
fn is_one_sided(quality: &CaptureQuality, rules: &Rules) -> bool {
    let at = &rules.settings.capture;
    quality.one_sided_share > at.one_sided_share && quality.one_sided_flows as f64 >= at.one_sided_flows
}

fn one_sided(quality: &CaptureQuality, rules: &Rules, first: Timestamp, last: Timestamp) -> Option<FindingRecord> {
    let at = &rules.settings.capture;
    if quality.one_sided_share <= at.one_sided_share {
        return None;
    }
    let draft = Draft::new(rules, RuleId::D22, first, last);
    let draft = if is_one_sided(quality, rules) { draft } else { draft.base(at.few) };
    let flows = format!(
        "one direction is missing of {}, {} of those that carry data",
        Counted(quality.one_sided_flows, "TCP flow"),
        Percent(quality.one_sided_share)
    );
    let draft = draft.say(Place::Share, Percent(quality.one_sided_share)).count(quality.one_sided_flows);
    Some(draft.evidence(flows, None, None).build())
}

fn drops(quality: &CaptureQuality, rules: &Rules, first: Timestamp, last: Timestamp) -> Option<FindingRecord> {
    let at = &rules.settings.capture;
    let dropped = dropped(quality);
    let shed = quality.shed_frames;
    let unseen = dropped.saturating_add(shed);
    let missed = quality.missed_share > at.missed_share;
    if unseen == 0 && !missed {
        return None;
    }
    let mut draft = Draft::new(rules, RuleId::D23, first, last).count(unseen.max(1));
    let frames = Counted(unseen, "frame").to_string();
    if dropped > 0 {
        let told = Counted(dropped, "frame");
        draft = draft.evidence(format!("{told} dropped, by the capture's own count"), None, None);
    }
    if shed > 0 {
        let told = Counted(shed, "frame");
        draft = draft.evidence(format!("{told} counted and not analyzed, for want of time"), None, None);
    }
    if unseen == 0 && (quality.missed_bytes as f64) < at.missed_bytes {
        draft = draft.base(at.few);
    }
    if missed {
        let missed = format!(
            "{} that TCP acknowledged are not in the capture, {} of the payload",
            Bytes(quality.missed_bytes),
            Percent(quality.missed_share)
        );
        draft = draft.evidence(missed, None, None);
    }
    let lost = if missed { format!("{} of the payload", Percent(quality.missed_share)) } else { frames };
    Some(draft.say(Place::Share, lost).build())
}

fn cut(quality: &CaptureQuality, rules: &Rules, first: Timestamp, last: Timestamp) -> Option<FindingRecord> {
    let share = share(quality.cut_frames, quality.frames);
    let mut cut = format!("{} of {} cut short", Count(quality.cut_frames), Counted(quality.frames, "frame"));
    if quality.cut_at > 0 {
        cut.push_str(&format!(", at {} bytes or less", quality.cut_at));
    }
    (share > rules.settings.capture.cut_share).then(|| {
        let draft = Draft::new(rules, RuleId::D24, first, last).count(quality.cut_frames);
        draft.say(Place::Share, Percent(share)).evidence(cut, None, None).build()
    })
}

/// Whether the capture was taken at every interface of a machine at once: such captures have Linux' cooked headers.
fn is_of_every_interface(quality: &CaptureQuality) -> bool {
    !quality.link_types.is_empty() && quality.link_types.iter().all(|link| link.starts_with("LINUX_SLL"))
}

fn duplicates(quality: &CaptureQuality, rules: &Rules, first: Timestamp, last: Timestamp) -> Option<FindingRecord> {
    let (at, share) = (&rules.settings.capture, quality.duplicate_share);
    (share > at.duplicate_share).then(|| {
        let copies = format!("mirror copies are {} of {}", Percent(share), Counted(quality.frames, "frame"));
        let draft = Draft::new(rules, RuleId::D21, first, last);
        let few = share * (quality.frames as f64) < at.duplicate_frames;
        let draft = match (is_of_every_interface(quality), few) {
            (true, _) => draft.base(at.every_interface),
            (false, true) => draft.base(at.few),
            (false, false) => draft,
        };
        draft.say(Place::Share, Percent(share)).evidence(copies, None, None).build()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality() -> CaptureQuality {
        CaptureQuality {
            frames: 1000,
            first: Some(Timestamp(5)),
            last: Some(Timestamp(9)),
            kernel_drops: Some(0),
            duplicate_share: 0.01,
            one_sided_share: 0.5,
            one_sided_flows: 30,
            missed_bytes: 10_000,
            missed_share: 0.005,
            cut_frames: 10,
            ..CaptureQuality::default()
        }
    }

    /// Rules and confidences of what is found, and whether the capture is poor.
    fn told(change: impl Fn(&mut CaptureQuality)) -> (Vec<(&'static str, f64)>, bool) {
        let rules = Rules::embedded().unwrap();
        let mut quality = quality();
        change(&mut quality);
        let found = findings(&quality, &rules);
        assert!(found.iter().all(|f| (f.first, f.last) == (Timestamp(5), Timestamp(9)) && !f.evidence.is_empty()));
        (found.into_iter().map(|f| (f.rule, f.confidence)).collect(), is_poor(&quality, &rules))
    }

    #[test]
    fn what_is_told_and_what_nearly_is() {
        assert_eq!(told(|_| ()), (vec![], false));
        assert_eq!(told(|q| q.duplicate_share = 0.011), (vec![("D-21", 0.95)], false));
        let every_interface = |q: &mut CaptureQuality| {
            q.duplicate_share = 0.4;
            q.link_types = vec!["LINUX_SLL2".into()];
        };
        assert_eq!(told(every_interface), (vec![("D-21", 0.4)], false));
        assert_eq!(told(|q| q.one_sided_share = 0.51), (vec![("D-22", 0.9)], true));
        assert_eq!(told(|q| (q.one_sided_share, q.one_sided_flows) = (1.0, 2)), (vec![("D-22", 0.5)], false));
        assert_eq!(told(|q| q.missed_share = 0.006), (vec![("D-23", 0.95)], false));
        assert_eq!(told(|q| q.missed_share = 0.06), (vec![("D-23", 0.95)], true));
        assert_eq!(told(|q| (q.missed_share, q.missed_bytes) = (0.06, 9_999)), (vec![("D-23", 0.5)], false));
        assert_eq!(told(|q| (q.duplicate_share, q.frames) = (0.09, 100)), (vec![("D-24", 0.98), ("D-21", 0.5)], false));
        assert_eq!(told(|q| q.kernel_drops = Some(1)), (vec![("D-23", 0.95)], false));
        assert_eq!(told(|q| q.queue_drops = 100), (vec![("D-23", 0.95)], true));
        assert_eq!(told(|q| q.cut_frames = 11), (vec![("D-24", 0.98)], false));
        assert_eq!(told(|q| q.cut_frames = 501), (vec![("D-24", 0.98)], true));
        assert_eq!(told(|q| q.earlier_frames = 50), (vec![], false));
        assert_eq!(told(|q| q.earlier_frames = 51), (vec![], true));
        assert_eq!(told(|q| (q.one_sided_share, q.first) = (1.0, None)).0, vec![]);
    }

    #[test]
    fn what_to_do_about_it() {
        let rules = Rules::embedded().unwrap();
        let told = |change: fn(&mut CaptureQuality)| {
            let mut quality = quality();
            change(&mut quality);
            advise(&mut quality, &rules);
            assert_eq!(quality.sound, quality.advice.starts_with("The capture is sound"));
            quality.advice
        };
        assert_eq!(told(|_| ()), "The capture is sound: both directions, no notable loss.");
        // what was not read is not praised
        let cut = told(|q| q.warnings = vec!["a.pcap: at byte 98940: cut short within a record header".into()]);
        assert!(cut.starts_with("What could be read is sound") && cut.contains("copy it again"), "{cut}");
        assert!(told(|q| q.frames = 0).starts_with("There are no frames in this capture"));
        assert!(told(|q| q.duplicate_share = 0.5).ends_with("Mirror one port only, in both directions, or one VLAN."));
        let several = told(|q| (q.duplicate_share, q.one_sided_share, q.kernel_drops) = (0.5, 0.9, Some(1)));
        assert!(
            several.starts_with("The mirror shows one direction only, in 90 % of the connections. Set"),
            "{several}"
        );
        assert!(told(|q| _ = q.undecoded.insert(Undecoded::Encrypted.name(), 501)).starts_with("Most frames are encr"));
        assert!(told(|q| _ = q.undecoded.insert(Undecoded::NotIp.name(), 901)).starts_with("Almost nothing in this"));
        // a hint is no reason to blame the capture, nor to praise it
        assert!(told(|q| (q.one_sided_share, q.one_sided_flows) = (1.0, 1)).starts_with("Too little was captured"));
        assert!(told(|q| (q.missed_share, q.missed_bytes) = (0.9, 9_000)).starts_with("Too little was captured"));
        assert!(told(|q| (q.duplicate_share, q.frames) = (0.09, 100)).starts_with("Frames were cut"));
        assert!(told(|q| (q.duplicate_share, q.cut_frames) = (0.011, 0)).starts_with("Frames appear more than once"));
        // nothing else can be told of a capture that is not in order
        let told = told(|q| (q.earlier_frames, q.kernel_drops) = (51, Some(1)));
        assert!(told.starts_with("Time runs back in this capture"));
    }
}
