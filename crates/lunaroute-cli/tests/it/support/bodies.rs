//! Generated request bodies: JSON in every spelling that a writer can choose, and bytes that are no JSON at all.

use std::io::Write;

use flate2::Compression;
use lunaroute_core::Dialect;
use lunaroute_dialect::peek;
use proptest::prelude::*;
use proptest::sample::select;

/// A body with the content coding that it travels in.
#[derive(Clone)]
pub(crate) struct Coded {
    pub(crate) coding: Option<&'static str>,
    pub(crate) bytes: Vec<u8>,
    /// Whether it is a body of Responses where Chat is spoken, and so one that is translated.
    pub(crate) is_responses: bool,
}

impl std::fmt::Debug for Coded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.bytes[..self.bytes.len().min(2_000)];
        write!(f, "{:?} {} bytes: {}", self.coding, self.bytes.len(), start.escape_ascii())
    }
}

/// Any body in any coding.
pub(crate) fn coded() -> impl Strategy<Value = Coded> {
    let coding = prop_oneof![
        5 => Just(None),
        1 => select(vec![Some("gzip"), Some("zstd"), Some("br"), Some("deflate")]),
    ];
    (plain(), coding).prop_map(|(plain, coding)| {
        let is_responses = peek(Dialect::OpenaiChat, &plain).is_responses();
        match coding.filter(|_| !plain.is_empty()) {
            Some(name) => Coded { coding, bytes: encode(name, &plain), is_responses },
            None => Coded { coding: None, bytes: plain, is_responses },
        }
    })
}

/// The bytes in a content coding.
pub(crate) fn encode(coding: &str, plain: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            writer.write_all(plain).expect("memory takes it");
            writer.finish().expect("memory takes it")
        }
        "deflate" => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            writer.write_all(plain).expect("memory takes it");
            writer.finish().expect("memory takes it")
        }
        "zstd" => zstd::encode_all(plain, 3).expect("memory takes it"),
        "br" => {
            let mut writer = brotli::CompressorWriter::new(Vec::new(), 4_096, 4, 20);
            writer.write_all(plain).expect("memory takes it");
            writer.into_inner()
        }
        other => panic!("no coding is called {other}"),
    }
}

fn plain() -> impl Strategy<Value = Vec<u8>> {
    let deep = (1_usize..10_000).prop_map(|depth| {
        format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)).into_bytes()
    });
    let torn = (request(), any::<prop::sample::Index>()).prop_map(|(text, place)| {
        let mut bytes = text.into_bytes();
        bytes.truncate(place.index(bytes.len()));
        bytes
    });
    prop_oneof![
        8 => request().prop_map(String::into_bytes),
        3 => value().prop_map(String::into_bytes),
        2 => torn,
        2 => prop::collection::vec(any::<u8>(), 0..2_000),
        1 => deep,
        1 => Just(Vec::new()),
    ]
}

/// An object that looks like a request of some dialect; members may come twice.
fn request() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        select(vec![
            r#""model":"gpt-sim""#,
            r#""model" : "claude\u002dsim""#,
            r#""stream":true"#,
            r#""stream":false"#,
            r#""max_tokens":1e2"#,
            r#""stream_options":{"include_usage":false}"#,
            r#""messages":[{"role":"user","content":[{"type":"text","text":"\ud83d"}]}]"#,
            r#""input":[{"type":"message","role":"user","content":"\u0000"}]"#,
            r#""metadata":{"user_id":"user_x_account__session_"}"#,
        ])
        .prop_map(str::to_owned),
        (key(), value()).prop_map(|(key, value)| format!("{key}:{value}")),
    ];
    (prop::collection::vec(member, 0..9), blank()).prop_map(|(members, blank)| {
        format!("{blank}{{{blank}{}{blank}}}{blank}", members.join(&format!("{blank},{blank}")))
    })
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        text(),
        number(),
        select(vec!["true", "false", "null", "NaN", "'", "{}", "[]"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let item = inner.clone();
        prop_oneof![
            (prop::collection::vec(item, 0..6), blank())
                .prop_map(|(items, blank)| format!("[{blank}{}{blank}]", items.join(","))),
            (prop::collection::vec((key(), inner), 0..6), blank()).prop_map(|(members, blank)| {
                let members: Vec<String> =
                    members.into_iter().map(|(key, value)| format!("{key}{blank}:{value}")).collect();
                format!("{{{blank}{}}}", members.join(","))
            }),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let known = select(vec![
        "model",
        "stream",
        "messages",
        "input",
        "content",
        "role",
        "system",
        "tools",
        "type",
        "text",
        "usage",
        "metadata",
        "",
        "mod\\u0065l",
    ]);
    prop_oneof![4 => known.prop_map(|name| format!("\"{name}\"")), 1 => text()]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[1-9][0-9]{19,39}",
        "-?0\\.[0-9]{1,30}",
        "[0-9]{1,4}[eE][+-]?[0-9]{1,4}",
        select(vec!["1e400", "-0", "-0.0", "1E+2", "18446744073709551616", "00", "+1", ".5"])
            .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-zA-Z0-9 ]{0,12}",
        3 => select(vec![
            "\\ud83d", "\\udc00", "\\ud83c\\udf19", "\\u0000", "\\u001f", "\\/", "\\\"", "\\\\", "\\n", "\u{0}", "\u{1}",
            "\u{7f}", "\t", "\n", "\r\n", "\u{2028}", "\u{feff}", "é", "e\u{301}", "🌙", "data: [DONE]\n\n", "\\x",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn blank() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", " ", "\n  ", "\t", "\r\n"])
}
