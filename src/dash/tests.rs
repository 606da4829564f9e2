//! What the screen shows, and what keys and clicks do to it.

use std::sync::Arc;

use super::command::Command;
use super::detail::Tab;
use super::listing::Row;
use super::snapshot::Snapshot;
use super::state::{Hit, Mode, View};
use super::testing::{at, busy, empty, failed, loading, picture, press, screen, styles, write};
use super::theme::{Depth, Palette, Theme};
use super::update::{Action, Effect, Play};
use crate::event::{Class, Severity};

type Made = fn() -> Snapshot;

const STATES: [(&str, Made); 4] =
    [("empty", empty), ("loading", loading), ("busy", || busy(10_000)), ("error", failed)];
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Every view in every state at every size.
#[test]
fn frames() {
    for (state, snapshot) in STATES {
        for view in View::ALL {
            let mut frames = String::new();
            for (columns, lines) in SIZES {
                let mut dash = screen(snapshot(), columns, lines);
                dash.perform(view.command());
                frames.push_str(&format!("{columns} × {lines}\n{}\n", picture(&mut dash)));
            }
            insta::assert_snapshot!(format!("{}_{state}", view.text().to_lowercase()), frames);
        }
    }
}

/// How all of that is coloured, and how it is set off where there are no colours.
#[test]
fn colours() {
    let colour = Theme { palette: Palette::Muted, depth: Depth::True, ascii: false };
    let mono = Theme { palette: Palette::Mono, depth: Depth::None, ascii: true };
    for (state, snapshot) in STATES {
        for view in View::ALL {
            let mut frames = String::new();
            for (name, theme) in [("colour", colour), ("mono", mono)] {
                for (columns, lines) in SIZES {
                    let mut dash = screen(snapshot(), columns, lines);
                    dash.theme = theme;
                    dash.perform(view.command());
                    let styles = styles(&mut dash);
                    assert!(!styles.contains('?'), "a style of no role: {styles}");
                    frames.push_str(&format!("{name}, {columns} × {lines}\n{styles}\n"));
                }
            }
            insta::assert_snapshot!(format!("{}_{state}_styles", view.text().to_lowercase()), frames);
        }
    }
}

#[test]
fn frames_of_what_lies_over_the_view() {
    let mut dash = screen(busy(100), 100, 40);
    press(&mut dash, "?");
    let mut frames = picture(&mut dash);
    press(&mut dash, "esc :");
    write(&mut dash, "finding");
    frames.push_str(&picture(&mut dash));
    press(&mut dash, "esc 2 enter tab tab");
    frames.push_str(&picture(&mut dash));
    press(&mut dash, "/");
    write(&mut dash, "relay ret");
    frames.push_str(&picture(&mut dash));
    dash.update(Action::Resize(40, 10));
    frames.push_str(&picture(&mut dash));
    insta::assert_snapshot!(frames);
}

/// Whatever size it has, and whatever it shows: nothing panics, and no line is longer than the screen.
#[test]
fn any_size_is_drawn() {
    for snapshot in STATES.map(|(_, make)| make()) {
        for (columns, lines) in [(1, 1), (59, 15), (60, 16), (61, 17), (83, 30), (119, 20), (300, 100)] {
            for view in View::ALL {
                for keys in ["", "?", ":", "/", "enter", "enter enter tab", "b b", "p c"] {
                    let mut dash = screen(snapshot.clone(), columns, lines);
                    dash.perform(view.command());
                    press(&mut dash, keys);
                    let picture = picture(&mut dash);
                    assert!(picture.lines().all(|line| line.chars().count() <= columns.into()));
                }
            }
        }
    }
}

/// The plain screen has no character beyond ASCII.
#[test]
fn ascii_is_ascii() {
    for view in View::ALL {
        for keys in ["", "?", ":", "enter tab tab", "b"] {
            let mut dash = screen(busy(200), 100, 30);
            dash.theme.ascii = true;
            dash.perform(view.command());
            press(&mut dash, keys);
            let picture = picture(&mut dash);
            assert!(picture.is_ascii(), "{view:?} {keys}: {picture}");
        }
    }
}

/// On every screen that has something to show, the verdict stands above all else, and the last line tells five keys.
#[test]
fn the_verdict_comes_first_and_hints_last() {
    let title: String = busy(1).findings[0].title.chars().take(30).collect();
    for (columns, lines) in SIZES {
        for view in View::ALL {
            let mut dash = screen(busy(1000), columns, lines);
            dash.perform(view.command());
            let picture = picture(&mut dash);
            assert!(picture.lines().nth(2).unwrap().contains(&title), "{picture}");
            let hints = picture.lines().last().unwrap();
            let last = lines - 1;
            let told =
                dash.drawn.hits.iter().filter(|(area, hit)| area.y == last && matches!(hit, Hit::Command(_))).count();
            assert!(told >= 5 && hints.contains("q quit") && hints.contains("? help"), "{hints}");
        }
    }
}

#[test]
fn no_address_is_cut() {
    for (columns, lines) in SIZES {
        for keys in ["2", "2 c", "2 c c", "2 c c c", "2 b b", "1"] {
            let mut dash = screen(busy(500), columns, lines);
            press(&mut dash, keys);
            let picture = picture(&mut dash);
            for line in picture.lines().filter(|line| line.contains("2001:db8") || line.contains("7334")) {
                assert!(line.contains("[2001:db8:8d3::8a2e:370:7334]:443"), "{line}");
            }
        }
    }
}

#[test]
fn icmp_is_told_in_words_where_others_have_ports() {
    let mut snapshot = busy(5);
    let [host, router] = [50, 1].map(|n| std::net::IpAddr::from([192, 168, 1, n]));
    let echo = crate::engine::light::Light::bare(77, 1, (host, 8), (router, 0));
    snapshot.flows = Arc::new(snapshot.flows.iter().cloned().chain([echo]).collect());
    let mut dash = screen(snapshot, 120, 40);
    press(&mut dash, "2");
    let picture = picture(&mut dash);
    let line = picture.lines().find(|line| line.contains("192.168.1.1")).unwrap();
    assert!(line.contains("192.168.1.50 ") && line.contains("echo → 192.168.1.1 "), "{line}");
}

/// With nothing but the keys shown on the screen: the verdict, the evidence, its flows, their packets, the report.
#[test]
fn from_the_verdict_to_the_proof() {
    let mut dash = screen(busy(1000), 80, 24);
    let shows = |dash: &mut super::state::Dash, hint: &str| {
        let picture = picture(dash);
        assert!(picture.lines().last().unwrap().contains(hint), "{hint}: {picture}");
    };
    shows(&mut dash, "Enter why");
    press(&mut dash, "enter");
    assert_eq!(dash.view, View::Findings);
    assert!(picture(&mut dash).contains("evidence"));
    shows(&mut dash, "Enter its flows");
    shows(&mut dash, "w carve");
    press(&mut dash, "enter");
    assert_eq!(dash.view, View::Flows);
    let finding = dash.snapshot.findings[0].clone();
    assert_eq!(dash.filter_text, format!("finding:{}", finding.id));
    let chosen = dash.flow.unwrap();
    assert!(finding.flow_ids.contains(&chosen) && dash.listing.passed == finding.flow_ids.len());
    shows(&mut dash, "w carve");
    let carved = press(&mut dash, "w");
    assert!(matches!(&carved[..], [Effect::Carve(flows, _)] if flows[..] == [chosen]));
    press(&mut dash, "esc");
    assert_eq!(dash.view, View::Findings);
    shows(&mut dash, "r report");
    assert_eq!(press(&mut dash, "r"), [Effect::Report]);
}

#[test]
fn flows_say_where_they_were_entered_from_and_esc_goes_back_there() {
    let mut dash = screen(busy(1000), 100, 30);
    press(&mut dash, "2 /");
    write(&mut dash, "class:relay");
    press(&mut dash, "enter 3 enter");
    let heading =
        |dash: &mut super::state::Dash| picture(dash).lines().find(|l| l.contains("FLOWS  ")).map(str::to_owned);
    let finding = dash.snapshot.findings[0].clone();
    let from = format!("FINDINGS > {} {} > FLOWS  ", finding.rule, finding.kind.text());
    let told = heading(&mut dash).unwrap();
    assert!(told.contains(&from) && !told.contains("filter:") && told.contains(" of 1 000 flows"), "{told}");
    press(&mut dash, "enter");
    assert!(dash.pane.is_some());
    // from there to a host's, and back to what was typed at first
    press(&mut dash, "6 enter");
    let from = format!("HOSTS > {} > FLOWS  ", dash.snapshot.hosts[0].ip);
    assert!(heading(&mut dash).unwrap().contains(&from), "{}", picture(&mut dash));
    press(&mut dash, "esc esc");
    assert_eq!((dash.view, dash.filter_text.as_str()), (View::Hosts, "class:relay"));
    press(&mut dash, "2");
    assert!(heading(&mut dash).unwrap().contains("filter: class:relay"));
    // another filter is another's
    press(&mut dash, "3 enter /");
    write(&mut dash, " sev>=warn");
    press(&mut dash, "enter");
    assert!(heading(&mut dash).unwrap().contains("filter: finding:"));
}

#[test]
fn a_filter_is_tried_as_it_is_typed_and_never_blanks_the_screen() {
    let mut dash = screen(busy(1000), 100, 30);
    press(&mut dash, "2 /");
    write(&mut dash, "class:re");
    let before = dash.listing.rows.len();
    let told = picture(&mut dash);
    assert!(
        told.contains("/class:re") && told.contains(" relay remote-assist") && !told.contains("did you mean"),
        "{told}"
    );
    assert!(before > 0 && dash.message.is_some());
    press(&mut dash, "tab");
    assert!(picture(&mut dash).contains("/class:re"));
    write(&mut dash, "lay");
    assert!(dash.listing.rows.len() < 1000 && dash.message.is_none());
    write(&mut dash, " rate>");
    assert!(dash.message.is_some() && dash.listing.rows.len() > 1);
    press(&mut dash, "enter");
    assert!(matches!(dash.mode, Mode::Filter(_)), "what is no filter is not kept");
    write(&mut dash, "0");
    assert_eq!(press(&mut dash, "enter"), [Effect::Keep]);
    assert_eq!((dash.filter_text.as_str(), &dash.mode), ("class:relay rate>0", &Mode::Normal));
    press(&mut dash, "\\");
    assert_eq!((dash.filter_text.as_str(), dash.listing.passed), ("", 1000));
    press(&mut dash, "/ up");
    assert!(picture(&mut dash).contains("/class:relay rate>0"));
    press(&mut dash, "esc");
    assert_eq!((dash.filter_text.as_str(), dash.listing.passed), ("", 1000), "what was typed and left is forgotten");
}

#[test]
fn what_is_selected_stays_so_when_more_comes() {
    let mut dash = screen(busy(100), 100, 30);
    press(&mut dash, "2 > > j j j");
    let chosen = dash.flow;
    assert!(chosen.is_some());
    dash.update(Action::Publish(busy(5000).into()));
    assert_eq!(dash.selected_flow().map(|flow| flow.id), chosen);
    press(&mut dash, "F");
    assert_eq!(dash.selected_flow().map(|flow| flow.id), dash.snapshot.flows.last().map(|flow| flow.id));
}

#[test]
fn groups_fold_and_marks_stay() {
    let mut dash = screen(busy(300), 100, 30);
    press(&mut dash, "2 m m M");
    assert_eq!((dash.listing.passed, dash.wish.marks.len()), (2, 2));
    press(&mut dash, "M b g g");
    let open = dash.listing.rows.len();
    assert!(picture(&mut dash).contains("grouped by method"));
    press(&mut dash, "enter");
    assert!(dash.listing.rows.len() < open);
    press(&mut dash, "enter");
    assert_eq!(dash.listing.rows.len(), open);
    press(&mut dash, "t");
    assert!(dash.listing.passed < 300);
}

/// Once is not enough to clear the list, what has news comes back, and it all does when it is asked for.
#[test]
fn the_list_is_cleared_by_two_keys() {
    let mut dash = screen(busy(300), 100, 30);
    press(&mut dash, "2 x j");
    assert_eq!(dash.listing.passed, 300);
    press(&mut dash, "x x");
    assert_eq!(dash.listing.passed, 0);
    assert!(picture(&mut dash).contains("nothing came since the list was cleared"));
    let mut more = busy(310);
    more.now = at(700);
    let mut flows = (*more.flows).clone();
    flows[7].last = at(690);
    more.flows = flows.into();
    dash.update(Action::Publish(more.into()));
    assert_eq!((dash.listing.passed, dash.snapshot.flows.len()), (11 - 10, 310), "one has news");
    press(&mut dash, "\\");
    assert_eq!(dash.listing.passed, 310);
    press(&mut dash, "x x");
    dash.update(Action::Publish(busy(300).into()));
    assert_eq!(dash.listing.passed, 300, "who goes back in time sees what was there");
}

#[test]
fn the_detail_takes_the_whole_screen() {
    let mut dash = screen(busy(300), 120, 40);
    press(&mut dash, "2 z");
    let whole = picture(&mut dash);
    assert!(dash.pane.is_some() && whole.contains("STUN/ICE") && !whole.contains("FLOWS"), "{whole}");
    press(&mut dash, "z");
    assert!(picture(&mut dash).contains("FLOWS"));
    press(&mut dash, "esc");
    assert!(dash.pane.is_none());
    let mut narrow = screen(busy(300), 70, 24);
    press(&mut narrow, "2 enter");
    assert!(!picture(&mut narrow).contains("FLOWS"), "there is no room for both");
}

#[test]
fn roles_are_set_where_a_host_is() {
    let mut dash = screen(busy(300), 100, 30);
    let host = dash.snapshot.hosts[1].ip;
    press(&mut dash, "6 j");
    assert_eq!(press(&mut dash, "R"), [Effect::Role(host)]);
    press(&mut dash, "2");
    let flow = dash.selected_flow().unwrap().orig.0;
    assert_eq!(press(&mut dash, "R"), [Effect::Role(flow)]);
    press(&mut dash, "3");
    assert_eq!(press(&mut dash, "R"), []);
}

#[test]
fn the_mouse_does_what_keys_do() {
    let mut dash = screen(busy(300), 120, 40);
    picture(&mut dash);
    let place = |dash: &super::state::Dash, wanted: Hit| {
        let (area, _) = *dash.drawn.hits.iter().find(|(_, hit)| *hit == wanted).unwrap();
        Action::Click(area.x, area.y)
    };
    dash.update(place(&dash, Hit::Command(Command::Flows)));
    assert_eq!(dash.view, View::Flows);
    picture(&mut dash);
    dash.update(place(&dash, Hit::Line(3)));
    assert_eq!(dash.cursor(), 3);
    dash.update(Action::Wheel(0, 10, 3));
    assert_eq!(dash.cursor(), 6);
    picture(&mut dash);
    let action = place(&dash, Hit::Line(6));
    dash.update(action);
    assert!(dash.pane.is_some());
    picture(&mut dash);
    dash.update(place(&dash, Hit::Tab(Tab::Tcp)));
    assert_eq!(dash.pane.unwrap().tab, Tab::Tcp);
    let seek = dash.drawn.hits.iter().find_map(|(area, hit)| matches!(hit, Hit::Seek(_)).then_some(*area)).unwrap();
    assert_eq!(dash.update(Action::Click(seek.x, seek.y)), Some(Effect::Play(Play::Seek(at(0)))));
}

#[test]
fn what_stands_between_list_and_detail_is_dragged_and_the_wheel_moves_what_it_is_over() {
    for (columns, lines) in [(160, 40), (100, 40)] {
        let mut dash = screen(busy(300), columns, lines);
        press(&mut dash, "2 enter tab tab tab tab tab");
        picture(&mut dash);
        let split = |dash: &super::state::Dash| {
            let found = dash.drawn.hits.iter().find(|(_, hit)| matches!(hit, Hit::Split(_)));
            found.map(|(area, _)| (area.right() - 1, area.bottom() - 1)).unwrap()
        };
        let (x, y) = split(&dash);
        dash.update(Action::Drag(x - 9, y - 9));
        picture(&mut dash);
        assert_eq!(split(&dash), (x, y), "nothing was taken hold of");
        dash.update(Action::Click(x, y));
        dash.update(Action::Drag(x - 9, y + 9));
        dash.update(Action::Drop);
        dash.update(Action::Drag(0, 0));
        picture(&mut dash);
        let moved = split(&dash);
        assert!(if columns >= 120 { moved.0 == x - 9 } else { moved.1.abs_diff(y + 9) <= 1 }, "{x} {y} {moved:?}");
        let (at, pane) = (dash.cursor(), dash.pane.unwrap());
        dash.update(Action::Wheel(columns - 2, lines - 5, 3));
        assert_eq!(dash.cursor(), at);
        assert_eq!(dash.pane.unwrap().scroll, pane.scroll + 3.min(dash.drawn.scroll_most));
        dash.update(Action::Wheel(2, 6, 3));
        assert_eq!(dash.cursor(), at + 3);
    }
}

/// What is scrolled as far as it goes comes back with the next key the other way.
#[test]
fn nothing_is_scrolled_beyond_its_end() {
    let mut dash = screen(busy(300), 80, 24);
    press(&mut dash, "?");
    for _ in 0..200 {
        picture(&mut dash);
        press(&mut dash, "j");
    }
    let last = picture(&mut dash);
    press(&mut dash, "k");
    assert_ne!(picture(&mut dash), last);
    press(&mut dash, "esc 3");
    picture(&mut dash);
    press(&mut dash, "J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J J");
    let last = picture(&mut dash);
    press(&mut dash, "K");
    assert_ne!(picture(&mut dash), last);
}

#[test]
fn the_next_match_is_the_filters_or_the_next_fault() {
    let mut dash = screen(busy(1000), 200, 30);
    let chosen = |dash: &super::state::Dash| dash.selected_flow().unwrap().clone();
    assert!(picture(&mut dash).contains("FLOWS"));
    press(&mut dash, "2 n");
    assert!(dash.snapshot.cited.contains_key(&chosen(&dash).id) && picture(&mut dash).contains("n next fault"));
    press(&mut dash, "/");
    write(&mut dash, "class:p2p");
    press(&mut dash, "enter g g n");
    assert_eq!((dash.cursor(), chosen(&dash).class), (1, Class::P2p));
    press(&mut dash, "\\ g g");
    for _ in 0..3 {
        let before = dash.cursor();
        press(&mut dash, "n");
        assert!(dash.cursor() > before && chosen(&dash).class == Class::P2p && dash.listing.passed == 1000);
        let between = &dash.listing.rows[before + 1..dash.cursor()];
        let class =
            |row: &Row| if let Row::Flow(at) = row { dash.snapshot.flows[*at as usize].class } else { panic!() };
        assert!(between.iter().all(|row| class(row) != Class::P2p));
    }
    let third = dash.cursor();
    press(&mut dash, "N");
    assert!(dash.cursor() < third && chosen(&dash).class == Class::P2p);
    press(&mut dash, "g g");
    let keys = if chosen(&dash).class == Class::P2p { "N" } else { "n N" };
    press(&mut dash, keys);
    assert!(dash.cursor() > third && dash.message.as_ref().unwrap().1.contains("from the last"), "{:?}", dash.message);
}

/// What is wrong with a filter is shown beneath the very place.
#[test]
fn a_filters_error_stands_under_its_place() {
    for columns in [80, 120] {
        let mut dash = screen(busy(100), columns, 24);
        press(&mut dash, "2 /");
        write(&mut dash, "relay rat>1M port:443");
        let picture = picture(&mut dash);
        let lines: Vec<&str> = picture.lines().collect();
        let typed = lines.iter().position(|line| line.contains("/relay rat>1M")).unwrap();
        let place = lines[typed].find("rat>1M").unwrap();
        assert_eq!(lines[typed + 1].find('^'), Some(place), "{picture}");
        assert!(lines[typed + 1].contains("rat"), "{picture}");
        assert!(
            lines[lines.len() - 2].ends_with("did you mean rate?  (a word that holds : or < > = stands in quotes)")
        );
    }
}

#[test]
fn a_replay_is_played() {
    let mut dash = screen(busy(100), 100, 30);
    assert_eq!(press(&mut dash, "space"), [Effect::Play(Play::Toggle)]);
    assert_eq!(press(&mut dash, "left"), [Effect::Play(Play::Seek(at(650)))]);
    assert_eq!(press(&mut dash, "shift-left"), [Effect::Play(Play::Seek(at(600)))]);
    assert_eq!(press(&mut dash, "right"), [Effect::Play(Play::Seek(at(670)))]);
    assert_eq!(press(&mut dash, "["), [Effect::Play(Play::Seek(at(500)))]);
    assert_eq!(press(&mut dash, "]"), []);
    assert_eq!(press(&mut dash, "-"), [Effect::Play(Play::Speed(Some(64.0)))]);
    assert_eq!(press(&mut dash, "0"), [Effect::Play(Play::Speed(None))]);
    press(&mut dash, ":");
    write(&mut dash, "seek 00:01:30");
    assert_eq!(press(&mut dash, "enter"), [Effect::Play(Play::Seek(at(90)))]);
    assert!(picture(&mut dash).contains("11 m 00 s of 11 m 00 s"));
}

#[test]
fn a_long_name_keeps_its_end() {
    let mut snapshot = busy(10);
    snapshot.site.allow_list[0].pattern = "a-storage-of-many-words.s3.us-west-2.amazonaws.com".into();
    let mut dash = screen(snapshot, 80, 24);
    dash.perform(View::AllowList.command());
    let picture = picture(&mut dash);
    assert!(picture.contains("-many-words.s3.us-west-2.amazonaws.com  "), "{picture}");
}

#[test]
fn advice_that_is_no_praise_has_no_tick() {
    let mut snapshot = busy(10);
    snapshot.quality.advice = "Almost nothing can be read.".into();
    let mut told = |sound: bool| {
        snapshot.quality.sound = sound;
        let mut dash = screen(snapshot.clone(), 100, 30);
        dash.perform(View::Capture.command());
        picture(&mut dash)
    };
    assert!(told(true).contains("✓ Almost nothing") && told(false).contains("· Almost nothing"));
}

#[test]
fn a_live_screen_is_held_still() {
    let mut dash = screen(busy(100), 100, 30);
    dash.replay = false;
    press(&mut dash, "space");
    let mut more = busy(200);
    more.quality.frames += 12_034;
    dash.update(Action::Publish(more.into()));
    assert_eq!(dash.snapshot.flows.len(), 100);
    assert!(picture(&mut dash).contains("PAUSED, 12 034 frames since"));
    press(&mut dash, "space");
    assert_eq!(dash.snapshot.flows.len(), 200);
}

#[test]
fn the_mask_hides_what_is_the_sites() {
    let mut dash = screen(busy(1000), 200, 60);
    press(&mut dash, "p");
    for view in View::ALL {
        dash.perform(view.command());
        let picture = picture(&mut dash);
        let private = ["192.168.", "2001:db8", "203.0.113", "rec4.", "monday.pcapng"];
        assert!(private.iter().all(|text| !picture.contains(text)), "{picture}");
    }
    press(&mut dash, "2");
    let [Effect::Copy(text)] = &press(&mut dash, "y")[..] else { panic!("nothing is copied") };
    assert!(text.contains("host-") && !text.contains("192.168."), "{text}");
}

#[test]
fn what_names_hold_never_acts_on_the_terminal() {
    let mut snapshot = busy(10);
    snapshot.findings[0].title = "a\u{1b}[2Jb\u{202e}c".to_owned();
    snapshot.source = "x\u{7}y".to_owned();
    let mut dash = screen(snapshot, 100, 30);
    for view in View::ALL {
        dash.perform(view.command());
        let picture = picture(&mut dash);
        let acts = |c: char| c != '\n' && crate::text::safe::is_unsafe(c);
        assert!(!picture.chars().any(acts), "{picture:?}");
    }
}

#[test]
fn leaving_a_live_capture_is_asked_for() {
    let mut snapshot = busy(10);
    snapshot.phase = super::snapshot::Phase::Live(0);
    let mut dash = screen(snapshot, 100, 30);
    dash.replay = false;
    assert_eq!(press(&mut dash, "q"), []);
    assert!(picture(&mut dash).contains("Leave?"));
    assert_eq!(press(&mut dash, "x"), []);
    assert_eq!(press(&mut dash, "q q"), [Effect::Quit]);
    assert_eq!(press(&mut dash, "ctrl-c"), [Effect::Quit]);
    // what is kept can be looked at again
    dash.kept = true;
    assert_eq!(press(&mut dash, "q"), [Effect::Quit]);
    assert_eq!(dash.snapshot.findings[0].severity, Severity::Error);
}

/// Live, what needs a whole file is not offered; who asks all the same is told why not.
#[test]
fn live_offers_nothing_that_it_cannot_do() {
    let mut dash = screen(busy(100), 200, 60);
    dash.replay = false;
    for keys in ["1", "2", "3", "4", "5", "6", "7", "?"] {
        press(&mut dash, keys);
        let picture = picture(&mut dash);
        assert!(
            ["w carve", "r report", "R role", "Write the report"].iter().all(|t| !picture.contains(t)),
            "{picture}"
        );
    }
    press(&mut dash, "esc");
    assert_eq!(press(&mut dash, "r"), [Effect::Report]);
}

/// A row shows its flows: those that say its name, those that DNS named, and what a finding of it cites.
#[test]
fn a_row_of_the_allow_list_shows_what_never_said_its_name() {
    let mut snapshot = busy(100);
    let cited = snapshot.findings[0].clone();
    let mut flows = (*snapshot.flows).clone();
    flows[50].call("Silent.example".into());
    snapshot.flows = flows.into();
    let rows = &mut snapshot.site.allow_list;
    rows.truncate(3);
    for row in rows.iter_mut() {
        (row.names, row.finding_ids) = (vec!["nobody.example".to_owned()], Vec::new());
    }
    rows[0].finding_ids = vec![cited.id.clone()];
    rows[1].names = vec!["silent.example".to_owned()];
    let mut dash = screen(snapshot, 100, 30);
    press(&mut dash, "5 enter");
    assert_eq!((dash.view, dash.listing.passed), (View::Flows, cited.flow_ids.len()));
    press(&mut dash, "esc j enter");
    assert_eq!(dash.selected_flow().map(|flow| flow.id), Some(dash.snapshot.flows[50].id));
    press(&mut dash, "esc j enter");
    assert_eq!((dash.view, dash.filter_text.as_str()), (View::AllowList, ""));
    assert!(picture(&mut dash).contains("no flow of it is in this capture"));
}
