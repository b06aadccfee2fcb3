//! Which scripts make sense: a field that could have no effect is refused rather than ignored.

use super::{Delivery, Fault, Finish, Point, Script, Source};

/// Most tokens of text, and of reasoning, that one answer may have.
const TOKEN_LIMIT: u32 = 200_000;
/// Most tool calls of one turn.
const TOOL_CALL_LIMIT: u32 = 128;

/// A script that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The JSON form could not be read.
    #[error("the script is no valid JSON script: {problem}")]
    Json {
        /// What the reader says, with line and column.
        problem: String,
    },
    /// The short form has a word that means nothing.
    #[error("'{word}' is no word of a script; see the documentation of lunaroute_sim::Script")]
    UnknownWord {
        /// The word.
        word: String,
    },
    /// A word of the short form needs a number after `=`.
    #[error("'{word}' needs a whole number, as in '{word}=5'")]
    Number {
        /// The word.
        word: String,
    },
    /// A number is out of its range.
    #[error("{field} is {value}, allowed are {allowed}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The range in words.
        allowed: &'static str,
    },
    /// Two things that exclude each other.
    #[error("{first} and {second} cannot go together")]
    Conflict {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// No answer is registered under the name.
    #[error("no answer is registered as '{name}'")]
    NotRegistered {
        /// The name.
        name: String,
    },
    /// The bytes of an inline answer cannot be sent.
    #[error("the inline answer cannot be sent: its {part} is not valid")]
    Inline {
        /// Which field.
        part: &'static str,
    },
}

impl Script {
    /// Whether the script can be followed.
    ///
    /// # Errors
    /// [`ScriptError::OutOfRange`] and [`ScriptError::Conflict`] name the fields.
    pub fn check(&self) -> Result<(), ScriptError> {
        range("tokens", self.tokens.into(), 0, TOKEN_LIMIT.into(), "0 to 200000")?;
        range("reasoning_tokens", self.reasoning_tokens.into(), 0, TOKEN_LIMIT.into(), "0 to 200000")?;
        range("tool_calls", self.tool_calls.into(), 0, TOOL_CALL_LIMIT.into(), "0 to 128")?;
        range("tool_turns", self.tool_turns.into(), 1, u32::MAX.into(), "1 and more")?;
        if let Some(error) = &self.error {
            range("error.status", error.status.into(), 400, 599, "400 to 599")?;
        }
        let cut = matches!(self.fault, Some(Fault::Cut { .. }));
        let cut_at_head = matches!(self.fault, Some(Fault::Cut { after: Point::Head, .. }));
        let one_write = self.delivery == Delivery::OneWrite;
        conflict(self.endless && self.encoding.is_some(), "endless", "encoding")?;
        conflict(self.endless && one_write, "endless", "one_write")?;
        conflict(self.endless && self.finish != Finish::Natural, "endless", "finish")?;
        conflict(self.endless && self.tool_calls > 0, "endless", "tool_calls")?;
        conflict(self.endless && self.source != Source::Model, "endless", "a source that is not the model")?;
        conflict(one_write && self.event_delay_ms > 0, "one_write", "event_delay_ms")?;
        conflict(self.finish == Finish::Refusal && self.tool_calls > 0, "refusal", "tool_calls")?;
        let breaks_events = self.fault.is_some() && !cut;
        conflict(
            breaks_events && self.source != Source::Model,
            "a faulty event",
            "a source that is not the model",
        )?;
        conflict(
            self.encoding.is_some() && self.source != Source::Model,
            "encoding",
            "a source that is not the model",
        )?;
        conflict(
            cut_at_head && self.error.as_ref().is_some_and(|error| error.times.is_none()),
            "cut_head",
            "error",
        )
    }
}

fn range(
    field: &'static str,
    value: u64,
    low: u64,
    high: u64,
    allowed: &'static str,
) -> Result<(), ScriptError> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(ScriptError::OutOfRange { field, value, allowed })
    }
}

fn conflict(both: bool, first: &'static str, second: &'static str) -> Result<(), ScriptError> {
    if both { Err(ScriptError::Conflict { first, second }) } else { Ok(()) }
}
