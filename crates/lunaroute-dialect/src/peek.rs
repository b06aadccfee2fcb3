//! The first look at a request body: what routing, the splices and the session need, in one pass over the bytes.

use std::ops::Range;

use lunaroute_core::Dialect;

use crate::json::{Json, Scanner, decode_string};

/// Values longer than this are not read: no provider has such a model name or identifier.
const VALUE_LIMIT: usize = 4096;

/// Requests of a batch that are looked at: ten times what Gemini takes.
const BATCH_LIMIT: usize = 1_000;

/// A string value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The decoded text.
    pub value: String,
    /// Byte range of the JSON string in the body, quotes included.
    pub range: Range<usize>,
}

/// Where a body's top-level object begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectStart {
    /// Offset just behind the opening brace.
    pub inside: usize,
    /// Whether the object has no members.
    pub empty: bool,
}

/// What a body says about its session; each is the client's own text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BodyHints {
    /// `metadata.user_id`: its text, or its JSON when it is an object (some forks of Claude Code send one).
    pub metadata_user_id: Option<String>,
    /// `metadata.session_id`.
    pub metadata_session_id: Option<String>,
    /// `metadata.cursorConversationId`.
    pub cursor_conversation_id: Option<String>,
    /// `prompt_cache_key`.
    pub prompt_cache_key: Option<String>,
    /// `client_metadata.session_id`.
    pub client_session_id: Option<String>,
    /// `conversation`, or `conversation.id` when it is an object.
    pub conversation: Option<String>,
    /// `previous_response_id`.
    pub previous_response_id: Option<String>,
    /// `user`, else `safety_identifier`: a person, never a session.
    pub user: Option<String>,
}

/// What the first look at a body found. All absent for a body that is no JSON object.
///
/// Where a name occurs twice at the top level the last one counts, as in most parsers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peek {
    /// The model. Absent in Gemini, where the path names it.
    pub model: Option<Located>,
    /// Where a body says again which model its path names: Gemini's embeddings, each request of their batches, and
    /// `generateContentRequest` of `:countTokens`.
    pub model_again: Vec<Located>,
    /// Whether a stream is asked for.
    pub stream: Option<bool>,
    /// Byte range of the value of `stream_options`, whatever it is. Only looked for in OpenAI Chat.
    pub stream_options: Option<Range<usize>>,
    /// `stream_options.include_usage`.
    pub include_usage: Option<bool>,
    /// Where a member may be added. Only set in OpenAI Chat, the one dialect in which the gateway adds one.
    pub object: Option<ObjectStart>,
    /// Whether there is a member `messages`, and one `input`. Only looked for in OpenAI Chat.
    pub turns: ChatTurns,
    /// Whether `max_tokens` is 0: no tokens are wanted, as a client of Anthropic asks that fills a cache.
    pub wants_nothing: bool,
    /// What the body says about its session.
    pub hints: BodyHints,
}

/// Under which names a body at the path of Chat has turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChatTurns {
    /// `messages`, as Chat calls them.
    pub messages: bool,
    /// `input`, as Responses calls them.
    pub input: bool,
}

impl Peek {
    /// Whether a body at the path of Chat is one of Responses. Cursor sends such, and reads chunks of Chat.
    #[must_use]
    pub fn is_responses(&self) -> bool {
        self.turns.input && !self.turns.messages
    }
}

/// Looks at a request body that is not content-coded. One pass, no tree, no recursion; never fails: what cannot be
/// found is absent, and the provider is the one who judges the body.
#[must_use]
pub fn peek(dialect: Dialect, body: &[u8]) -> Peek {
    let mut peek = Peek::default();
    let mut scanner = Scanner::new(body, 0);
    if !scanner.take(b'{') {
        return peek;
    }
    let inside = scanner.position();
    let language = crate::dispatch::language(dialect);
    let splices = language.takes_stream_options();
    if splices {
        peek.object = Some(ObjectStart { inside, empty: scanner.next_byte() == Some(b'}') });
    }
    loop {
        let Some(key) = scanner.string() else { return peek };
        let Some(value) = scanner.take(b':').then(|| scanner.value()).flatten() else { return peek };
        let raw = &body[key.clone()];
        if raw.len() <= VALUE_LIMIT {
            let key = decode_string(raw);
            if language.names_model_in_path() {
                note_again(&mut peek, &key, body, value);
            } else {
                note(&mut peek, splices, &key, body, value);
            }
        }
        if !scanner.take(b',') {
            return peek;
        }
    }
}

fn note(peek: &mut Peek, splices: bool, key: &str, body: &[u8], range: Range<usize>) {
    let raw = &body[range.clone()];
    let hints = &mut peek.hints;
    match key {
        "model" => peek.model = short_text(raw).map(|value| Located { value, range }),
        "stream" => peek.stream = Json::new(raw).and_then(Json::truth),
        "stream_options" if splices => {
            peek.include_usage =
                Json::new(raw).and_then(|options| options.field("include_usage")).and_then(Json::truth);
            peek.stream_options = Some(range);
        }
        "max_tokens" => peek.wants_nothing = Json::new(raw).and_then(Json::count) == Some(0),
        "messages" if splices => peek.turns.messages = true,
        "input" if splices => peek.turns.input = true,
        "prompt_cache_key" => hints.prompt_cache_key = short_text(raw),
        "previous_response_id" => hints.previous_response_id = short_text(raw),
        "conversation" => hints.conversation = short_text(raw).or_else(|| member_text(raw, "id")),
        "client_metadata" => hints.client_session_id = member_text(raw, "session_id"),
        "user" => hints.user = short_text(raw),
        "safety_identifier" if hints.user.is_none() => hints.user = short_text(raw),
        "metadata" => {
            let names = ["session_id", "cursorConversationId", "user_id"];
            let metadata = Json::new(raw).map(|metadata| metadata.fields(names)).unwrap_or_default();
            let [session, cursor, user] = metadata;
            hints.metadata_session_id = session.and_then(|session| short_text(session.bytes()));
            hints.cursor_conversation_id = cursor.and_then(|cursor| short_text(cursor.bytes()));
            hints.metadata_user_id = user.and_then(|user| match user.is_object() {
                true => short(user.bytes()).map(|json| String::from_utf8_lossy(json).into_owned()),
                false => short_text(user.bytes()),
            });
        }
        _ => {}
    }
}

/// Notes where a body repeats the model of its path. Nothing else of such a body is of use before it is decoded.
fn note_again(peek: &mut Peek, key: &str, body: &[u8], range: Range<usize>) {
    let value = Json::at(body, &range);
    let located = |model: Json<'_>| Some(Located { value: short_text(model.bytes())?, range: model.range() });
    match key {
        "model" => peek.model_again.extend(located(value)),
        "generateContentRequest" | "generate_content_request" => {
            peek.model_again.extend(value.field("model").and_then(located));
        }
        "requests" => {
            let models = value.objects(["model"]).filter_map(|(_, [model])| located(model?));
            peek.model_again.extend(models.take(BATCH_LIMIT));
        }
        _ => {}
    }
}

fn short(raw: &[u8]) -> Option<&[u8]> {
    (raw.len() <= VALUE_LIMIT).then_some(raw)
}

fn short_text(raw: &[u8]) -> Option<String> {
    Json::new(short(raw)?)?.text().map(std::borrow::Cow::into_owned)
}

fn member_text(raw: &[u8], name: &str) -> Option<String> {
    short_text(Json::new(raw)?.field(name)?.bytes())
}
