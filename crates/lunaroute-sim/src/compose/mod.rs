//! From what is asked to the bytes of the answer. Pure: the same recipe gives the same composition.

mod coding;
mod plan;
mod scroll;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use lunaroute_core::{Dialect, Usage};

use crate::Outcome;
use crate::script::{Delivery, Fault, Script};
use crate::speech::Voice;
use crate::wire;

pub(crate) use plan::{Plan, PlannedCall, calls};
pub(crate) use scroll::{Frame, Repeat, Said, Scroll};

/// Everything that an answer of the simulated model depends on.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) voice: Voice,
    pub(crate) dialect: Dialect,
    /// Legacy completions instead of chat.
    pub(crate) legacy: bool,
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// The stream is one JSON array, as Gemini's is without `alt=sse`.
    pub(crate) array: bool,
    pub(crate) include_usage: bool,
    pub(crate) encrypted_reasoning: bool,
    pub(crate) input_tokens: u64,
    pub(crate) token_limit: Option<u64>,
    pub(crate) calls: Vec<PlannedCall>,
    pub(crate) script: Script,
}

/// An answer, ready to be played.
#[derive(Debug)]
pub(crate) struct Composition {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body in events; a plain body is one.
    pub(crate) frames: Vec<Frame>,
    /// The same in one piece, when it is to be delivered so.
    pub(crate) joined: Option<Bytes>,
    /// What follows the frames for ever.
    pub(crate) repeat: Option<Repeat>,
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// The outcome when it was played to its end.
    pub(crate) outcome: Outcome,
}

impl Composition {
    /// A body whose length is told in the head.
    pub(crate) fn plain(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let mut scroll = Scroll::default();
        scroll.say(body, Said::default());
        let mut composition = Self::from_scroll(status, scroll);
        composition.header(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        composition.tell_length();
        composition
    }

    /// A body in events, whose end is told by the framing.
    pub(crate) fn from_scroll(status: StatusCode, scroll: Scroll) -> Self {
        let outcome = if status.as_u16() >= 400 { Outcome::ErrorStatus } else { Outcome::Completed };
        Self {
            status,
            headers: HeaderMap::new(),
            frames: scroll.frames,
            joined: None,
            repeat: scroll.repeat,
            text: scroll.text,
            reasoning: scroll.reasoning,
            outcome,
        }
    }

    pub(crate) fn header(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.insert(name, value);
    }

    /// Tells the body's length in the head.
    pub(crate) fn tell_length(&mut self) {
        self.header(header::CONTENT_LENGTH, HeaderValue::from(self.length()));
    }

    /// Bytes of all frames.
    pub(crate) fn length(&self) -> u64 {
        self.frames.last().map_or(0, |frame| frame.end)
    }

    /// The head alone, as the answer to `HEAD`.
    pub(crate) fn without_body(&self) -> Self {
        let mut head = Self::from_scroll(self.status, Scroll::default());
        head.headers = self.headers.clone();
        head
    }

    /// Prepares the delivery that the script asks for.
    pub(crate) fn deliver(mut self, script: &Script) -> Self {
        if script.delivery == Delivery::OneWrite {
            self.joined = Some(self.frames.iter().flat_map(|frame| frame.bytes.iter().copied()).collect());
        }
        self
    }
}

/// The answer of the simulated model.
pub(crate) fn compose(recipe: &Recipe) -> Composition {
    let plan = Plan::of(recipe);
    let script = &recipe.script;
    let mut composition = if recipe.stream {
        let mut scroll = Scroll::default();
        wire::stream(recipe, &plan, &mut scroll);
        let outcome = break_stream(recipe, &mut scroll);
        if recipe.array {
            scroll.join_as_array();
        }
        let mut composition = Composition::from_scroll(StatusCode::OK, scroll);
        composition.outcome = outcome;
        let kind =
            if recipe.array { "application/json; charset=UTF-8" } else { "text/event-stream; charset=utf-8" };
        composition.header(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        composition.header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        composition
    } else {
        plain(recipe, &plan)
    };
    if let Some(encoding) = script.encoding {
        coding::encode(&mut composition.frames, encoding);
        composition.header(header::CONTENT_ENCODING, HeaderValue::from_static(coding::name(encoding)));
        composition.header(header::VARY, HeaderValue::from_static("accept-encoding"));
        if !recipe.stream {
            composition.tell_length();
        }
    }
    composition
}

fn plain(recipe: &Recipe, plan: &Plan) -> Composition {
    let mut body = wire::plain(recipe, plan);
    if let Some(Fault::Malformed { .. }) = recipe.script.fault {
        body.truncate(body.len() / 2);
    }
    let (text, reasoning) = (plan.text.concat(), plan.reasoning.concat());
    let mut scroll = Scroll::default();
    let shown = if plan.refused { "" } else { &text };
    let said = Said {
        text: shown,
        reasoning: &reasoning,
        tool_calls: u32::try_from(plan.calls.len()).unwrap_or(u32::MAX),
        usage: Some(plan.usage),
        stop: Some(plan.stop),
    };
    scroll.say(Bytes::from(body), said);
    let mut composition = Composition::from_scroll(StatusCode::OK, scroll);
    composition.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    composition.tell_length();
    composition
}

/// Lets the stream go wrong as the script says, and tells how it then ends.
fn break_stream(recipe: &Recipe, scroll: &mut Scroll) -> Outcome {
    // A fault after the last event would be none: it comes at the latest in place of the dialect's own end.
    let last = scroll.frames.len().saturating_sub(1);
    match recipe.script.fault {
        Some(Fault::ErrorEvent { after }) => {
            let kept = last.min(after as usize);
            scroll.cut(kept);
            scroll.say(wire::error_event(recipe.dialect, kept), Said::default());
            Outcome::ErrorEvent
        }
        Some(Fault::Malformed { after }) => {
            scroll.insert(last.min(after as usize), wire::malformed_event(recipe.dialect));
            Outcome::Completed
        }
        Some(Fault::Cut { .. }) | None => Outcome::Completed,
    }
}

/// All tokens read, as OpenAI counts them: cached and written ones included.
pub(crate) fn prompt_tokens(usage: &Usage) -> u64 {
    usage.total_input().unwrap_or(0)
}
