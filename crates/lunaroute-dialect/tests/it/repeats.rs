//! Bodies that repeat an earlier one: the short way to a reading leads to the same reading.

use lunaroute_core::{Dialect, Earlier, Exchange, Interpreter as _, RequestReading};
use lunaroute_dialect::Dialects;
use proptest::prelude::*;

use crate::{exchange, generation};

/// How much two bodies share: at the start, and at the end without overlap.
fn shared(old: &[u8], new: &[u8]) -> (usize, usize) {
    let prefix = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let most = old.len().min(new.len()) - prefix;
    let ends = old.iter().rev().zip(new.iter().rev()).take(most);
    (prefix, ends.take_while(|(old, new)| old == new).count())
}

/// Reads `new` after `old` with all that they share, and with less, and holds it against the reading of `new` alone.
#[track_caller]
fn check(exchange: &Exchange, old: &[u8], new: &[u8]) -> RequestReading {
    let (before, alone) = (Dialects.request(exchange, old), Dialects.request(exchange, new));
    let (prefix, suffix) = shared(old, new);
    for (prefix, suffix) in
        [(prefix, suffix), (prefix / 2, suffix), (prefix, suffix / 2), (prefix.saturating_sub(1), 0)]
    {
        let earlier = Earlier { body: old, reading: &before, prefix, suffix };
        let after = Dialects.request_after(exchange, new, &earlier);
        let shown = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(after, alone, "prefix {prefix}, suffix {suffix}\n{}\n{}", shown(old), shown(new));
    }
    alone
}

#[test]
fn a_conversation_is_read_turn_by_turn() {
    for dialect in Dialect::ALL {
        let exchange = exchange(dialect, generation(dialect), &[]);
        let array = match dialect {
            Dialect::OpenaiResponses => "input",
            Dialect::Gemini => "contents",
            Dialect::OpenaiChat | Dialect::Anthropic => "messages",
        };
        let said = |role: &str, text: &str| match dialect {
            Dialect::Gemini => format!(r#"{{"role":"{role}","parts":[{{"text":"{text}"}}]}}"#),
            _ => format!(r#"{{"role":"{role}","content":"{text}"}}"#),
        };
        let mut messages = vec![said("user", "Where is it?")];
        let body = |messages: &[String]| {
            let messages = messages.join(",");
            format!(
                r#"{{"model":"m","stream":true,"system":"s","instructions":"i","{array}":[{messages}],"tools":[{{"name":"t"}}]}}"#
            )
        };
        let mut old = body(&messages);
        for turn in 0..40 {
            messages.push(said("assistant", &format!("I look at {turn}.")));
            messages.push(match dialect {
                Dialect::OpenaiChat => format!(r#"{{"role":"tool","tool_call_id":"{turn}","content":"r"}}"#),
                Dialect::OpenaiResponses => format!(r#"{{"type":"function_call_output","call_id":"{turn}","output":"r"}}"#),
                Dialect::Gemini => format!(
                    r#"{{"role":"user","parts":[{{"functionResponse":{{"id":"{turn}","name":"look","response":{{"output":"r"}}}}}}]}}"#
                ),
                Dialect::Anthropic => {
                    format!(r#"{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{turn}","content":"r"}}]}}"#)
                }
            });
            if turn % 8 == 7 {
                messages.push(said("user", &format!("Go on, {turn}.")));
            }
            let new = body(&messages);
            let reading = check(&exchange, old.as_bytes(), new.as_bytes());
            assert_eq!(reading.tool_results.len(), turn + 1, "{dialect}");
            assert_eq!(reading.first_user_text.as_deref(), Some("Where is it?"), "{dialect}");
            old = new;
        }
    }
}

#[test]
fn a_coded_body_is_read_by_itself() {
    let (old, new) = (
        br#"{"messages":[{"role":"user","content":"one"}]}"#,
        br#"{"messages":[{"role":"user","content":"one"},{"role":"user","content":"two"}]}"#,
    );
    for coding in ["gzip", "br", "zstd", "identity"] {
        let exchange =
            exchange(Dialect::OpenaiChat, generation(Dialect::OpenaiChat), &[("content-encoding", coding)]);
        let coded = |body: &[u8]| {
            if coding == "identity" { body.to_vec() } else { crate::coding::encode(coding, body) }
        };
        assert_eq!(check(&exchange, &coded(old), &coded(new)).preview.as_deref(), Some("two"), "{coding}");
    }
}

#[test]
fn the_bound_of_messages_holds_on_every_way() {
    let exchange = exchange(Dialect::Anthropic, generation(Dialect::Anthropic), &[]);
    let body = |count: usize| format!(r#"{{"messages":[{}]}}"#, vec!["{}"; count].join(","));
    for (old, new) in [(99_998, 100_000), (99_999, 100_001), (100_000, 100_001), (100_001, 100_002)] {
        let reading = check(&exchange, body(old).as_bytes(), body(new).as_bytes());
        assert_eq!((reading.messages.len(), reading.problem.is_some()), (new.min(100_000), new > 100_000));
    }
}

const MESSAGES: &[&str] = &[
    r#"{"role":"system","content":"be brief"}"#,
    r#"{"role":"developer","content":[{"type":"text","text":"dev"}]}"#,
    r#"{"role":"user","content":"hi \"you\" \n"}"#,
    r#"{"role":"user","content":""}"#,
    r#"{ "content" : [ {"type":"text","text":"a"}, "b" ] , "role" : "user" }"#,
    r#"{"role":"assistant","content":"so \\"}"#,
    r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]}"#,
    r#"{"role":"tool","tool_call_id":"c","content":"[{]}"}"#,
    r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r","is_error":true}]}"#,
    r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"},{"type":"text","text":"and"}]}"#,
    r#"{"role":"user","messages":[{"role":"user","content":"inner"}],"content":"outer"}"#,
    r#"{"role":"user","role":"assistant","content":"one","content":"two"}"#,
    r#"{"type":"function_call_output","call_id":"c","output":[{"text":"x"}]}"#,
    r#"{"type":"reasoning","summary":[]}"#,
    r#"{"role":"user","parts":[{"text":"p"},{"functionResponse":{"name":"f","response":{"error":"e"}}}]}"#,
    r#"{"role":"model","parts":[{"functionCall":{"name":"f"}}]}"#,
    r#"{"role":"user","content":"c","parts":[{"text":"p"}]}"#,
    r#"{"\u0072ole":"user","content":"\u00e9\ud800"}"#,
    "7",
    "null",
    "\"text\"",
    "[]",
    "{}",
    // No JSON, in ways that leave the brackets whole or break them.
    r#"{"role":"user" "content":"x"}"#,
    r#"{"role":\"user"}"#,
    r#"{"role":"user"]"#,
    "]",
    "{",
    "\"",
    "",
    "\\\"",
];

const MEMBERS: &[&str] = &[
    r#""model":"m""#,
    r#""model":"other""#,
    r#""stream":true"#,
    r#""stream":false"#,
    r#""system":"outer""#,
    r#""system":[{"type":"text","text":"x-anthropic-billing-header: 1"},{"type":"text","text":"You are"}]"#,
    r#""system":[{"type":"text","text":"x-anthropic-billing-header: 2"},{"type":"text","text":"You are"}]"#,
    r#""systemInstruction":{"parts":[{"text":"si"}]}"#,
    r#""system_instruction":{"parts":[{"text":"other"}]}"#,
    r#""contents":[{"role":"user","parts":[{"text":"first of two"}]}]"#,
    r#""instructions":"i""#,
    r#""instructions":[{"role":"user","content":"i"}]"#,
    r#""metadata":{"messages":[{"role":"user","content":"hidden"}]}"#,
    r#""tools":[{"name":"t","input":[{"role":"user"}]},{"name":"u"}]"#,
    r#""messages":[{"role":"user","content":"first of two"}]"#,
    r#""messages":null"#,
    r#""x\"messages":[{"role":"user","content":"no"}]"#,
    r#""input":"plain""#,
    r#""input":[{"role":"user","content":"input"}]"#,
    r#""x":"#,
    "rubbish",
];

#[derive(Debug, Clone)]
struct Parts {
    before: Vec<&'static str>,
    name: &'static str,
    messages: Vec<&'static str>,
    after: Vec<&'static str>,
    /// What stands around the commas.
    space: &'static str,
}

impl Parts {
    fn body(&self) -> Vec<u8> {
        let comma = format!("{0},{0}", self.space);
        let array = format!("\"{}\":[{1}{2}{1}]", self.name, self.space, self.messages.join(&comma));
        let members: Vec<&str> =
            self.before.iter().copied().chain([array.as_str()]).chain(self.after.iter().copied()).collect();
        format!("{{{}}}", members.join(&comma)).into_bytes()
    }
}

/// Mostly the messages of the front of the list, which are JSON.
fn message() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => prop::sample::select(&MESSAGES[..23]), 1 => prop::sample::select(MESSAGES)]
}

fn member() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => prop::sample::select(&MEMBERS[..MEMBERS.len() - 2]), 1 => prop::sample::select(MEMBERS)]
}

fn parts() -> impl Strategy<Value = Parts> {
    (
        prop::collection::vec(member(), 0..4),
        prop::sample::select(vec!["messages", "messages", "input", "contents", "contents", "mess\\u0061ges"]),
        prop::collection::vec(message(), 0..7),
        prop::collection::vec(member(), 0..4),
        prop::sample::select(vec!["", "", "", " ", "\n ", "\u{c}"]),
    )
        .prop_map(|(before, name, messages, after, space)| Parts {
            before,
            name,
            messages,
            after,
            space,
        })
}

#[derive(Debug, Clone)]
enum Edit {
    Append(Vec<&'static str>),
    Insert(prop::sample::Index, &'static str),
    ReplaceLast(&'static str),
    RemoveLast,
    Before(Vec<&'static str>),
    After(Vec<&'static str>),
    Name(&'static str),
    Space(&'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => prop::collection::vec(message(), 1..4).prop_map(Edit::Append),
        1 => (any::<prop::sample::Index>(), message()).prop_map(|(place, message)| Edit::Insert(place, message)),
        3 => message().prop_map(Edit::ReplaceLast),
        1 => Just(Edit::RemoveLast),
        1 => prop::collection::vec(member(), 0..4).prop_map(Edit::Before),
        2 => prop::collection::vec(member(), 0..4).prop_map(Edit::After),
        1 => prop::sample::select(vec!["messages", "input", "contents", "other"]).prop_map(Edit::Name),
        1 => prop::sample::select(vec!["", " "]).prop_map(Edit::Space),
    ]
}

fn apply(parts: &mut Parts, edit: Edit) {
    match edit {
        Edit::Append(messages) => parts.messages.extend(messages),
        Edit::Insert(place, message) => parts.messages.insert(place.index(parts.messages.len() + 1), message),
        Edit::ReplaceLast(message) => {
            parts.messages.pop();
            parts.messages.push(message);
        }
        Edit::RemoveLast => {
            parts.messages.pop();
        }
        Edit::Before(members) => parts.before = members,
        Edit::After(members) => parts.after = members,
        Edit::Name(name) => parts.name = name,
        Edit::Space(space) => parts.space = space,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_edit_leads_to_the_reading_of_the_body_alone(
        parts in parts(),
        edits in prop::collection::vec(edit(), 0..4),
        damage in prop::option::weighted(0.1, (any::<prop::sample::Index>(), any::<u8>())),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut edited = parts.clone();
        for edit in edits {
            apply(&mut edited, edit);
        }
        let (old, mut new) = (parts.body(), edited.body());
        if let Some((place, byte)) = damage {
            let place = place.index(new.len());
            new[place] = byte;
        }
        if let Some(cut) = cut {
            new.truncate(cut.index(new.len()));
        }
        for dialect in Dialect::ALL {
            let exchange = exchange(dialect, generation(dialect), &[]);
            check(&exchange, &old, &new);
            check(&exchange, &new, &old);
        }
    }

    #[test]
    fn any_bytes_after_any_bytes(
        shared in prop::collection::vec(prop::sample::select(&b"{}[]\",:\\ m"[..]), 0..40),
        old in prop::collection::vec(any::<u8>(), 0..40),
        new in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let start = [br#"{"messages":[{"role":"user","content":"u"}"#.as_slice(), &shared].concat();
        for dialect in Dialect::ALL {
            let exchange = exchange(dialect, generation(dialect), &[]);
            check(&exchange, &[start.as_slice(), &old].concat(), &[start.as_slice(), &new].concat());
        }
    }
}
