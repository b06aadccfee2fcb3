//! JSON that is none, or is meant to break its reader.

/// What is mutated: a request that every path takes for one.
const GOOD: &str = r#"{"model":"m","max_tokens":16,"stream":false,"input":"Where?","messages":[{"role":"user","content":[{"type":"text","text":"Where does the moon go?"}]}],"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]}"#;

/// What is put into it.
const SPLINTERS: [&str; 24] = [
    "\0",
    "\u{feff}",
    "\\",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\ud800",
    "\\u00",
    "1e999",
    "-",
    "01",
    ".5",
    "NaN",
    "Infinity",
    "//",
    "'",
    "tru",
    "\u{7}",
    "\u{2028}",
    "\u{10ffff}",
];

/// Name and bytes of each: what is deep or long is so `many` times, and of the mutations there is only every `step`th.
pub(super) fn documents(step: usize, many: usize) -> Vec<(String, Vec<u8>)> {
    let with_content = |content: &str| {
        format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":{content}}}]}}"#)
    };
    let keys: String = (0..many).map(|number| format!("\"k{number}\":0,")).collect();
    let mut documents: Vec<(String, Vec<u8>)> = [
        ("very many brackets", "[".repeat(many)),
        ("very many braces", "{\"a\":".repeat(many)),
        ("very many levels of arrays, closed", format!("{}{}", "[".repeat(many), "]".repeat(many))),
        ("very many levels of objects, closed", format!("{}1{}", "{\"a\":".repeat(many), "}".repeat(many))),
        ("very many levels in a message", with_content(&format!("{}{}", "[".repeat(many), "]".repeat(many)))),
        (
            "very many levels under an unknown key",
            format!(r#"{{"model":"m","x":{}{},"messages":[]}}"#, "[".repeat(many), "]".repeat(many)),
        ),
        ("very many keys", format!(r#"{{{keys}"model":"m","messages":[]}}"#)),
        (
            "very many equal keys",
            format!("{{{}\"model\":\"m\",\"messages\":[]}}", "\"model\":\"a\",".repeat(many)),
        ),
        ("very many messages", format!(r#"{{"model":"m","messages":[{}{{}}]}}"#, "{},".repeat(many))),
        ("a key of very many letters", format!(r#"{{"{}":1}}"#, "k".repeat(many))),
        (
            "a number of very many digits",
            format!(r#"{{"model":"m","max_tokens":{},"messages":[]}}"#, "9".repeat(many)),
        ),
        ("very many escapes", with_content(&format!("\"{}\"", "\\u0041".repeat(many)))),
        ("very many open strings", "\"".repeat(many)),
        ("two models", r#"{"model":"a","model":"b","messages":[]}"#.to_owned()),
        ("two streams", r#"{"model":"a","stream":true,"stream":false,"messages":[]}"#.to_owned()),
        (
            "two lists of messages",
            r#"{"model":"a","messages":[],"messages":[{"role":"user","content":"b"}]}"#.to_owned(),
        ),
        ("a model that is a number", r#"{"model":7,"messages":[]}"#.to_owned()),
        ("a model that is a list", r#"{"model":["m"],"messages":[]}"#.to_owned()),
        ("a model with a NUL", "{\"model\":\"a\\u0000b\",\"messages\":[]}".to_owned()),
        ("a lone high surrogate", with_content(r#""\ud800""#)),
        ("a lone low surrogate", with_content(r#""\udc00""#)),
        ("surrogates in the wrong order", with_content(r#""\udc00\ud800""#)),
        ("a model of a lone surrogate", r#"{"model":"\ud800","messages":[]}"#.to_owned()),
        ("an exponent beyond all numbers", with_content("1e999999")),
        ("a null", "null".to_owned()),
        ("a number", "7".to_owned()),
        ("a text", "\"m\"".to_owned()),
        ("nothing", String::new()),
        ("blanks", " ".repeat(1_000)),
        ("two documents", format!("{GOOD}{GOOD}")),
        ("a byte order mark", format!("\u{feff}{GOOD}")),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text.into_bytes()))
    .collect();
    documents.push(("bytes that are no text".to_owned(), vec![0xff; 4_096]));
    documents.push(("a text in UTF-16".to_owned(), GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    let broken = with_content("\"\u{1}\"").replace('\u{1}', "@").into_bytes();
    for bytes in [&[0xc3][..], &[0xe2, 0x28], &[0xf0, 0x9f], &[0xed, 0xa0, 0x80], &[0xc0, 0xaf], &[0x80]] {
        let at = broken.iter().position(|byte| *byte == b'@').unwrap_or(0);
        let document = [&broken[..at], bytes, &broken[at + 1..]].concat();
        documents.push((format!("letters that are none: {bytes:02x?}"), document));
    }
    documents.extend(mutations().step_by(step));
    documents
}

fn mutations() -> impl Iterator<Item = (String, Vec<u8>)> {
    let cut = (1..GOOD.len()).step_by(2).map(|at| (format!("cut at {at}"), GOOD.as_bytes()[..at].to_vec()));
    let flipped = (0..GOOD.len()).step_by(2).map(|at| {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] ^= 1 << (at / 2 % 8);
        (format!("a bit flipped at {at}"), bytes)
    });
    let spliced = SPLINTERS.iter().enumerate().flat_map(|(number, splinter)| {
        (number..GOOD.len()).step_by(29).map(move |at| {
            let bytes = [&GOOD.as_bytes()[..at], splinter.as_bytes(), &GOOD.as_bytes()[at..]].concat();
            (format!("{splinter:?} at {at}"), bytes)
        })
    });
    cut.chain(flipped).chain(spliced)
}

#[cfg(test)]
mod tests {
    use super::{documents, mutations};

    #[test]
    fn there_are_hundreds_and_the_usual_ones_are_always_there() {
        assert!(mutations().count() > 300, "{}", mutations().count());
        assert_eq!(documents(1, 10).len() - mutations().count(), documents(usize::MAX, 10).len() - 1);
    }
}
