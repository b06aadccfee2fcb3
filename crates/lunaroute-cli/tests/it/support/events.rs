//! Server-sent events as a client reads them.

/// One event that was dispatched: its name and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

/// The events of a whole stream. Lines end at LF, CRLF or CR; an event without data is none.
pub(crate) fn events(stream: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(stream).replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut event = Event { name: String::new(), data: String::new() };
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "data" => {
                event.data.push_str(value);
                event.data.push('\n');
            }
            _ => {}
        }
        if line.is_empty() {
            let data = event.data.trim_end_matches('\n').to_owned();
            if !data.is_empty() {
                events.push(Event { name: std::mem::take(&mut event.name), data });
            }
            event = Event { name: String::new(), data: String::new() };
        }
    }
    events
}

/// Whether the event tells of an error, in the dialect that the path speaks.
pub(crate) fn is_error(path: &str, event: &Event) -> bool {
    let Ok(data) = serde_json::from_str::<serde_json::Value>(&event.data) else { return false };
    match path {
        super::stage::CHAT | super::stage::GEMINI => data["error"]["message"].is_string(),
        super::stage::RESPONSES => event.name == "error" && data["message"].is_string(),
        _ => event.name == "error" && data["error"]["message"].is_string(),
    }
}

/// Whether the event says that the answer is whole. An event with torn data says nothing.
pub(crate) fn is_terminal(event: &Event) -> bool {
    let Ok(data) = serde_json::from_str::<serde_json::Value>(&event.data) else {
        return event.data == "[DONE]";
    };
    ["message_stop", "response.completed"].contains(&event.name.as_str())
        || data["choices"][0]["finish_reason"].is_string()
        || data["candidates"][0]["finishReason"].is_string()
}
