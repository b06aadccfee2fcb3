//! Pieces of an answer, as bytes. A tag that is taken is never given to anything else.

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Citation, Delta};

use super::DecodeError;
use super::wire::{In, Out};

pub(super) fn put(out: &mut Out, delta: &Delta) {
    match delta {
        Delta::Start { id, model } => {
            out.byte(0);
            out.maybe_text(id.as_deref());
            out.maybe_text(model.as_deref());
        }
        Delta::Text { index, text } => put_block(out, 1, *index, [text]),
        Delta::Reasoning { index, text } => put_block(out, 2, *index, [text]),
        Delta::Refusal { text } => {
            out.byte(3);
            out.text(text);
        }
        Delta::ToolCallStart { index, id, name } => put_block(out, 4, *index, [id, name]),
        Delta::ToolCallArguments { index, fragment } => put_block(out, 5, *index, [fragment]),
        Delta::Usage(usage) => {
            out.byte(6);
            out.usage(usage);
        }
        Delta::Stop { reason, raw } => {
            out.byte(7);
            out.text(reason.as_str());
            out.text(raw);
        }
        Delta::Error { kind, code: None, message, retry_after_ms: None } => {
            out.byte(8);
            out.text(kind);
            out.text(message);
        }
        Delta::Error { kind, code: Some(code), message, retry_after_ms: None } => {
            out.byte(13);
            out.text(kind);
            out.text(code);
            out.text(message);
        }
        Delta::Error { kind, code, message, retry_after_ms: Some(wait) } => {
            out.byte(14);
            out.text(kind);
            out.maybe_text(code.as_deref());
            out.text(message);
            out.number(*wait);
        }
        Delta::End => out.byte(9),
        Delta::CustomCallStart { index, id, name } => put_block(out, 10, *index, [id, name]),
        Delta::Seal { index, seal, is_redacted } => {
            put_block(out, 11, *index, [&seal.data]);
            out.text(seal.maker.as_str());
            out.maybe_text(seal.id.as_deref());
            out.flag(*is_redacted);
        }
        Delta::Cite { index, citation } => {
            put_block(out, 12, *index, [&citation.url]);
            out.maybe_text(citation.title.as_deref());
            out.maybe(citation.range, |out, (first, end)| {
                out.number(first);
                out.number(end);
            });
        }
    }
}

fn put_block<const N: usize>(out: &mut Out, tag: u8, index: u32, texts: [&String; N]) {
    out.byte(tag);
    out.number(index.into());
    texts.into_iter().for_each(|text| out.text(text));
}

pub(super) fn take(input: &mut In<'_>) -> Result<Delta, DecodeError> {
    Ok(match input.byte("part")? {
        0 => Delta::Start { id: input.maybe_text("id")?, model: input.maybe_text("model")? },
        1 => Delta::Text { index: input.small("block")?, text: input.text("text")? },
        2 => Delta::Reasoning { index: input.small("block")?, text: input.text("text")? },
        3 => Delta::Refusal { text: input.text("text")? },
        4 => Delta::ToolCallStart {
            index: input.small("block")?,
            id: input.text("id of a call")?,
            name: input.text("tool")?,
        },
        5 => Delta::ToolCallArguments { index: input.small("block")?, fragment: input.text("arguments")? },
        6 => Delta::Usage(input.usage("tokens")?),
        7 => Delta::Stop { reason: input.word("stop")?, raw: input.text("stop")? },
        8 => Delta::Error {
            kind: input.text("error")?,
            code: None,
            message: input.text("message")?,
            retry_after_ms: None,
        },
        9 => Delta::End,
        10 => Delta::CustomCallStart {
            index: input.small("block")?,
            id: input.text("id of a call")?,
            name: input.text("tool")?,
        },
        11 => {
            let (index, data) = (input.small("block")?, input.text("seal")?);
            let (maker, id) = (input.word("seal")?, input.maybe_text("seal")?);
            Delta::Seal {
                index,
                seal: Seal { maker, provider: None, data, id },
                is_redacted: input.flag("seal")?,
            }
        }
        12 => {
            let (index, url) = (input.small("block")?, input.text("source")?);
            let title = input.maybe_text("source")?;
            let range =
                input.maybe("source", |input, _| Ok((input.number("source")?, input.number("source")?)))?;
            Delta::Cite { index, citation: Citation { url, title, range } }
        }
        13 => Delta::Error {
            kind: input.text("error")?,
            code: Some(input.text("error")?),
            message: input.text("message")?,
            retry_after_ms: None,
        },
        14 => Delta::Error {
            kind: input.text("error")?,
            code: input.maybe_text("error")?,
            message: input.text("message")?,
            retry_after_ms: Some(input.number("pause")?),
        },
        _ => return Err(DecodeError::Invalid { part: "part" }),
    })
}
