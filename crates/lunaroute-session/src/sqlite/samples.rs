//! A bounded sample of an answer's pieces: its beginning, its end, and always the last figures, stop and error.

use std::collections::{BTreeMap, VecDeque};

use lunaroute_core::Delta;
use serde::Serialize;

/// Pieces kept from the beginning.
const FIRST: usize = 100;
/// Pieces kept from the end; with the three that are always kept there are at most 200 of one request.
const LAST: usize = 97;
/// Longer text is cut: the whole answer is kept as bytes elsewhere.
const TEXT_LIMIT: usize = 1_000;

#[derive(Debug, Clone)]
struct Sample {
    at_us: u64,
    delta: Delta,
}

/// Pieces of one answer by their number, sampled as they come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples {
    count: u64,
    first: Vec<Sample>,
    last: VecDeque<(u64, Sample)>,
    usage: Option<(u64, Sample)>,
    stop: Option<(u64, Sample)>,
    error: Option<(u64, Sample)>,
}

impl Samples {
    /// Takes the next piece.
    pub(crate) fn take(&mut self, at_us: u64, delta: &Delta) {
        let number = self.count;
        self.count += 1;
        let sample = Sample { at_us, delta: shortened(delta) };
        if self.first.len() < FIRST {
            self.first.push(sample);
            return;
        }
        let kept = match delta {
            Delta::Usage(_) => &mut self.usage,
            Delta::Stop { .. } => &mut self.stop,
            Delta::Error { .. } => &mut self.error,
            _ => &mut None,
        };
        *kept = Some((number, sample.clone()));
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back((number, sample));
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends the sample as JSON: an array for each piece, in order.
    pub(crate) fn write(&self, output: &mut Vec<u8>) {
        serde_json::to_writer(output, &self.pieces()).expect("a delta is plain data");
    }

    fn pieces(&self) -> Vec<Piece<'_>> {
        let always = [&self.usage, &self.stop, &self.error].into_iter().flatten();
        let later: BTreeMap<u64, &Sample> =
            self.last.iter().chain(always).map(|(number, sample)| (*number, sample)).collect();
        (0..).zip(&self.first).chain(later).map(|(number, sample)| piece(number, sample)).collect()
    }
}

/// Number, microseconds, type and content of a piece.
#[derive(Serialize)]
struct Piece<'sample>(u64, u64, &'static str, &'sample Delta);

fn piece(number: u64, sample: &Sample) -> Piece<'_> {
    let kind = match &sample.delta {
        Delta::Text { .. } | Delta::Reasoning { .. } | Delta::Refusal { .. } => "text",
        Delta::ToolCallStart { .. } | Delta::CustomCallStart { .. } | Delta::ToolCallArguments { .. } => {
            "tool_call"
        }
        Delta::Start { .. }
        | Delta::Usage(_)
        | Delta::Stop { .. }
        | Delta::Seal { .. }
        | Delta::Cite { .. }
        | Delta::End => "metadata",
        Delta::Error { .. } => "error",
    };
    Piece(number, sample.at_us, kind, &sample.delta)
}

fn shortened(delta: &Delta) -> Delta {
    let mut short = delta.clone();
    match &mut short {
        Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::Refusal { text } => cut(text),
        Delta::ToolCallArguments { fragment, .. } => cut(fragment),
        Delta::ToolCallStart { id, name, .. } | Delta::CustomCallStart { id, name, .. } => {
            cut(id);
            cut(name);
        }
        Delta::Start { id, model } => id.iter_mut().chain(model).for_each(cut),
        Delta::Stop { raw, .. } => cut(raw),
        Delta::Error { kind, code, message, retry_after_ms: _ } => {
            [kind, message].into_iter().chain(code).for_each(cut);
        }
        Delta::Seal { seal, .. } => std::iter::once(&mut seal.data).chain(&mut seal.id).for_each(cut),
        Delta::Cite { citation, .. } => {
            std::iter::once(&mut citation.url).chain(&mut citation.title).for_each(cut);
        }
        Delta::Usage(_) | Delta::End => {}
    }
    short
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_LIMIT));
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use lunaroute_core::{StopReason, Usage};

    use super::*;

    #[test]
    fn the_final_figures_stay_however_long_the_answer_is() {
        let mut samples = Samples::default();
        let word = Delta::Text { index: 0, text: "é".repeat(2_000) };
        for number in 0..5_000 {
            samples.take(number, &word);
            if number == 3_000 {
                samples.take(number, &Delta::Usage(Usage { output: Some(7), ..Usage::default() }));
                samples.take(number, &Delta::Stop { reason: StopReason::EndTurn, raw: "stop".into() });
                samples.take(
                    number,
                    &Delta::Error {
                        kind: "overloaded".into(),
                        code: None,
                        message: "\0".into(),
                        retry_after_ms: None,
                    },
                );
            }
        }
        let pieces = samples.pieces();
        assert_eq!(pieces.len(), 200);
        let of = |kind: &str| pieces.iter().filter(|piece| piece.2 == kind).count();
        assert_eq!((of("metadata"), of("error"), of("text")), (2, 1, 197));
        let numbers: Vec<u64> = pieces.iter().map(|piece| piece.0).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert_eq!((numbers[0], numbers[199]), (0, 5_002));
    }
}
