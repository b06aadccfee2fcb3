//! Frames in the order in which they are sent, and what has been said once each is out.

use bytes::Bytes;
use lunaroute_core::{StopReason, Usage};

/// One event of a stream, or a whole plain body.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    /// Bytes of the body up to and with this frame.
    pub(crate) end: u64,
    /// Bytes of the visible text said up to and with this frame.
    pub(crate) text_end: usize,
    /// Bytes of the shown reasoning said up to and with this frame.
    pub(crate) reasoning_end: usize,
    /// Tool calls begun up to and with this frame.
    pub(crate) tool_calls: u32,
    /// Token figures that this frame tells.
    pub(crate) usage: Option<Usage>,
    /// The stop reason that this frame tells.
    pub(crate) stop: Option<StopReason>,
}

/// What a frame adds to the answer.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    pub(crate) text: &'a str,
    pub(crate) reasoning: &'a str,
    pub(crate) tool_calls: u32,
    pub(crate) usage: Option<Usage>,
    pub(crate) stop: Option<StopReason>,
}

impl<'a> Said<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        Self { text, ..Self::default() }
    }

    pub(crate) fn reasoning(reasoning: &'a str) -> Self {
        Self { reasoning, ..Self::default() }
    }

    pub(crate) fn tool_call() -> Self {
        Self { tool_calls: 1, ..Self::default() }
    }
}

/// A text event that is sent again and again.
#[derive(Debug)]
pub(crate) enum Repeat {
    /// Always the same bytes.
    Same { bytes: Bytes, text: String },
    /// With a number that grows by one each time, between two fixed parts.
    Numbered { before: String, number: u64, after: String, text: String },
}

impl Repeat {
    /// The event's bytes when it is sent for the `nth` time, from 0.
    pub(crate) fn bytes(&self, nth: u64) -> Bytes {
        match self {
            Self::Same { bytes, .. } => bytes.clone(),
            Self::Numbered { before, number, after, .. } => {
                Bytes::from(format!("{before}{}{after}", number + nth))
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Same { text, .. } | Self::Numbered { text, .. } => text,
        }
    }
}

/// The frames of an answer while it is written.
#[derive(Debug, Default)]
pub(crate) struct Scroll {
    pub(crate) frames: Vec<Frame>,
    pub(crate) repeat: Option<Repeat>,
    pub(crate) text: String,
    pub(crate) reasoning: String,
}

impl Scroll {
    /// Appends a frame.
    pub(crate) fn say(&mut self, bytes: Bytes, said: Said<'_>) {
        self.text.push_str(said.text);
        self.reasoning.push_str(said.reasoning);
        let (end, tool_calls) = self.frames.last().map_or((0, 0), |last| (last.end, last.tool_calls));
        self.frames.push(Frame {
            end: end + bytes.len() as u64,
            bytes,
            text_end: self.text.len(),
            reasoning_end: self.reasoning.len(),
            tool_calls: tool_calls + said.tool_calls,
            usage: said.usage,
            stop: said.stop,
        });
    }

    /// Drops all but the first `kept` frames.
    pub(crate) fn cut(&mut self, kept: usize) {
        self.frames.truncate(kept);
        self.repeat = None;
        let (text, reasoning) = self.frames.last().map_or((0, 0), |last| (last.text_end, last.reasoning_end));
        self.text.truncate(text);
        self.reasoning.truncate(reasoning);
    }

    /// Makes one JSON array of the events' data.
    pub(crate) fn join_as_array(&mut self) {
        let element = |event: &Bytes, before: &str| {
            let data = event.strip_prefix(b"data: ").unwrap_or(event).trim_ascii_end();
            Bytes::from([before.as_bytes(), data].concat())
        };
        for (place, frame) in self.frames.iter_mut().enumerate() {
            frame.bytes = element(&frame.bytes, if place == 0 { "[" } else { ",\r\n" });
        }
        if let Some(Repeat::Same { bytes, .. }) = &mut self.repeat {
            *bytes = element(bytes, ",\r\n");
        } else {
            self.say(Bytes::from_static(b"\n]\n"), Said::default());
        }
        let mut end = 0;
        for frame in &mut self.frames {
            end += frame.bytes.len() as u64;
            frame.end = end;
        }
    }

    /// Puts a frame that says nothing at a place.
    pub(crate) fn insert(&mut self, place: usize, bytes: Bytes) {
        let length = bytes.len() as u64;
        let mut frame = match place.checked_sub(1).and_then(|before| self.frames.get(before)) {
            Some(before) => Frame { usage: None, stop: None, ..before.clone() },
            None => Frame {
                bytes: Bytes::new(),
                end: 0,
                text_end: 0,
                reasoning_end: 0,
                tool_calls: 0,
                usage: None,
                stop: None,
            },
        };
        frame.bytes = bytes;
        self.frames.insert(place.min(self.frames.len()), frame);
        for frame in &mut self.frames[place..] {
            frame.end += length;
        }
    }
}
