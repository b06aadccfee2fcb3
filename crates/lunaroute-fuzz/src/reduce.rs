//! Makes an input small that shows a mistake.

use std::time::{Duration, Instant};

use crate::tree::Tree;

/// Most tries at making one input smaller, and how long they may take: an input that is slow is tried slowly.
const TRIES: usize = 4_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// The smallest input found that still fails. `fails` says whether an input shows the same mistake.
pub(crate) fn reduced(input: &[u8], mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let (started, mut left) = (Instant::now(), TRIES);
    let mut attempt = |input: &[u8]| {
        left = left.saturating_sub(1);
        left > 0 && started.elapsed() < PATIENCE && fails(input)
    };
    let smaller = by_value(input, &mut attempt);
    by_stretch(&smaller, &mut attempt)
}

/// Takes values out of a document.
fn by_value(input: &[u8], fails: &mut impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let Some(mut tree) = Tree::read(input).filter(|tree| fails(&tree.written())) else {
        return input.to_vec();
    };
    let mut number = 0;
    while number < tree.count() {
        let children = tree.nth(number).map_or(0, |value| value.len());
        // From behind, so that what is left keeps its place.
        for place in (0..children).rev() {
            let mut smaller = tree.clone();
            if let Some(value) = smaller.nth(number) {
                value.remove(place);
            }
            if fails(&smaller.written()) {
                tree = smaller;
            }
        }
        number += 1;
    }
    tree.written()
}

/// Takes out stretches of bytes, first long and then short ones.
fn by_stretch(input: &[u8], fails: &mut impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut kept = input.to_vec();
    let mut length = kept.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        while from < kept.len() {
            let to = (from + length).min(kept.len());
            let smaller = [&kept[..from], &kept[to..]].concat();
            if fails(&smaller) {
                kept = smaller;
            } else {
                from = to;
            }
        }
        if length == 1 {
            return kept;
        }
        length /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::reduced;

    fn has(word: &'static str) -> impl Fn(&[u8]) -> bool {
        move |input| String::from_utf8_lossy(input).contains(word)
    }

    #[test]
    fn what_does_not_matter_goes() {
        let text = format!("{}needle{}", "hay ".repeat(300), "straw".repeat(99));
        assert_eq!(reduced(text.as_bytes(), has("needle")), b"needle");
    }

    #[test]
    fn a_document_that_has_to_stay_one_stays_one() {
        let document = br#"{"a":[1,2,{"key":"x"}],"b":{"c":"needle","d":2},"e":null}"#;
        let is_json = |input: &[u8]| serde_json::from_slice::<serde_json::Value>(input).is_ok();
        let kept = reduced(document, |input| is_json(input) && has("needle")(input));
        assert_eq!(String::from_utf8(kept).unwrap(), r#"{"":{"":"needle"}}"#);
    }
}
