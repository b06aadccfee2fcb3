//! Streamed answers.

use insta::assert_snapshot;
use lunaroute_core::{Delta, Dialect, Operation};
use proptest::prelude::*;

use crate::fixtures::{CHAT_TOOLS, GEMINI_TOOLS, MESSAGES_TOOLS, RESPONSES_TOOLS, STREAMS};
use crate::{answer, exchange, generation, read, read_body, show};

#[test]
fn a_chat_stream_says_what_its_chunks_say() {
    assert_snapshot!(show(&read_body(Dialect::OpenaiChat, 200, CHAT_TOOLS)), @r#"
    start "chatcmpl-1" "gpt-5.5"
    reasoning 0 "hm"
    text 1 "Grüß “data: [DONE]”\u{2028}😀"
    text 1 " say \"finish_reason\":\"stop\""
    call 2 call_a read
    call 3 call_b list
    arguments 3 {
    arguments 2 {"p":
    arguments 3 }
    arguments 2 1}
    custom 4 call_c apply_patch
    arguments 4 *** Begin

    stop tool_use tool_calls
    usage input=800 cache_read=9000 write_5m=200 output=50 reasoning=20
    end
    "#);
}

#[test]
fn a_responses_stream_says_what_its_events_say() {
    assert_snapshot!(show(&read_body(Dialect::OpenaiResponses, 200, RESPONSES_TOOLS)), @r#"
    start "resp_1" "gpt-5.5"
    reasoning 0 "think"
    reasoning 0 "\n\nmore"
    text 1 "Hello event: response.completed\n\nevent: response.completed"
    call 2 call_a read
    custom 3 call_b apply_patch
    arguments 2 {"p":
    arguments 3 *** Begin

    arguments 2 1}
    call 4 call_c late
    arguments 4 {}
    usage input=300 cache_read=600 write_5m=70 write_1h=30 output=40 reasoning=8
    stop tool_use completed
    end
    "#);
}

#[test]
fn a_messages_stream_says_what_its_events_say() {
    let deltas = read_body(Dialect::Anthropic, 200, MESSAGES_TOOLS);
    assert_snapshot!(show(&deltas), @r#"
    start "msg_1" "claude-opus-5"
    usage input=12 cache_read=9000 write_5m=100 write_1h=200 output=1
    reasoning 0 "Let me see."
    text 1 "It says \n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
    call 2 toolu_a read
    arguments 2 {"p":
    arguments 2 1}
    call 3 toolu_b list
    arguments 3 {}
    stop tool_use tool_use
    usage input=12 cache_read=9000 write_5m=100 output=120 reasoning=30
    end
    "#);
    let usage = answer(&deltas).usage;
    assert_eq!((usage.total_input(), usage.output), (Some(9312), Some(120)), "later figures overlay");
    assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (Some(100), Some(200)), "the split is kept");
}

#[test]
fn a_gemini_stream_says_what_its_chunks_say() {
    assert_snapshot!(show(&read_body(Dialect::Gemini, 200, GEMINI_TOOLS)), @r#"
    start "r-1" "gemini-3-pro"
    reasoning 0 "Let me see."
    usage input=400 cache_read=600 output=30 reasoning=30
    reasoning 0 " Yes."
    text 1 "Grüß \"finishReason\": \"STOP\""
    text 1 " \"promptFeedback\":{\"blockReason\":\"x\"} 😀"
    call 3 fc-1 read
    arguments 3 {"p": 1}
    call 4  list
    arguments 4 {}
    text 5 "Behind."
    stop tool_use STOP
    usage input=407 cache_read=600 output=50 reasoning=30
    end
    "#);
}

#[test]
fn a_gemini_array_says_what_its_events_say() {
    let array = format!("[{}\n]\n", GEMINI_TOOLS.trim_end().replace("data: ", "").replace("\n\n", ",\r\n"));
    let whole = read_body(Dialect::Gemini, 200, GEMINI_TOOLS);
    assert_eq!(read_body(Dialect::Gemini, 200, &array), whole);
    let exchange = exchange(Dialect::Gemini, Operation::GenerateContent, &[]);
    for piece in [1, 7, 64] {
        assert_eq!(read(&exchange, 200, &[], array.as_bytes().chunks(piece)), whole, "in pieces of {piece}");
    }
    let enough = array.trim_end().trim_end_matches(']').trim_end().len();
    for cut in 0..array.len() {
        let deltas = read(&exchange, 200, &[], [&array.as_bytes()[..cut]]);
        assert_eq!(deltas.contains(&Delta::End), cut >= enough, "cut at {cut} of {enough}");
    }
}

#[test]
fn gemini_candidates_are_told_apart_and_all_have_to_end() {
    let chunk = |candidates: &str| format!("data: {{\"candidates\":[{candidates}]}}\r\n\r\n");
    let said = |index: u8, text: &str, stop: &str| {
        format!(r#"{{"index":{index},"content":{{"parts":[{{"text":"{text}"}}]}}{stop}}}"#)
    };
    let both = [said(0, "a", ""), said(1, "b", "")].join(",");
    let rest = [said(1, "d", r#","finishReason":"MAX_TOKENS""#), said(0, "c", "")].join(",");
    let end = said(0, "", r#","finishReason":"STOP""#);
    let open = [chunk(&both), chunk(&rest)].concat();
    let told = "text 0 \"a\"\ntext 1 \"b\"\ntext 1 \"d\"\nstop length MAX_TOKENS\ntext 0 \"c\"\n";
    assert_eq!(show(&read_body(Dialect::Gemini, 200, &open)), told);
    let whole = [open, chunk(&end)].concat();
    assert_eq!(show(&read_body(Dialect::Gemini, 200, &whole)), format!("{told}stop end_turn STOP\nend\n"));
}

#[test]
fn every_split_in_two_reads_the_same() {
    for (dialect, stream) in STREAMS {
        let exchange = exchange(dialect, generation(dialect), &[]);
        let whole = read(&exchange, 200, &[], [stream.as_bytes()]);
        for split in 1..stream.len() {
            let (first, second) = stream.as_bytes().split_at(split);
            assert_eq!(read(&exchange, 200, &[], [first, second]), whole, "{dialect} split at {split}");
        }
        let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(read(&exchange, 200, &[], single), whole, "{dialect} byte by byte");
    }
}

#[test]
fn a_cut_stream_never_ends() {
    for (dialect, stream) in STREAMS {
        let exchange = exchange(dialect, generation(dialect), &[]);
        // The data of the last event is whole at this length: what follows are line feeds.
        let enough = match dialect {
            // All that a chat says is said once the finish reason is whole.
            Dialect::OpenaiChat => {
                let last = "\"finish_reason\":\"tool_calls\"}],\"usage\":null}";
                stream.find(last).expect("the last choice is there") + last.len()
            }
            _ => stream.trim_end().len(),
        };
        for cut in 0..enough {
            let deltas = read(&exchange, 200, &[], [&stream.as_bytes()[..cut]]);
            assert!(!deltas.contains(&Delta::End), "{dialect} cut at {cut} of {enough} ended");
        }
        assert!(read(&exchange, 200, &[], [&stream.as_bytes()[..enough]]).contains(&Delta::End), "{dialect}");
    }
}

#[test]
fn line_ends_of_all_kinds_and_missing_event_lines_are_read() {
    for (dialect, stream) in STREAMS {
        let whole = read_body(dialect, 200, stream);
        for ending in ["\r\n", "\r"] {
            assert_eq!(read_body(dialect, 200, &stream.replace('\n', ending)), whole, "{dialect} {ending:?}");
        }
        let unnamed: String =
            stream.lines().filter(|line| !line.starts_with("event:")).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(read_body(dialect, 200, &unnamed), whole, "{dialect} without event lines");
        let tight = stream.replace("\ndata: ", "\ndata:");
        assert_eq!(read_body(dialect, 200, &format!("\u{feff}{tight}")), whole, "{dialect} without spaces");
    }
}

#[test]
fn errors_inside_a_stream_are_told_and_nothing_ends() {
    let rows = [
        (
            Dialect::OpenaiChat,
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"param\":null,\"code\":\"server_is_overloaded\"}}\n\ndata: [DONE]\n\n",
            "error server_error: busy",
        ),
        (
            Dialect::OpenaiChat,
            "data: {\"id\":\"c\",\"error\":{\"code\":502,\"message\":\"gone\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
            "error 502: gone",
        ),
        (
            Dialect::OpenaiResponses,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":null,\"sequence_number\":3}\n\n",
            "error rate_limit_exceeded: slow",
        ),
        (
            Dialect::OpenaiResponses,
            "data: {\"type\":\"response.failed\",\"response\":{\"id\":\"r\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"oh\"},\"usage\":{\"input_tokens\":1,\"output_tokens\":0}}}\n\n",
            "error server_error: oh",
        ),
        (
            Dialect::Anthropic,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":\"req_1\"}\n\n",
            "error overloaded_error: Overloaded",
        ),
        (
            Dialect::Gemini,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"index\":0}]}\r\n\r\ndata: {\"error\":{\"code\":503,\"message\":\"The model is overloaded.\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n",
            "error UNAVAILABLE: The model is overloaded.",
        ),
        (
            Dialect::Gemini,
            "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]},\n{\"error\":{\"code\":500,\"message\":\"oh\",\"status\":\"INTERNAL\"}}]",
            "error INTERNAL: oh",
        ),
    ];
    for (dialect, stream, expected) in rows {
        let deltas = read_body(dialect, 200, stream);
        assert!(show(&deltas).lines().any(|line| line == expected), "{expected}: {}", show(&deltas));
        assert!(!deltas.contains(&Delta::End), "{expected} ended");
    }
}

#[test]
fn chat_calls_are_told_apart_however_hosts_number_them() {
    let chunk = |calls: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":{calls}}}}}]}}\n\n"
        )
    };
    let rows: [(&str, Vec<&str>, &str); 6] = [
        (
            "no index, found by id",
            vec![
                r#"[{"id":"a","function":{"name":"f","arguments":"1"}}]"#,
                r#"[{"id":"b","function":{"name":"g","arguments":"2"}}]"#,
                r#"[{"id":"a","function":{"arguments":"3"}}]"#,
            ],
            "a f 13; b g 2",
        ),
        (
            "no index and no id, found by place",
            vec![
                r#"[{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"g","arguments":"2"}}]"#,
                r#"[{"function":{"arguments":"3"}},{"function":{"arguments":"4"}}]"#,
            ],
            "a f 13; b g 24",
        ),
        (
            "another id on the same index is another call",
            vec![
                r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}]"#,
                r#"[{"index":0,"id":"b","function":{"name":"g","arguments":"2"}}]"#,
                r#"[{"index":0,"function":{"arguments":"3"}}]"#,
            ],
            "a f 1; b g 23",
        ),
        (
            "the name comes late",
            vec![
                r#"[{"index":0,"id":"a","function":{"arguments":""}}]"#,
                r#"[{"index":0,"function":{"name":"f"}}]"#,
            ],
            "a f ",
        ),
        ("the name never comes", vec![r#"[{"index":0,"id":"a","function":{}}]"#], "a  "),
        (
            "arguments are JSON itself",
            vec![r#"[{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}]"#],
            "a f {\"x\":1}",
        ),
    ];
    for (what, fragments, expected) in rows {
        let stream: String = fragments.into_iter().map(chunk).collect();
        let calls = answer(&read_body(Dialect::OpenaiChat, 200, &stream)).tool_calls;
        let shown: Vec<String> =
            calls.iter().map(|call| format!("{} {} {}", call.id, call.name, call.arguments)).collect();
        assert_eq!(shown.join("; "), expected, "{what}");
    }
}

#[test]
fn refusals_and_stops_of_streams() {
    let rows = [
        (
            Dialect::OpenaiChat,
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"I can\"}}]}\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"not\"},\"finish_reason\":\"content_filter\"}]}\n\n",
            "refusal \"I can\"\nrefusal \"not\"\nstop refusal content_filter\nend\n",
        ),
        (
            Dialect::OpenaiResponses,
            "data: {\"type\":\"response.refusal.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"No.\"}\n\ndata: {\"type\":\"response.incomplete\",\"response\":{\"id\":\"r\",\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"No.\"}]}]}}\n\n",
            "refusal \"No.\"\nstart \"r\" None\nstop length max_output_tokens\nend\n",
        ),
        (
            Dialect::Anthropic,
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\"},\"usage\":{\"output_tokens\":0}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            "stop refusal refusal\nusage output=0\nend\n",
        ),
        (
            Dialect::Gemini,
            "data: {\"promptFeedback\": {\"blockReason\": \"PROHIBITED_CONTENT\"},\"usageMetadata\": {\"promptTokenCount\": 9,\"totalTokenCount\": 9},\"modelVersion\": \"g\"}\r\n\r\n",
            "start None \"g\"\nstop refusal PROHIBITED_CONTENT\nusage input=9\nend\n",
        ),
        (
            Dialect::Gemini,
            "data: {\"candidates\": [{\"finishReason\": \"SAFETY\",\"finishMessage\": \"no\",\"index\": 0}]}\n\n",
            "stop refusal SAFETY\nend\n",
        ),
        (
            Dialect::Gemini,
            "data: {\"candidates\": [{\"finishReason\": \"MALFORMED_FUNCTION_CALL\"}]}\n\n",
            "error MALFORMED_FUNCTION_CALL: the model failed to answer: MALFORMED_FUNCTION_CALL\n",
        ),
    ];
    for (dialect, stream, expected) in rows {
        let shown = show(&read_body(dialect, 200, stream));
        assert!(shown.ends_with(expected), "{dialect}: {shown}");
    }
}

#[test]
fn compressed_streams_are_read_and_unknown_codings_say_nothing() {
    for (dialect, stream) in STREAMS {
        let exchange = exchange(dialect, generation(dialect), &[]);
        let whole = read(&exchange, 200, &[], [stream.as_bytes()]);
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let coded = crate::coding::encode(coding, stream.as_bytes());
            let pieces = coded.chunks(7);
            assert_eq!(read(&exchange, 200, &[("content-encoding", coding)], pieces), whole, "{coding}");
        }
        assert_eq!(read(&exchange, 200, &[("content-encoding", "lzma")], [stream.as_bytes()]), []);
        assert!(
            !read(&exchange, 200, &[("content-encoding", "gzip")], [stream.as_bytes()]).contains(&Delta::End)
        );
    }
}

#[test]
fn other_operations_say_only_whether_they_were_whole() {
    let other = exchange(Dialect::OpenaiChat, Operation::Other, &[]);
    let body: &[u8] = b"data: {\"x\":1}\n\ndata: [DONE]\n\n";
    assert_eq!(read(&other, 200, &[], [body]), [Delta::End]);
    assert_eq!(read(&other, 200, &[("content-length", "999")], [body]), []);
    assert_eq!(read(&other, 204, &[], []), [Delta::End]);
}

proptest! {
    #[test]
    fn random_pieces_read_the_same(which in 0_usize..STREAMS.len(), mut cuts in prop::collection::vec(0_usize..6000, 0..40)) {
        let (dialect, stream) = STREAMS[which];
        let exchange = exchange(dialect, generation(dialect), &[]);
        cuts.retain(|cut| *cut < stream.len());
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&stream.as_bytes()[from..cut]);
            from = cut;
        }
        pieces.push(&stream.as_bytes()[from..]);
        prop_assert_eq!(read(&exchange, 200, &[], pieces), read(&exchange, 200, &[], [stream.as_bytes()]));
    }

    #[test]
    fn damaged_streams_never_panic(
        which in 0_usize..STREAMS.len(),
        damage in prop::collection::vec((0_usize..6000, any::<u8>()), 0..30),
        piece in 1_usize..64,
    ) {
        let (dialect, stream) = STREAMS[which];
        let exchange = exchange(dialect, generation(dialect), &[]);
        let mut bytes = stream.as_bytes().to_vec();
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let whole = read(&exchange, 200, &[], [bytes.as_slice()]);
        prop_assert_eq!(read(&exchange, 200, &[], bytes.chunks(piece)), whole);
    }
}
