//! Writes an answer.

use serde_json::Value;

use crate::cross::{Asked, Step, Whole};
use crate::dispatch::AnswerWriter;

pub(super) struct Writer;

impl Writer {
    pub(super) fn new(_asked: &Asked) -> Self {
        Self
    }
}

impl AnswerWriter for Writer {
    fn write(&mut self, _step: Step, _out: &mut Vec<u8>) {}

    fn keep_alive(&mut self, _out: &mut Vec<u8>) {}
}

pub(super) fn whole(_whole: &Whole, _asked: &Asked) -> Value {
    Value::Null
}
