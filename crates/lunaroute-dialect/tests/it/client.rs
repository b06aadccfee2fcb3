//! Who is asking, and in which session.

use lunaroute_core::Dialect;
use lunaroute_dialect::client::identify;
use lunaroute_dialect::peek;

use crate::headers;

/// Headers as lines, body, and what is expected: family, id, source.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

const CLAUDE: &str = "user-agent: claude-cli/2.1.329 (external, cli)";
const CODEX: &str = "user-agent: codex_cli_rs/0.169.0 (Linux)";
const OPENCODE: &str = "user-agent: opencode/1.18.33";
const NONE: &str = "-";

const CLAUDE_CODE: [Row; 17] = [
    (
        "user-agent: claude-cli/2\nx-claude-code-session-id: s1",
        "",
        "claude-code",
        "s1",
        "header:x-claude-code-session-id",
    ),
    (
        "user-agent: other\nx-claude-code-session-id: s1",
        "",
        "claude-code",
        "s1",
        "header:x-claude-code-session-id",
    ),
    (
        "user-agent: claude-cli/2\nx-claude-code-session-id:   s1  ",
        "",
        "claude-code",
        "s1",
        "header:x-claude-code-session-id",
    ),
    (
        "x-claude-code-session-id: s1\nsession-id: no\noriginator: codex_cli_rs",
        "",
        "claude-code",
        "s1",
        "header:x-claude-code-session-id",
    ),
    (
        "x-claude-code-session-id: s1",
        r#"{"metadata":{"user_id":"user_ab_account__session_s2"}}"#,
        "claude-code",
        "s1",
        "header:x-claude-code-session-id",
    ),
    (
        CLAUDE,
        r#"{"metadata":{"user_id":"user_ab_account_cd_session_s2"}}"#,
        "claude-code",
        "s2",
        "body:metadata.user_id",
    ),
    (
        CLAUDE,
        r#"{"metadata":{"user_id":"user_ab_account__session_s2"}}"#,
        "claude-code",
        "s2",
        "body:metadata.user_id",
    ),
    (
        CLAUDE,
        r#"{"metadata":{"user_id":"user_a_session_x_account__session_s2"}}"#,
        "claude-code",
        "s2",
        "body:metadata.user_id",
    ),
    (
        CLAUDE,
        r#"{"metadata":{"user_id":"{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"s3\"}"}}"#,
        "claude-code",
        "s3",
        "body:metadata.user_id",
    ),
    (
        CLAUDE,
        r#"{"metadata":{"user_id":"{\"session_id\":\"s3\",\"more\":{\"a\":[1]}}"}}"#,
        "claude-code",
        "s3",
        "body:metadata.user_id",
    ),
    (
        CLAUDE,
        r#"{"metadata":{"user_id":{"device_id":"d","session_id":"s4"}}}"#,
        "claude-code",
        "s4",
        "body:metadata.user_id",
    ),
    (CLAUDE, r#"{"metadata":{"user_id":"user_ab_account_cd"}}"#, "claude-code", NONE, ""),
    (CLAUDE, r#"{"metadata":{"user_id":"user_ab_account__session_"}}"#, "claude-code", NONE, ""),
    (CLAUDE, r#"{"metadata":{"user_id":"{\"device_id\":\"d\"}"}}"#, "claude-code", NONE, ""),
    (CLAUDE, r#"{"metadata":{"user_id":"{broken"}}"#, "claude-code", NONE, ""),
    (CLAUDE, r#"{"metadata":{"user_id":7}}"#, "claude-code", NONE, ""),
    (CLAUDE, "", "claude-code", NONE, ""),
];

const CODEX_ROWS: [Row; 18] = [
    ("user-agent: codex_cli_rs/0.1\nsession-id: s", "", "codex", "s", "header:session-id"),
    ("user-agent: codex_vscode/0.1\nsession-id: s", "", "codex", "s", "header:session-id"),
    ("user-agent: codex_exec/0.1\nsession-id: s", "", "codex", "s", "header:session-id"),
    ("originator: Codex Desktop\nsession-id: s", "", "codex", "s", "header:session-id"),
    ("originator: codex_cli_rs\nsession_id: s", "", "codex", "s", "header:session_id"),
    ("originator: codex_cli_rs\nsession_id: old\nsession-id: new", "", "codex", "new", "header:session-id"),
    (
        "originator: codex_cli_rs\nsession_id: s",
        r#"{"client_metadata":{"session_id":"b"}}"#,
        "codex",
        "s",
        "header:session_id",
    ),
    (CODEX, r#"{"client_metadata":{"session_id":"b"}}"#, "codex", "b", "body:client_metadata.session_id"),
    (
        "originator: codex_cli_rs\nx-codex-turn-metadata: {\"turn_id\":\"t\",\"session_id\":\"j\"}",
        r#"{"client_metadata":{"session_id":"b"}}"#,
        "codex",
        "b",
        "body:client_metadata.session_id",
    ),
    (
        "originator: codex_cli_rs\nx-codex-turn-metadata: {\"turn_id\":\"t\",\"session_id\":\"j\"}",
        "",
        "codex",
        "j",
        "header:x-codex-turn-metadata.session_id",
    ),
    (
        "originator: codex_cli_rs\nthread-id: t\nx-codex-turn-metadata: {\"session_id\":\"j\"}",
        "",
        "codex",
        "j",
        "header:x-codex-turn-metadata.session_id",
    ),
    (
        "originator: codex_cli_rs\nthread-id: t\nx-codex-turn-metadata: {broken",
        "",
        "codex",
        "t",
        "header:thread-id",
    ),
    ("originator: codex_cli_rs\nthread-id: t\nconversation_id: c", "", "codex", "t", "header:thread-id"),
    ("originator: codex_cli_rs\nconversation_id: c", "", "codex", "c", "header:conversation_id"),
    (
        "originator: codex_cli_rs\nconversation_id: c",
        r#"{"prompt_cache_key":"k"}"#,
        "codex",
        "c",
        "header:conversation_id",
    ),
    (CODEX, r#"{"prompt_cache_key":"k"}"#, "codex", "k", "body:prompt_cache_key"),
    ("user-agent: codex_cli_rs/0.1\nsession-id:  \nthread-id: t", "", "codex", "t", "header:thread-id"),
    (CODEX, r#"{"previous_response_id":"resp_1","user":"u"}"#, "codex", NONE, ""),
];

const AGENTS: [Row; 17] = [
    ("user-agent: opencode/1\nx-opencode-session: o", "", "opencode", "o", "header:x-opencode-session"),
    ("x-opencode-client: cli\nx-session-affinity: a", "", "opencode", "a", "header:x-session-affinity"),
    (
        "user-agent: opencode/1\nx-session-affinity: a\nx-opencode-session: o",
        "",
        "opencode",
        "o",
        "header:x-opencode-session",
    ),
    (
        "user-agent: opencode/1\nx-session-id: i\nx-session-affinity: a",
        "",
        "opencode",
        "a",
        "header:x-session-affinity",
    ),
    ("user-agent: opencode/1\nx-session-id: i", "", "opencode", "i", "header:x-session-id"),
    (
        "user-agent: opencode/1\noriginator: opencode\nx-session-id: i",
        "",
        "opencode",
        "i",
        "header:x-session-id",
    ),
    (OPENCODE, "", "opencode", NONE, ""),
    ("user-agent: GeminiCLI/0.61.0\nx-gemini-api-privileged-user-id: inst", "", "gemini-cli", NONE, ""),
    ("user-agent: google-genai-sdk/3.4.0 gl-python/3.13", "", "google-genai-sdk", NONE, ""),
    (
        "user-agent: Mozilla/5.0\nx-goog-api-client: google-genai-sdk/2.1.0 gl-node/web",
        "",
        "google-genai-sdk",
        NONE,
        "",
    ),
    ("user-agent: GeminiCLI-vscode/0.61.0", "", "gemini-cli", NONE, ""),
    (
        "",
        r#"{"metadata":{"cursorConversationId":"cur"}}"#,
        "cursor",
        "cur",
        "body:metadata.cursorConversationId",
    ),
    (
        "user-agent: node",
        r#"{"user":"u","metadata":{"cursorConversationId":"cur"}}"#,
        "cursor",
        "cur",
        "body:metadata.cursorConversationId",
    ),
    ("x-agent-task-id: task\nx-request-id: r", "", "copilot", NONE, ""),
    ("user-agent: litellm/1.0", "", "litellm", NONE, ""),
    ("user-agent: node", "", "unknown", NONE, ""),
    ("", "", "unknown", NONE, ""),
];

const LIBRARIES: [Row; 19] = [
    ("user-agent: OpenAI/Python 3.52.0\nx-session-id: i", "", "openai-sdk", "i", "header:x-session-id"),
    ("user-agent: AsyncOpenAI/Python 3.52.0", "", "openai-sdk", NONE, ""),
    ("user-agent: OpenAI/JS 6.0", "", "openai-sdk", NONE, ""),
    ("user-agent: AzureOpenAI/Python 3", "", "openai-sdk", NONE, ""),
    ("user-agent: Anthropic/Python 2.11.0", "", "anthropic-sdk", NONE, ""),
    ("user-agent: AsyncAnthropic/Python 2.11.0", "", "anthropic-sdk", NONE, ""),
    ("x-stainless-lang: python", "", "openai-sdk", NONE, ""),
    ("x-stainless-lang: js\nanthropic-version: 2023-06-01", "", "anthropic-sdk", NONE, ""),
    ("x-lunaroute-session-id: own", "", "unknown", "own", "header:x-lunaroute-session-id"),
    ("x-session-id: i\nx-lunaroute-session-id: own", "", "unknown", "own", "header:x-lunaroute-session-id"),
    (
        "x-claude-code-session-id: s\nx-lunaroute-session-id: own",
        "",
        "claude-code",
        "own",
        "header:x-lunaroute-session-id",
    ),
    ("x-session-id: i", r#"{"metadata":{"session_id":"m"}}"#, "unknown", "i", "header:x-session-id"),
    (
        "",
        r#"{"metadata":{"session_id":"m"},"conversation":"conv"}"#,
        "unknown",
        "m",
        "body:metadata.session_id",
    ),
    ("", r#"{"conversation":"conv","prompt_cache_key":"k"}"#, "unknown", "conv", "body:conversation"),
    ("", r#"{"conversation":{"id":"conv"}}"#, "unknown", "conv", "body:conversation"),
    ("", r#"{"prompt_cache_key":"k","user":"u"}"#, "unknown", "k", "body:prompt_cache_key"),
    ("", r#"{"user":"u"}"#, "unknown", NONE, ""),
    ("", r#"{"safety_identifier":"u","previous_response_id":"resp_1"}"#, "unknown", NONE, ""),
    ("x-session-id: ../../etc", "", "unknown", "../../etc", "header:x-session-id"),
];

#[test]
fn every_row_of_the_table() {
    let rows: Vec<Row> = [&CLAUDE_CODE[..], &CODEX_ROWS, &AGENTS, &LIBRARIES].concat();
    assert!(rows.len() >= 60, "{}", rows.len());
    for (lines, body, client, id, source) in rows {
        let pairs: Vec<(&str, &str)> = lines.lines().filter_map(|line| line.split_once(": ")).collect();
        let hint = identify(&headers(&pairs), &peek(Dialect::OpenaiResponses, body.as_bytes()));
        let found = hint.external_id.as_deref().unwrap_or(NONE);
        assert_eq!(
            (hint.client.as_str(), found, hint.source.as_str()),
            (client, id, source),
            "{lines:?} {body}"
        );
    }
}

#[test]
fn ids_are_cut_and_strange_headers_passed_over() {
    let long = "é".repeat(3000);
    let body = format!(r#"{{"prompt_cache_key":"{}"}}"#, &long[..4000]);
    let hint = identify(&headers(&[]), &peek(Dialect::OpenaiResponses, body.as_bytes()));
    assert_eq!(hint.external_id.map(|id| id.len()), Some(1024));
    let mut odd = headers(&[("x-session-id", "second")]);
    let strange = http::HeaderValue::from_bytes(b"\xff\xfe").expect("bytes are a value");
    odd.insert("x-lunaroute-session-id", strange);
    let hint = identify(&odd, &peek(Dialect::Anthropic, b""));
    assert_eq!(hint.external_id.as_deref(), Some("second"));
}
