//! Who is asking, and in which session: read from headers and the first look at the body.

use http::HeaderMap;
use lunaroute_core::SessionHint;

use crate::json::Json;
use crate::peek::Peek;

/// How much of a client's own id is kept, in bytes.
const ID_LIMIT: usize = 1024;

/// Where a session id may stand.
#[derive(Debug, Clone, Copy)]
enum Source {
    Header(&'static str),
    /// A member of the JSON that a header holds.
    HeaderJson(&'static str, &'static str),
    /// A value that the first look found, under the name it has in the body.
    Body(&'static str, fn(&Peek) -> Option<&str>),
    /// `metadata.user_id` in one of Claude Code's forms.
    UserId,
}

/// Places that mean the same for every client. `previous_response_id` names an answer and `user` a person: neither is a
/// session, so neither stands here.
const ANY: &[Source] = &[
    Source::Header("x-session-id"),
    Source::Body("metadata.session_id", |peek| peek.hints.metadata_session_id.as_deref()),
    Source::UserId,
    Source::Body("conversation", |peek| peek.hints.conversation.as_deref()),
    PROMPT_CACHE_KEY,
];

const PROMPT_CACHE_KEY: Source =
    Source::Body("prompt_cache_key", |peek| peek.hints.prompt_cache_key.as_deref());

const CLAUDE_CODE: &[Source] = &[Source::Header("x-claude-code-session-id"), Source::UserId];

const CODEX: &[Source] = &[
    Source::Header("session-id"),
    Source::Header("session_id"),
    Source::Body("client_metadata.session_id", |peek| peek.hints.client_session_id.as_deref()),
    Source::HeaderJson("x-codex-turn-metadata", "session_id"),
    Source::Header("thread-id"),
    Source::Header("conversation_id"),
    PROMPT_CACHE_KEY,
];

const OPENCODE: &[Source] = &[
    Source::Header("x-opencode-session"),
    Source::Header("x-session-affinity"),
    Source::Header("x-session-id"),
];

const CURSOR: &[Source] =
    &[Source::Body("metadata.cursorConversationId", |peek| peek.hints.cursor_conversation_id.as_deref())];

/// The gateway's own header comes before everything that a client sends by itself.
const EXPLICIT: Source = Source::Header("x-lunaroute-session-id");

/// Tells the client's family and its own id of the session, the first that is not empty in the order of each family.
///
/// The id is the client's raw text, cut at 1 KiB; it may hold any character, so what names a file or a row has to be
/// made from it. `previous_response_id` and `user` are left to the caller, who may follow a chain of answers.
#[must_use]
pub fn identify(headers: &HeaderMap, peek: &Peek) -> SessionHint {
    let (client, own) = family(headers, peek);
    let found = std::iter::once(&EXPLICIT)
        .chain(own)
        .chain(ANY)
        .find_map(|source| Some((source.look(headers, peek)?, source.name())));
    let (external_id, source) = found.map(|(id, source)| (Some(id), source)).unwrap_or_default();
    SessionHint { client: client.to_owned(), external_id, source }
}

impl Source {
    fn look(&self, headers: &HeaderMap, peek: &Peek) -> Option<String> {
        match self {
            Self::Header(name) => clean(header(headers, name)?),
            Self::HeaderJson(name, member) => {
                clean(&Json::new(header(headers, name)?.as_bytes())?.text_of(member)?)
            }
            Self::Body(_, value) => clean(value(peek)?),
            Self::UserId => session_of_user_id(peek.hints.metadata_user_id.as_deref()?),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Header(name) => format!("header:{name}"),
            Self::HeaderJson(name, member) => format!("header:{name}.{member}"),
            Self::Body(name, _) => format!("body:{name}"),
            Self::UserId => "body:metadata.user_id".to_owned(),
        }
    }
}

/// The family's name and where it keeps its session id.
fn family(headers: &HeaderMap, peek: &Peek) -> (&'static str, &'static [Source]) {
    let agent = header(headers, "user-agent").unwrap_or_default();
    let has = |name: &str| headers.contains_key(name);
    let any_named = |prefix: &str| headers.keys().any(|name| name.as_str().starts_with(prefix));
    // OpenCode talks to ChatGPT plans as Codex does, under a name of its own.
    let originator = header(headers, "originator").filter(|name| !name.starts_with("opencode"));
    if agent.starts_with("claude-cli/") || has("x-claude-code-session-id") {
        ("claude-code", CLAUDE_CODE)
    } else if agent.starts_with("opencode/") || any_named("x-opencode-") {
        ("opencode", OPENCODE)
    } else if agent.starts_with("codex_") || originator.is_some() {
        ("codex", CODEX)
    } else if agent.starts_with("GeminiCLI") {
        ("gemini-cli", &[])
    } else if peek.hints.cursor_conversation_id.is_some() {
        ("cursor", CURSOR)
    } else if has("x-agent-task-id") {
        ("copilot", &[])
    } else {
        (library(headers, agent), &[])
    }
}

/// The library, when no agent gives itself away.
fn library(headers: &HeaderMap, agent: &str) -> &'static str {
    let begins = |names: &[&str]| names.iter().any(|name| agent.starts_with(name));
    if agent.contains("litellm") {
        "litellm"
    } else if begins(&["OpenAI/", "AsyncOpenAI/", "AzureOpenAI/", "AsyncAzureOpenAI/"]) {
        "openai-sdk"
    } else if begins(&["Anthropic/", "AsyncAnthropic/"]) {
        "anthropic-sdk"
    } else if begins(&["google-genai-sdk/"]) || is_google(headers) {
        "google-genai-sdk"
    } else if headers.contains_key("x-stainless-lang") {
        // Both SDKs are made by the same generator; only one of them names a version of the API.
        if headers.contains_key("anthropic-version") { "anthropic-sdk" } else { "openai-sdk" }
    } else {
        "unknown"
    }
}

/// Google's SDKs for Gemini name themselves here too, in browsers only here.
fn is_google(headers: &HeaderMap) -> bool {
    header(headers, "x-goog-api-client").is_some_and(|client| client.contains("google-genai-sdk/"))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(name).iter().find_map(|value| value.to_str().ok().filter(|text| !text.trim().is_empty()))
}

fn clean(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text[..text.floor_char_boundary(ID_LIMIT)].to_owned())
}

/// The session in Claude Code's `metadata.user_id`: a JSON object with a `session_id`, or the text behind the last
/// `_session_` (before 2.1.78). The rest of it names a device and an account, which many sessions share.
fn session_of_user_id(user_id: &str) -> Option<String> {
    if user_id.trim_start().starts_with('{') {
        return clean(&Json::new(user_id.as_bytes())?.text_of("session_id")?);
    }
    clean(user_id.rsplit_once("_session_")?.1)
}
