//! What providers do, each part small enough for every change.

use crate::scenarios::check;

#[test]
fn dripping_streams_cost_only_themselves() {
    check("upstream-basics drip");
}

#[test]
fn large_answers_are_bounded() {
    check("upstream-basics large");
}

#[test]
fn bombs_are_refused_or_forwarded_unread() {
    check("upstream-basics bombs");
}
