//! Damage that leaves JSON mostly JSON: it comes through the parser and hurts what is behind it.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::tree::Tree;

/// Literals that no schema expects.
const ODD: [&str; 28] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e9",
    "1e400",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "0.1e-400",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude80\"",
    "\"\u{2028}\"",
    "\"\\\"\\\\\\/\"",
    "\"data:image/png;base64,\"",
    "\"data:;base64,=\"",
    "\"lr1.\"",
    "\"lr1.x.eA==\"",
    "[]",
    "{}",
    "[[]]",
    "{\"type\":null}",
];

/// Names and literals that occur in a corpus: what a schema has as words.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    names: Vec<String>,
    literals: Vec<String>,
    /// Small objects and lists.
    parts: Vec<Tree>,
}

impl Pool {
    /// What the documents of a corpus have.
    pub(crate) fn new<'a>(documents: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut names, mut literals, mut parts) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for tree in documents.into_iter().filter_map(Tree::read) {
            gather(&tree, &mut names, &mut literals, &mut parts);
        }
        Self { names: names.into_iter().collect(), literals: literals.into_iter().collect(), parts }
    }

    fn value(&self, rng: &mut Rng) -> Tree {
        match rng.u8(0..4) {
            0 => Tree::Raw(rng.choice(ODD).unwrap_or_default().to_owned()),
            1 => rng.choice(&self.parts).cloned().unwrap_or_else(|| Tree::Raw("{}".to_owned())),
            2 => long(rng),
            _ => Tree::Raw(rng.choice(&self.literals).cloned().unwrap_or_else(|| "null".to_owned())),
        }
    }

    fn name(&self, rng: &mut Rng) -> String {
        match rng.u8(0..8) {
            0 => rng
                .choice(["\"\"", "\"\\u0000\"", "\"type\\u0000\"", "\"\\ud800\""])
                .unwrap_or_default()
                .to_owned(),
            _ => rng.choice(&self.names).cloned().unwrap_or_else(|| "\"type\"".to_owned()),
        }
    }
}

fn gather(tree: &Tree, names: &mut BTreeSet<String>, literals: &mut BTreeSet<String>, parts: &mut Vec<Tree>) {
    match tree {
        Tree::Raw(literal) if literal.len() < 64 => drop(literals.insert(literal.clone())),
        Tree::Raw(_) => {}
        Tree::List(_) | Tree::Members(_) => {
            if let Tree::Members(members) = tree {
                names.extend(members.iter().map(|(name, _)| name.clone()));
            }
            if tree.count() < 24 {
                parts.push(tree.clone());
            }
            tree.children().for_each(|child| gather(child, names, literals, parts));
        }
    }
}

/// Text and lists that are longer than anybody sends.
fn long(rng: &mut Rng) -> Tree {
    let count = 1 << rng.u32(4..13);
    match rng.u8(0..4) {
        0 => Tree::Raw(format!("\"{}\"", "ab ".repeat(count))),
        1 => Tree::Raw(format!("\"{}\"", "\\n🚀".repeat(count / 4))),
        2 => Tree::List(vec![Tree::Raw("{}".to_owned()); count / 8]),
        _ => Tree::Raw("9".repeat(count)),
    }
}

/// The document with one of its values changed; what is no JSON loses its last byte.
pub(super) fn damaged(rng: &mut Rng, input: &[u8], pool: &Pool) -> Vec<u8> {
    let Some(mut tree) = Tree::read(input) else {
        return input.split_last().map_or_else(Vec::new, |(_, before)| before.to_vec());
    };
    change(rng, &mut tree, pool);
    tree.written()
}

fn change(rng: &mut Rng, tree: &mut Tree, pool: &Pool) {
    let count = tree.count();
    let other = tree.nth(rng.usize(..count)).map(|other| other.clone());
    // The document itself is rarely what is wrong.
    let least = usize::from(rng.u8(..) > 4 && count > 1);
    let number = rng.usize(least..count);
    let Some(value) = tree.nth(number) else { return };
    match rng.u8(0..12) {
        0 | 1 => *value = pool.value(rng),
        2 => *value = other.unwrap_or_else(|| pool.value(rng)),
        3 => *value = Tree::List(vec![value.clone()]),
        4 => *value = Tree::Members(vec![(pool.name(rng), value.clone())]),
        5 => *value = nested(rng, value.clone()),
        _ => match value {
            Tree::Raw(literal) => *literal = spelled(rng, literal, pool),
            Tree::List(_) | Tree::Members(_) => rearrange(rng, value, pool),
        },
    }
}

/// The value, deep inside of others.
fn nested(rng: &mut Rng, mut value: Tree) -> Tree {
    // Around the depth at which parsers give up, and far beyond it.
    let depth = [3, 100, 120, 126, 127, 128, 129, 500, 3_000][rng.usize(0..9)];
    let as_list = rng.bool();
    let (open, close) = if as_list { ("[", "]") } else { ("{\"content\":", "}") };
    if depth > 200 {
        // A tree of that depth could not be walked through by ourselves.
        return Tree::Raw(format!("{}{}", open.repeat(depth), close.repeat(depth)));
    }
    for _ in 0..depth {
        value = if as_list {
            Tree::List(vec![value])
        } else {
            Tree::Members(vec![("\"content\"".to_owned(), value)])
        };
    }
    value
}

/// A literal in another spelling, or another one.
fn spelled(rng: &mut Rng, literal: &str, pool: &Pool) -> String {
    let Some(text) = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return rng
            .choice([&format!("\"{literal}\""), &format!("-{literal}"), &format!("{literal}0"), "1e400"])
            .map_or_else(String::new, ToString::to_string);
    };
    match rng.u8(0..6) {
        0 => format!("\"{text}{text}\""),
        1 => "\"\"".to_owned(),
        2 => format!(
            "\"{}{text}\"",
            rng.choice(["\\u0000", "\\ud800", "🚀", "\\n", "lr1.", " ", "/"]).unwrap_or_default()
        ),
        3 => text.to_owned(),
        4 if !text.contains('\\') => {
            let at =
                text.char_indices().map(|(at, _)| at).nth(rng.usize(..=text.len())).unwrap_or(text.len());
            format!("\"{}\"", &text[..at])
        }
        _ => rng.choice(&pool.literals).cloned().unwrap_or_default(),
    }
}

/// A list or an object with its values in another order or number.
fn rearrange(rng: &mut Rng, value: &mut Tree, pool: &Pool) {
    let length = value.len();
    if length == 0 {
        *value = pool.value(rng);
        return;
    }
    let (place, other) = (rng.usize(..length), rng.usize(..length));
    match (rng.u8(0..7), value) {
        (0 | 1, value) => value.remove(place),
        (2, Tree::List(list)) => list.swap(place, other),
        (2, Tree::Members(members)) => {
            let name = members[place].0.clone();
            members[place].0 = std::mem::replace(&mut members[other].0, name);
        }
        (3, Tree::List(list)) => list.insert(other, list[place].clone()),
        (3, Tree::Members(members)) => members.insert(other, members[place].clone()),
        (4, Tree::List(list)) => {
            let again = vec![list[place].clone(); 1 << rng.u32(0..8)];
            list.extend(again);
        }
        (4, Tree::Members(members)) => {
            // The same name with another value: which one counts is a choice that all readers have to share.
            let name = members[place].0.clone();
            members.insert(other, (name, pool.value(rng)));
        }
        (5, Tree::List(list)) => list.insert(place, pool.value(rng)),
        (5, Tree::Members(members)) => members[place].0 = pool.name(rng),
        (_, Tree::List(list)) => list.truncate(place),
        (_, Tree::Members(members)) => members.push((pool.name(rng), pool.value(rng))),
        (_, Tree::Raw(_)) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, damaged};

    #[test]
    fn most_damage_is_still_json_and_a_seed_gives_the_same_again() {
        let document = br#"{"messages":[{"role":"user","content":"hi"}],"model":"m","n":1}"#;
        let pool = Pool::new([document.as_slice()]);
        let inputs = |seed| -> Vec<Vec<u8>> {
            let mut rng = fastrand::Rng::with_seed(seed);
            (0..500).map(|_| damaged(&mut rng, document, &pool)).collect()
        };
        let of_one = inputs(1);
        assert_eq!(of_one, inputs(1));
        assert_ne!(of_one, inputs(2));
        let is_json = |input: &&Vec<u8>| serde_json::from_slice::<serde_json::Value>(input).is_ok();
        let valid = of_one.iter().filter(is_json).count();
        assert!(valid > 300, "{valid} of 500 are JSON");
        let changed = of_one.iter().filter(|input| input.as_slice() != document).count();
        assert!(changed > 400, "{changed} of 500 differ from what they were made from");
    }
}
