//! Whether a stream that flows past has ended.

use lunaroute_core::{Delta, Dialect, Operation};
use lunaroute_dialect::EndWatch;
use proptest::prelude::*;

use crate::fixtures::STREAMS;
use crate::{generation, read_body};

fn watch<'a>(dialect: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> EndWatch {
    let mut watch = EndWatch::new(dialect, generation(dialect));
    for piece in pieces {
        watch.push(piece);
    }
    watch
}

#[test]
fn ends_are_recognised_and_talk_of_them_is_not() {
    let rows = [
        (Dialect::OpenaiChat, "data: [DONE]\n\n", true),
        (Dialect::OpenaiChat, "data:[DONE]", true),
        (Dialect::OpenaiChat, "\u{feff}data: [DONE]\r\n\r\n", true),
        (Dialect::OpenaiChat, "data: [DON", false),
        (
            Dialect::OpenaiChat,
            "data: {\"choices\":[{\"delta\":{\"content\":\"\\ndata: [DONE]\\n\"}}]}\n\n",
            false,
        ),
        (Dialect::OpenaiChat, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", true),
        (Dialect::OpenaiChat, "data: {\"choices\":[{\"finish_reason\" : \"stop\",\"delta\":{}}]}\n", true),
        (Dialect::OpenaiChat, "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}", false),
        (Dialect::OpenaiChat, "data: {\"choices\":[{\"finish_reason\":null}]}\n\n", false),
        (Dialect::OpenaiChat, "data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n", false),
        (
            Dialect::OpenaiChat,
            "data: {\"choices\":[{\"finish_reason\": \"\"},{\"finish_reason\":\"stop\"}]}\n\n",
            true,
        ),
        (
            Dialect::OpenaiChat,
            "data: {\"choices\":[{\"finish_reason\":null},{\"finish_reason\":\"length\"}]}\n\n",
            true,
        ),
        (Dialect::OpenaiChat, "data: {\"x\":\"\\\"finish_reason\\\":\\\"stop\\\"\"}\n\n", false),
        (Dialect::OpenaiChat, "data: {\"x\":\"\\\"finish_reason\",\"y\":\"stop\"}\n\n", false),
        (Dialect::OpenaiChat, ": {\"finish_reason\":\"stop\"}\n\n", false),
        (Dialect::OpenaiChat, "data: {\"error\":{\"message\":\"x\"}}\n\n", true),
        (Dialect::OpenaiChat, "data: {\"error\": null,\"choices\":[]}\n\n", false),
        (Dialect::OpenaiChat, "event: message_stop\ndata: {}\n\n", false),
        (
            Dialect::OpenaiResponses,
            "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n",
            true,
        ),
        (Dialect::OpenaiResponses, "event:response.incomplete\r\ndata:{}\r\n\r\n", true),
        (Dialect::OpenaiResponses, "event: response.failed\rdata: {}\r\r", true),
        (Dialect::OpenaiResponses, "event: error\ndata: {\"type\":\"error\"}\n\n", true),
        (Dialect::OpenaiResponses, "data: { \"type\" : \"response.completed\" ,\"response\":{}}\n\n", true),
        (Dialect::OpenaiResponses, "event: response.completed\n\n", false),
        (Dialect::OpenaiResponses, "event: response.completed\ndata: {\"type\":\"resp", false),
        (
            Dialect::OpenaiResponses,
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"{\\\"type\\\":\\\"response.completed\\\"\"}\n\n",
            false,
        ),
        (Dialect::OpenaiResponses, "data: [DONE]\n\n", false),
        (Dialect::Anthropic, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true),
        (Dialect::Anthropic, "data: {\"type\":\"message_stop\"}\n", true),
        (Dialect::Anthropic, "data: {}\nevent: message_stop\n\n", true),
        (Dialect::Anthropic, "event: error\ndata: {\"type\":\"error\"}\n\n", true),
        (Dialect::Anthropic, "event: message_stop", false),
        (Dialect::Anthropic, "event: message_delta\ndata: {\"type\":\"message_delta\"}\n\n", false),
        (Dialect::Anthropic, "xevent: message_stop\nxdata: {}\n\n", false),
        (Dialect::Gemini, "data: {\"candidates\": [{\"finishReason\": \"STOP\"}]}\r\n\r\n", true),
        (Dialect::Gemini, "data: {\"candidates\": [{\"finishReason\": \"STOP\"}]}", false),
        (Dialect::Gemini, "data: {\"candidates\": [{\"finishReason\": null}]}\n\n", false),
        (Dialect::Gemini, "data: {\"x\":\"\\\"finishReason\\\":\\\"STOP\\\"\"}\n\n", false),
        (
            Dialect::Gemini,
            "data: {\"usageMetadata\":{},\"promptFeedback\":{\"blockReason\":\"OTHER\"}}\n\n",
            true,
        ),
        (Dialect::Gemini, "data: {\"promptFeedback\":{\"safetyRatings\":[]},\"candidates\":[]}\n\n", false),
        (Dialect::Gemini, "data: {\"error\": {\"code\": 503}}\r\n\r\n", true),
        (Dialect::Gemini, "data: {\"finish_reason\":\"stop\"}\n\n", false),
        (Dialect::Gemini, "data: [DONE]\n\n", false),
    ];
    for (dialect, stream, ended) in rows {
        assert_eq!(watch(dialect, [stream.as_bytes()]).ended(), ended, "{dialect}: {stream:?}");
        for split in 0..stream.len() {
            let (first, second) = stream.as_bytes().split_at(split);
            assert_eq!(watch(dialect, [first, second]).ended(), ended, "{dialect}: {stream:?} at {split}");
        }
        assert_eq!(
            watch(dialect, stream.as_bytes().chunks(1)).ended(),
            ended,
            "{dialect}: {stream:?} by bytes"
        );
    }
}

#[test]
fn reference_streams_end_where_the_readers_say() {
    for (dialect, stream) in STREAMS {
        for ending in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', ending);
            let mut watch = EndWatch::new(dialect, generation(dialect));
            for (at, byte) in stream.bytes().enumerate() {
                watch.push(&[byte]);
                let so_far = &stream.as_bytes()[..=at];
                assert_eq!(watch.ended(), self::watch(dialect, [so_far]).ended(), "{dialect} at {at}");
                if watch.ended() {
                    // The reader sees the same end, or would have seen it a line feed earlier.
                    let text = std::str::from_utf8(so_far).expect("ends stand between characters");
                    assert!(read_body(dialect, 200, text).contains(&Delta::End), "{dialect} at {at}");
                    break;
                }
            }
            assert!(watch.ended(), "{dialect} {ending:?}");
        }
    }
}

#[test]
fn boundaries_are_between_events_only() {
    let rows = [
        ("", true),
        ("data: a", false),
        ("data: a\n", false),
        ("data: a\n\n", true),
        ("data: a\n\nd", false),
        ("data: a\r\n\r\n", true),
        ("data: a\r\n", false),
        ("data: a\r\r", true),
        (": comment\n\n", true),
    ];
    for (stream, expected) in rows {
        let whole = watch(Dialect::Anthropic, [stream.as_bytes()]);
        assert_eq!(whole.at_boundary(), expected, "{stream:?}");
        assert_eq!(
            watch(Dialect::Anthropic, stream.as_bytes().chunks(1)).at_boundary(),
            expected,
            "{stream:?}"
        );
    }
}

#[test]
fn what_is_no_generation_has_no_end_to_miss() {
    assert!(EndWatch::new(Dialect::OpenaiChat, Operation::Other).ended());
    assert!(!EndWatch::new(Dialect::OpenaiChat, Operation::Chat).ended());
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "data: ", "event: ", "message_stop", "[DONE]", "{\"type\":\"", "\"finish_reason\"", ":", "\"", "null",
                "\"finishReason\"", "\"blockReason\"", "Reason\"", "\"block",
                "\\", "\n", "\r", "\r\n", "\n\n", " ", "x", "\"finish_rea", "{\"error\":", "response.completed",
            ]),
            0..40,
        ),
        piece in 1_usize..20,
    ) {
        let text = parts.concat();
        for dialect in Dialect::ALL {
            let whole = watch(dialect, [text.as_bytes()]);
            let pieces = watch(dialect, text.as_bytes().chunks(piece));
            prop_assert_eq!(
                (whole.ended(), whole.at_boundary()), (pieces.ended(), pieces.at_boundary()), "{} {:?}", dialect, text
            );
        }
    }
}
