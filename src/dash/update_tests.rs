//! What keys and typed lines come to, and what is said of them.

use super::testing::{busy, picture, press, screen};
use super::update::Action;

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
