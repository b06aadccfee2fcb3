//! The framer of event streams.

use lunaroute_core::Dialect;
use lunaroute_dialect::sse::Framer;

use super::{Shape, Target, pieces, same};
use crate::corpus::{Corpus, Kind};

type Events = Vec<(Option<String>, Vec<u8>)>;

/// However the bytes are cut and the lines end, the events are the same.
pub(super) fn target(corpus: &Corpus) -> Target {
    let streams = Dialect::ALL.into_iter().flat_map(|dialect| corpus.of(dialect, Kind::Stream)).collect();
    Target::new("sse", Shape::Events, streams, |input, rng| {
        let whole = events([input]);
        same("events depend on the cuts", &whole, &events(pieces(input, rng)))?;
        let told: usize =
            whole.iter().map(|(name, data)| name.as_ref().map_or(0, String::len) + data.len()).sum();
        if told > input.len() {
            return Err(format!("{told} bytes of events are in {} bytes of stream", input.len()));
        }
        if !input.contains(&b'\r') {
            let with = |ending: &str| {
                let mut bytes = Vec::with_capacity(2 * input.len());
                for byte in input {
                    match byte {
                        b'\n' => bytes.extend_from_slice(ending.as_bytes()),
                        other => bytes.push(*other),
                    }
                }
                bytes
            };
            same("events depend on CR LF", &whole, &events([with("\r\n").as_slice()]))?;
            same("events depend on CR", &whole, &events([with("\r").as_slice()]))?;
        }
        Ok(())
    })
}

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Events {
    let (mut framer, mut events) = (Framer::new(), Vec::new());
    for piece in pieces {
        framer.push(piece, |event| events.push((event.name.map(str::to_owned), event.data.to_vec())));
    }
    framer.finish(|event| events.push((event.name.map(str::to_owned), event.data.to_vec())));
    events
}
