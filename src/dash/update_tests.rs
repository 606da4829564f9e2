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
