//! Seals of other vendors that Gemini's clients bring to Google.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lunaroute_dialect::without_tagged;

use super::GEMINI;

#[test]
fn foreign_seals_are_taken_from_parts_on_their_way_to_google_and_nothing_else_is_touched() {
    let tag = STANDARD.encode("lr1.anthropic.eyJkYXRhIjoiRXEifQ");
    let alone = format!(r#"{{"text": "", "thoughtSignature":"{tag}"}}"#);
    let call = |seal: &str| {
        format!(r#"{{ "functionCall": {{"name":"f","args":{{"n":1.0}}}},"thoughtSignature" : "{seal}" }}"#)
    };
    let text = |seal: &str| format!(r#"{{"thought_signature":"{seal}","text":"\u00e9"}}"#);
    let own = r#"{"functionCall":{"name":"g"},"thoughtSignature":"EqQB"}"#;
    let body = |parts: &str| {
        let before =
            r#"{"big":12345678901234567890,"contents":[{"role":"user","parts":[{"text":"bHIxLm"}]},"#;
        Bytes::from(format!(r#"{before}{{"role":"model","parts":[{parts}]}}]}}"#))
    };
    let stand_in = call("skip_thought_signature_validator");
    for (parts, kept) in [
        (call(&tag), stand_in.clone()),
        (format!("{} , {own}", call(&tag)), format!("{stand_in} , {own}")),
        (format!("{own},{}", text(&tag)), format!("{own},{}", text(""))),
        (format!("{alone}, {own},{alone}"), own.to_owned()),
    ] {
        let cut = without_tagged(GEMINI, &body(&parts)).expect("it has one");
        assert_eq!(String::from_utf8_lossy(&cut), String::from_utf8_lossy(&body(&kept)));
        let again = without_tagged(GEMINI, &cut);
        assert_eq!(again, None, "words that look like it stay");
    }
    let silent = Bytes::from(format!(
        r#"{{"contents":[{{"role":"model","parts":[{alone}]}},{{"role":"user","parts":[{{"text":"hi"}}]}}]}}"#
    ));
    let cut = without_tagged(GEMINI, &silent).expect("it has one");
    assert_eq!(&cut[..], br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#);
}
