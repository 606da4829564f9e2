//! What keys and typed lines come to, and what is said.

use super::testing::{at, busy, picture, press, screen, write};
use super::update::Action;

#[test]
fn a_capture_cut_short_is_not_called_sound_nor_good_news() {
    let mut snapshot = busy(10);
    (snapshot.findings, snapshot.sessions) = (Vec::new(), Vec::new());
    (snapshot.quality.kernel_drops, snapshot.quality.first, snapshot.quality.last) = (None, Some(at(0)), Some(at(1)));
    snapshot.settle();
    let mut dash = screen(snapshot, 80, 24);
    let told = picture(&mut dash);
    assert!(told.contains("· No fault was found, but this capture is only 1.0 s long"), "{told}");
    assert!(told.lines().next().unwrap().ends_with("⚠ 1 warning"), "{told}");
}

#[test]
fn while_a_filter_is_wrong_the_last_one_that_was_right_holds() {
    let mut dash = screen(busy(1000), 100, 30);
    press(&mut dash, "2 /");
    write(&mut dash, "mthod");
    assert_eq!(dash.listing.passed, 0);
    write(&mut dash, ":x");
    assert!(dash.message.is_some() && dash.listing.passed == 1000);
    press(&mut dash, "ctrl-u");
    write(&mut dash, "class:relay");
    let relays = dash.listing.passed;
    write(&mut dash, "x");
    assert!(dash.message.is_some() && dash.listing.passed == relays && relays < 1000);
}

#[test]
fn a_key_that_does_nothing_here_says_where_it_does_something() {
    let mut dash = screen(busy(100), 80, 24);
    let mut said = |view: &str, key: &str, replay: bool| {
        dash.replay = replay;
        press(&mut dash, view);
        press(&mut dash, key);
        dash.message.take().map(|(_, text)| text)
    };
    for view in ["1", "3", "6"] {
        for key in ["b", "c", "x", "m", "s", "<"] {
            let text = said(view, key, true).unwrap();
            assert!(text.starts_with(key) && text.ends_with(") works in the list of flows: 2 goes there"), "{text}");
        }
    }
    assert_eq!(said("2", "]", false).unwrap(), "] (next finding) works in a capture that was recorded");
    assert_eq!((said("2", "c", true), said("1", "Q", true)), (None, None));
    for typed in ["seek 10", "columns"] {
        dash.replay = false;
        press(&mut dash, "1 :");
        write(&mut dash, typed);
        assert_eq!(press(&mut dash, "enter"), []);
        let text = dash.message.take().unwrap().1;
        assert!(text.contains("recorded") || text == "c (columns) works in the list of flows: 2 goes there", "{text}");
    }
}

#[test]
fn a_file_that_was_written_is_told_by_its_own_name_and_that_it_is_not_masked() {
    let mut dash = screen(busy(10), 80, 24);
    let name = "20250615-relayscope-report.html";
    dash.update(Action::Wrote("the report".to_owned(), name.to_owned()));
    assert_eq!(dash.message.as_ref().unwrap().1, format!("the report: written to {name}"));
    press(&mut dash, "p");
    dash.update(Action::Wrote("the report".to_owned(), name.to_owned()));
    let told = picture(&mut dash);
    assert!(told.contains(&format!("the report: written to {name}; it is not masked")), "{told}");
}
