//! Whole answers.

use insta::assert_snapshot;
use lunaroute_core::{Delta, Dialect, Operation};

use crate::{exchange, read, read_body, show};

#[test]
fn a_chat_completion() {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5.5","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,"reasoning":"hm","annotations":[],"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","type":"custom","custom":{"name":"g","input":"raw"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}"#;
    assert_snapshot!(show(&read_body(Dialect::OpenaiChat, 200, body)), @r#"
    start "chatcmpl-1" "gpt-5.5"
    reasoning 0 "hm"
    text 1 "Hi"
    call 2 a f
    arguments 2 {"x":1}
    custom 3 b g
    arguments 3 raw
    stop tool_use tool_calls
    usage input=10 cache_read=0 output=5 reasoning=0
    end
    "#);
    let several = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"content":null,"refusal":"no"},"finish_reason":"stop"},{"index":1,"message":{"content":[{"type":"text","text":"b"}],"function_call":{"name":"old","arguments":"{}"}},"finish_reason":"function_call"},{"index":2,"message":{"audio":{"transcript":"said"}},"finish_reason":"eos"}],"usage":{"prompt_tokens":7,"prompt_cache_hit_tokens":5,"prompt_cache_miss_tokens":2,"completion_tokens":1}}"#;
    assert_snapshot!(show(&read_body(Dialect::OpenaiChat, 200, several)), @r#"
    start "c" "m"
    refusal "no"
    stop end_turn stop
    text 0 "b"
    call 1  old
    arguments 1 {}
    stop tool_use function_call
    text 2 "said"
    stop other eos
    usage input=2 cache_read=5 output=1
    end
    "#);
}

#[test]
fn a_response() {
    let body = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"model":"gpt-5.5","output":[{"id":"rs_1","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"raw"}]},{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]},{"type":"refusal","refusal":"r"}]},{"type":"web_search_call","id":"ws"},{"type":"mcp_call","id":"m","name":"x","arguments":"{}"},{"type":"local_shell_call","call_id":"s","action":{"type":"exec","command":["ls"]}},{"type":"function_call","call_id":"c","name":"f","namespace":"n","arguments":"{}"}],"usage":{"input_tokens":8,"input_tokens_details":{"cached_tokens":3},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":12}}"#;
    assert_snapshot!(show(&read_body(Dialect::OpenaiResponses, 200, body)), @r#"
    start "resp_1" "gpt-5.5"
    reasoning 0 "raw"
    text 1 "a"
    refusal "r"
    call 3 s local_shell
    arguments 3 {"type":"exec","command":["ls"]}
    call 4 c f
    arguments 4 {}
    usage input=5 cache_read=3 output=4 reasoning=1
    stop tool_use completed
    end
    "#);
}

#[test]
fn a_message() {
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"x"},{"type":"text","text":"hello","citations":null},{"type":"server_tool_use","id":"srv","name":"web_search","input":{}},{"type":"tool_use","id":"toolu_1","name":"read","input":{"p": 1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":10,"cache_read_input_tokens":0,"output_tokens":9}}"#;
    assert_snapshot!(show(&read_body(Dialect::Anthropic, 200, body)), @r#"
    start "msg_1" "claude-opus-5"
    reasoning 0 "t"
    text 2 "hello"
    call 3 toolu_1 read
    arguments 3 {"p": 1}
    stop tool_use tool_use
    usage input=3 cache_read=0 write_5m=10 output=9
    end
    "#);
}

#[test]
fn anthropic_iterations_are_summed() {
    let body = r#"{"id":"m","type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":2,"cache_read_input_tokens":1,"iterations":[{"type":"compaction","input_tokens":100,"output_tokens":20,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2}},{"type":"message","input_tokens":5,"output_tokens":2}]}}"#;
    let shown = show(&read_body(Dialect::Anthropic, 200, body));
    assert!(shown.contains("usage input=105 cache_read=1 write_5m=1 write_1h=2 output=22\n"), "{shown}");
    // The split of the sum alone: nothing is counted as both.
    let body = r#"{"content":[],"usage":{"input_tokens":5,"output_tokens":2,"cache_creation_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":100},"iterations":[{"type":"message","input_tokens":5,"output_tokens":2,"cache_creation_input_tokens":100,"cache_creation":null}]}}"#;
    let shown = show(&read_body(Dialect::Anthropic, 200, body));
    assert!(shown.contains("usage input=5 write_5m=0 write_1h=100 output=2\n"), "{shown}");
}

#[test]
fn stop_words_of_every_dialect() {
    let rows = [
        (
            Dialect::OpenaiChat,
            r#"{"choices":[{"message":{},"finish_reason":"@"}]}"#,
            vec![
                ("stop", "end_turn"),
                ("length", "length"),
                ("tool_calls", "tool_use"),
                ("function_call", "tool_use"),
                ("content_filter", "refusal"),
                ("novelty", "other"),
            ],
        ),
        (
            Dialect::Anthropic,
            r#"{"content":[],"stop_reason":"@"}"#,
            vec![
                ("end_turn", "end_turn"),
                ("max_tokens", "length"),
                ("model_context_window_exceeded", "length"),
                ("stop_sequence", "stop_sequence"),
                ("tool_use", "tool_use"),
                ("pause_turn", "pause"),
                ("compaction", "pause"),
                ("refusal", "refusal"),
                ("novelty", "other"),
            ],
        ),
        (
            Dialect::OpenaiResponses,
            r#"{"status":"incomplete","incomplete_details":{"reason":"@"},"output":[]}"#,
            vec![
                ("max_output_tokens", "length"),
                ("content_filter", "refusal"),
                ("steered", "other"),
                ("max_messages", "other"),
            ],
        ),
        (
            Dialect::OpenaiResponses,
            r#"{"status":"@","output":[]}"#,
            vec![("completed", "end_turn"), ("cancelled", "other"), ("incomplete", "other")],
        ),
    ];
    for (dialect, template, words) in rows {
        for (word, reason) in words {
            let shown = show(&read_body(dialect, 200, &template.replace('@', word)));
            assert!(shown.contains(&format!("stop {reason} {word}\n")), "{dialect} {word}: {shown}");
        }
    }
}

#[test]
fn errors_whatever_their_status() {
    let rows = [
        (
            Dialect::Anthropic,
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            "error overloaded_error: Overloaded\nend\n",
        ),
        (
            Dialect::OpenaiChat,
            429,
            r#"{"error":{"message":"Slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            "error requests: Slow down\nend\n",
        ),
        (
            Dialect::OpenaiChat,
            502,
            "<html>bad gateway</html>",
            "error status_502: <html>bad gateway</html>\nend\n",
        ),
        (Dialect::OpenaiResponses, 500, "", "error status_500: \nend\n"),
        // A body of 200 that is an error.
        (Dialect::OpenaiChat, 200, r#"{"error":{"message":"no","code":502}}"#, "error 502: no\nend\n"),
        (
            Dialect::OpenaiResponses,
            200,
            r#"{"id":"r","status":"failed","error":{"code":"server_error","message":"oh"},"output":[]}"#,
            "error server_error: oh\nend\n",
        ),
    ];
    for (dialect, status, body, expected) in rows {
        assert_eq!(show(&read_body(dialect, status, body)), expected, "{dialect} {status}");
    }
}

#[test]
fn a_cut_body_never_ends_and_figures_are_read() {
    let body =
        r#"{"id":"m","type":"message","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn"}"#;
    for cut in 0..body.len() {
        assert!(!read_body(Dialect::Anthropic, 200, &body[..cut]).contains(&Delta::End), "cut at {cut}");
    }
    let count = exchange(Dialect::Anthropic, Operation::CountTokens, &[]);
    assert_eq!(
        show(&read(&count, 200, &[], [b"{\"input_tokens\": 2095}".as_slice()])),
        "end\n",
        "a count is no usage"
    );
    let embeddings = exchange(Dialect::OpenaiChat, Operation::Embeddings, &[]);
    let body = br#"{"object":"list","data":[{"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    assert_eq!(show(&read(&embeddings, 200, &[], [body.as_slice()])), "usage input=8\nend\n");
}

#[test]
fn a_body_too_large_is_let_go() {
    let exchange = exchange(Dialect::Anthropic, Operation::Messages, &[]);
    let piece = vec![b' '; 1 << 20];
    let pieces = std::iter::once(b"{".as_slice()).chain(std::iter::repeat_n(piece.as_slice(), 65));
    assert_eq!(read(&exchange, 200, &[], pieces.chain([b"}".as_slice()])), []);
}
