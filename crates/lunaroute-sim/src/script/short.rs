//! The short form: words with commas between them, such as `tools=2,delay=5`. It is what a model name can carry.

use std::str::FromStr;

use super::{Delivery, Encoding, Fault, Finish, Point, Script, ScriptError, ScriptedError, Source};

/// Beginning of a model name that carries a script in its short form.
const MODEL_PREFIX: &str = "sim-";

/// Reads JSON when the text begins with `{`, otherwise the short form:
///
/// | word | meaning |
/// |---|---|
/// | `text=N` | text of N tokens |
/// | `tools`, `tools=N` | N (1) tool calls in one turn |
/// | `agent`, `agent=N` | one tool call in each of N (4) turns |
/// | `thinking=N`, `reasoning=N` | N (12) tokens of reasoning |
/// | `refusal`, `length` | the finish |
/// | `cached=N`, `cache_write=N` | cache tokens |
/// | `429`, `error=429` | the error status |
/// | `fail_times=N`, `retry_after_ms=N` | of the error before it |
/// | `error_event=K`, `malformed=K` | the fault after K events |
/// | `cut_head`, `cut_bytes=K`, `cut_events=K` | an orderly close; with `reset` a TCP reset |
/// | `first_byte=MS`, `delay=MS` | pauses |
/// | `endless`, `one_write`, `separate_writes`, `gzip`, `zstd`, `close` | delivery |
/// | `echo`, `echo-sse`, `raw=NAME` | the source |
/// | `seed=N`, `id=NAME` | seed and name |
impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let script = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|error| ScriptError::Json { problem: error.to_string() })?
        } else {
            from_words(text)?
        };
        script.check()?;
        Ok(script)
    }
}

impl Script {
    /// The script that a model name carries: `sim-` and the short form. `None` for any other name, also for one that
    /// only begins alike, such as `sim-large`.
    #[must_use]
    pub fn of_model(model: &str) -> Option<Self> {
        model.strip_prefix(MODEL_PREFIX)?.parse().ok()
    }
}

fn from_words(text: &str) -> Result<Script, ScriptError> {
    let mut script = Script::default();
    let mut reset = false;
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        reset |= name == "reset";
        let known = name == "reset"
            || say_words(&mut script, name, value)?
            || break_words(&mut script, name, value)?
            || deliver_words(&mut script, name, value)?;
        if !known {
            return Err(ScriptError::UnknownWord { word: word.to_owned() });
        }
    }
    match (&mut script.fault, reset) {
        (Some(Fault::Cut { reset, .. }), true) => *reset = true,
        (_, true) => return Err(ScriptError::UnknownWord { word: "reset (without a cut)".to_owned() }),
        _ => {}
    }
    Ok(script)
}

/// What the model says.
fn say_words(script: &mut Script, name: &str, value: Option<&str>) -> Result<bool, ScriptError> {
    match name {
        "text" => script.tokens = number(name, value, Some(script.tokens))?,
        "tools" => script.tool_calls = number(name, value, Some(1))?,
        "agent" => {
            script.tool_calls = script.tool_calls.max(1);
            script.tool_turns = number(name, value, Some(4))?;
        }
        "thinking" | "reasoning" => script.reasoning_tokens = number(name, value, Some(12))?,
        "refusal" => script.finish = Finish::Refusal,
        "length" => script.finish = Finish::Length,
        "cached" => script.cached_tokens = number(name, value, None)?,
        "cache_write" => script.cache_write_tokens = number(name, value, None)?,
        "echo" => script.source = Source::Echo,
        "echo-sse" => script.source = Source::EchoStream,
        "raw" => script.source = Source::Registered(value.unwrap_or_default().to_owned()),
        "seed" => script.seed = number(name, value, None)?,
        "id" => script.id = value.map(str::to_owned),
        _ => return Ok(false),
    }
    Ok(true)
}

/// What goes wrong.
fn break_words(script: &mut Script, name: &str, value: Option<&str>) -> Result<bool, ScriptError> {
    let cut = |after| Some(Fault::Cut { after, reset: false });
    match name {
        "error" => script.error = Some(failing(number(name, value, None)?)),
        "fail_times" => scripted_error(script, name)?.times = Some(number(name, value, None)?),
        "retry_after_ms" => scripted_error(script, name)?.retry_after_ms = Some(number(name, value, None)?),
        "error_event" => script.fault = Some(Fault::ErrorEvent { after: number(name, value, Some(3))? }),
        "malformed" => script.fault = Some(Fault::Malformed { after: number(name, value, Some(3))? }),
        "cut_head" => script.fault = cut(Point::Head),
        "cut_bytes" => script.fault = cut(Point::Bytes(number(name, value, None)?)),
        "cut_events" => script.fault = cut(Point::Events(number(name, value, None)?)),
        _ => match name.parse() {
            Ok(status) if value.is_none() => script.error = Some(failing(status)),
            _ => return Ok(false),
        },
    }
    Ok(true)
}

/// How it is delivered.
fn deliver_words(script: &mut Script, name: &str, value: Option<&str>) -> Result<bool, ScriptError> {
    match name {
        "first_byte" => script.first_byte_delay_ms = number(name, value, None)?,
        "delay" => script.event_delay_ms = number(name, value, None)?,
        "endless" => script.endless = true,
        "one_write" => script.delivery = Delivery::OneWrite,
        "separate_writes" => script.delivery = Delivery::SeparateWrites,
        "gzip" => script.encoding = Some(Encoding::Gzip),
        "zstd" => script.encoding = Some(Encoding::Zstd),
        "close" => script.close_delimited = true,
        _ => return Ok(false),
    }
    Ok(true)
}

fn failing(status: u16) -> ScriptedError {
    ScriptedError { status, times: None, retry_after_ms: None, should_retry: None }
}

fn scripted_error<'a>(script: &'a mut Script, word: &str) -> Result<&'a mut ScriptedError, ScriptError> {
    script
        .error
        .as_mut()
        .ok_or_else(|| ScriptError::UnknownWord { word: format!("{word} (without an error before it)") })
}

fn number<N: FromStr>(word: &str, value: Option<&str>, absent: Option<N>) -> Result<N, ScriptError> {
    match (value, absent) {
        (Some(value), _) => value.parse().ok(),
        (None, absent) => absent,
    }
    .ok_or_else(|| ScriptError::Number { word: word.to_owned() })
}
