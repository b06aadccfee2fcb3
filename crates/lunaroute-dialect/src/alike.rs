//! Reads the words of a stream without parsing every event.
//!
//! Most events of an answer differ from the one before in a single string: the next words. Where that is so, and the
//! event before did nothing but say words, the string is the whole news.

use std::ops::Range;

use lunaroute_core::Delta;

use crate::dispatch::EventReader;
use crate::sse::Event;

/// Longer events are parsed: to keep a copy of them costs more than it saves.
const LONGEST: usize = 4 * 1024;

/// In front of the reader of a stream's events.
#[derive(Default)]
pub(crate) struct Alike {
    /// The last event that was parsed, when it did nothing but say words.
    name: Option<String>,
    data: Vec<u8>,
    /// Where in it the words stand; empty when there is nothing to compare with.
    words: Range<usize>,
    /// What it said, without the words.
    said: Option<Delta>,
}

impl Alike {
    /// Takes one event, by way of `reader` where it says more than other words.
    pub(crate) fn event(&mut self, event: Event<'_>, reader: &mut dyn EventReader, deltas: &mut Vec<Delta>) {
        if let Some(said) = &self.said
            && let Some(words) = self.words_of(event)
        {
            if !deltas.last_mut().is_some_and(|last| go_on(last, said, words)) {
                deltas.extend(with_words(said, words));
            }
            return;
        }
        let before = deltas.len();
        reader.event(event, deltas);
        self.said = None;
        if let [delta] = &deltas[before..] {
            self.keep(event, delta);
        }
    }

    /// The words of an event that differs in nothing else.
    fn words_of<'event>(&self, event: Event<'event>) -> Option<&'event str> {
        let (head, tail) = (&self.data[..self.words.start], &self.data[self.words.end..]);
        let words = event.data.strip_prefix(head)?.strip_suffix(tail)?;
        let is_plain = words.iter().all(|&byte| byte != b'"' && byte != b'\\' && byte >= b' ');
        if words.is_empty() || !is_plain || event.name != self.name.as_deref() {
            return None;
        }
        std::str::from_utf8(words).ok()
    }

    fn keep(&mut self, event: Event<'_>, delta: &Delta) {
        let (Some(said), Some(words)) = (with_words(delta, ""), words(delta)) else { return };
        // Without a backslash every string stands in the data as it is, so a quoted one that stands there once is the
        // one that was read.
        if event.data.len() > LONGEST || words.is_empty() || event.data.contains(&b'\\') {
            return;
        }
        let quoted = format!("\"{words}\"");
        let mut found = memchr::memmem::find_iter(event.data, &quoted);
        let (Some(at), None) = (found.next(), found.next()) else { return };
        self.words = at + 1..at + 1 + words.len();
        self.data.clear();
        self.data.extend_from_slice(event.data);
        self.name = event.name.map(str::to_owned);
        self.said = Some(said);
    }
}

/// Adds words to those that were said last, in the same block; `false` when something else was.
fn go_on(last: &mut Delta, said: &Delta, words: &str) -> bool {
    match (last, said) {
        (Delta::Text { index, text }, Delta::Text { index: block, .. })
        | (Delta::Reasoning { index, text }, Delta::Reasoning { index: block, .. })
            if index == block =>
        {
            text.push_str(words);
            true
        }
        _ => false,
    }
}

fn words(delta: &Delta) -> Option<&str> {
    match delta {
        Delta::Text { text, .. } | Delta::Reasoning { text, .. } => Some(text),
        _ => None,
    }
}

/// The same delta with other words; `None` for one that says no words.
fn with_words(delta: &Delta, words: &str) -> Option<Delta> {
    let text = words.to_owned();
    match *delta {
        Delta::Text { index, .. } => Some(Delta::Text { index, text }),
        Delta::Reasoning { index, .. } => Some(Delta::Reasoning { index, text }),
        _ => None,
    }
}
