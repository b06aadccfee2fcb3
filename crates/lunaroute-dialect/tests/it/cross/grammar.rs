//! The checkers of streams themselves.

use lunaroute_dialect::cross::check_stream;
use serde_json::{Value, json};

use super::{MESSAGES, RESPONSES};

#[test]
fn a_stream_whose_events_do_not_fit_together_is_found() {
    let stream = |events: &[Value]| -> String {
        let event =
            |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"));
        events.iter().map(event).collect()
    };
    let start = json!({"type": "message_start", "message": {}});
    let open =
        |kind: &str| json!({"type": "content_block_start", "index": 0, "content_block": {"type": kind}});
    for (kind, delta, fits) in [
        ("text", "text_delta", true),
        ("text", "thinking_delta", false),
        ("thinking", "signature_delta", true),
        ("thinking", "text_delta", false),
        ("tool_use", "input_json_delta", true),
        ("text", "input_json_delta", false),
    ] {
        let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": delta}});
        let events = stream(&[start.clone(), open(kind), delta, json!({"type": "error"})]);
        assert_eq!(check_stream(MESSAGES, events.as_bytes()).is_ok(), fits, "{events}");
    }
    let item = json!({"id": "msg_1"});
    let within = |kind: &str| json!({"type": kind, "output_index": 0, "item_id": "msg_1"});
    let (part, text) = ("response.content_part", "response.output_text");
    for (kinds, fits) in [
        (
            vec![
                format!("{part}.added"),
                format!("{text}.delta"),
                format!("{text}.done"),
                format!("{part}.done"),
            ],
            true,
        ),
        (vec![format!("{part}.added"), format!("{text}.delta"), format!("{part}.done")], false),
        (vec![format!("{part}.added"), format!("{text}.done")], false),
        (vec![format!("{part}.done")], false),
        (vec![format!("{part}.added"), format!("{part}.added")], false),
    ] {
        let mut events = vec![
            json!({"type": "response.created"}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        ];
        events.extend(kinds.iter().map(|kind| within(kind)));
        events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
        events.push(json!({"type": "response.failed"}));
        for (place, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = place.into();
        }
        let events = stream(&events);
        assert_eq!(check_stream(RESPONSES, events.as_bytes()).is_ok(), fits, "{events}");
    }
}
