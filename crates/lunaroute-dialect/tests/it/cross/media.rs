//! Documents, sound and films go as what they are.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{Allowed, ModelFacts};
use lunaroute_dialect::cross::Profile;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, Sent, sent, try_sent};

fn asked(part: Value) -> Value {
    json!({"model": "m", "contents": [{"role": "user", "parts": [{"text": "Read."}, part]}]})
}

fn held(media_type: &str, data: &str) -> Value {
    json!({"inlineData": {"mimeType": media_type, "data": data, "displayName": "notes"}})
}

fn nameless(media_type: &str) -> Value {
    json!({"inlineData": {"mimeType": media_type, "data": "AA=="}})
}

fn try_part(to: lunaroute_core::Dialect, part: Value, facts: &ModelFacts) -> Result<Sent, Failure> {
    try_sent(GEMINI, to, &asked(part), facts, &Profile::default())
}

#[test]
fn a_document_of_text_is_read_as_text_everywhere() {
    let blind = ModelFacts { documents: Allowed::No, ..ModelFacts::default() };
    for facts in [ModelFacts::default(), blind] {
        // `a,b\nü?>`, whose base64 differs between the alphabets.
        for (media_type, data) in [
            ("text/csv", "YSxiCsO8Pz4="),
            ("text/plain; charset=utf-8", "YSxiCsO8Pz4"),
            ("application/json", "YSxiCsO8Pz4="),
        ] {
            let text = "a,b\nü?>";
            let part = held(media_type, data);
            let messages = try_part(MESSAGES, part.clone(), &facts).expect("it crosses").body;
            assert_eq!(
                messages["messages"][0]["content"][1],
                json!({
                    "type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text},
                    "title": "notes",
                }),
                "{media_type}"
            );
            let titled = format!("notes\n\n{text}");
            let chat = try_part(CHAT, part.clone(), &facts).expect("it crosses").body;
            let told = json!({"type": "text", "text": titled});
            assert_eq!(chat["messages"][0]["content"][1], told, "{media_type}");
            let responses = try_part(RESPONSES, part, &facts).expect("it crosses").body;
            let told = json!({"type": "input_text", "text": titled});
            assert_eq!(responses["input"][0]["content"][1], told, "{media_type}");
        }
    }
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"}},
    ]}]});
    let source = &sent(CHAT, MESSAGES, &chat).body["messages"][0]["content"][0]["source"];
    assert_eq!(*source, json!({"type": "text", "media_type": "text/plain", "data": "hi"}));
}

#[test]
fn a_document_is_called_by_its_kind_and_refused_where_nobody_reads_it() {
    let facts = ModelFacts::default();
    for (media_type, name) in [("application/pdf", "document.pdf"), ("application/rtf", "document.rtf")] {
        let chat = try_part(CHAT, nameless(media_type), &facts).expect("it crosses").body;
        assert_eq!(chat["messages"][0]["content"][1]["file"]["filename"], name);
        let responses = try_part(RESPONSES, nameless(media_type), &facts).expect("it crosses").body;
        assert_eq!(responses["input"][0]["content"][1]["filename"], name);
    }
    let refused =
        try_part(MESSAGES, nameless("application/rtf"), &facts).expect_err("no document of Anthropic's");
    assert!(refused.message.contains("PDF"), "{refused}");
    // No text, whatever its type says.
    assert!(try_part(MESSAGES, held("text/plain", "/w=="), &facts).is_err());
}

#[test]
fn sound_goes_in_the_formats_that_are_taken() {
    let facts = ModelFacts::default();
    for (media_type, format) in [
        ("audio/mpeg", Some("mp3")),
        ("audio/mp3", Some("mp3")),
        ("audio/wav", Some("wav")),
        ("audio/x-wav", Some("wav")),
        ("audio/wav;codecs=1", Some("wav")),
        ("audio/ogg", None),
        ("audio/flac", None),
    ] {
        for to in [CHAT, RESPONSES] {
            let crossed = try_part(to, nameless(media_type), &facts);
            let Some(format) = format else {
                let refused = crossed.map(|sent| sent.body).expect_err(media_type);
                assert!(refused.message.contains("WAV and MP3"), "{refused}");
                continue;
            };
            let told = crossed.expect("it crosses").body.to_string();
            assert!(told.contains(&format!("\"format\":\"{format}\"")), "{to}, {media_type}: {told}");
        }
    }
}

#[test]
fn a_film_is_known_by_its_address() {
    for address in ["https://www.youtube.com/watch?v=x", "https://youtu.be/x", "https://youtube.com/shorts/x"]
    {
        let part = json!({"fileData": {"fileUri": address}});
        for to in [CHAT, RESPONSES, MESSAGES] {
            let refused = try_part(to, part.clone(), &ModelFacts::default()).map(|sent| sent.body);
            assert!(refused.is_err_and(|refused| refused.message.contains("film")), "{to}: {address}");
        }
        assert_eq!(sent(GEMINI, GEMINI, &asked(part.clone())).body["contents"][0]["parts"][1], part);
    }
}
