//! `generationConfig`: how an answer is made.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{
    Conversation, OutputFormat, Reasoning, Rest, Sampling, Summary, Thinking,
};
use serde_json::{Value, json};

use super::schema::from_open_api;
use super::spelling::inner;
use super::thinking;
use crate::cross::{Members, merge, wrong};

/// The configuration in the conversation's rest: what of it was understood and has another form of its own.
const NAME: &str = "generationConfig";

/// How members of the configuration that have no word are named there.
pub(super) const PREFIX: &str = "generationConfig.";

pub(super) fn decode(body: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    let Some(mut config) = inner(body, NAME)? else { return Ok(()) };
    let mut kept = Rest::new();
    conversation.max_output = config.count("maxOutputTokens")?;
    conversation.sampling = Sampling {
        temperature: config.number("temperature")?,
        top_p: config.number("topP")?,
        top_k: config.number("topK")?,
        frequency_penalty: config.number("frequencyPenalty")?,
        presence_penalty: config.number("presencePenalty")?,
        seed: config.number("seed")?,
        stop: stop(&mut config)?,
        candidates: config.count("candidateCount")?,
        alternatives: alternatives(&mut config)?,
    };
    conversation.format = format(&mut config, &mut kept)?;
    conversation.reasoning = reasoning(&mut config, &mut kept)?;
    // Text is what everybody answers with.
    let text_only = config.peek("responseModalities").and_then(Value::as_array);
    if text_only.is_some_and(|kinds| kinds.iter().all(|kind| kind == "TEXT")) {
        kept.extend(config.value("responseModalities").map(|kinds| ("responseModalities".to_owned(), kinds)));
    }
    conversation.rest.insert(NAME.to_owned(), Value::Object(kept));
    let left = config.rest().into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value));
    conversation.rest.extend(left);
    Ok(())
}

fn stop(config: &mut Members) -> Result<Vec<String>, Failure> {
    let words = config.list("stopSequences")?.unwrap_or_default();
    let words = words.into_iter().map(|word| match word {
        Value::String(word) => Ok(word),
        _ => Err(wrong(&config.path("stopSequences"), "a list of strings")),
    });
    words.collect()
}

fn alternatives(config: &mut Members) -> Result<Option<u64>, Failure> {
    if config.peek("responseLogprobs") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    config.value("responseLogprobs");
    // None are left where they are: it is not the same as none said.
    let is_zero = config.peek("logprobs").and_then(Value::as_u64) == Some(0);
    Ok(Some(if is_zero { 0 } else { config.count("logprobs")?.unwrap_or_default() }))
}

/// The form of an answer. One that is told in other members than those that this dialect's encoder writes is kept in them.
fn format(config: &mut Members, kept: &mut Rest) -> Result<Option<OutputFormat>, Failure> {
    const MEMBERS: [&str; 3] = ["responseMimeType", "responseSchema", "responseJsonSchema"];
    let told = MEMBERS.map(|name| config.peek(name).is_some());
    let kind = config.text("responseMimeType")?;
    let is_plain =
        matches!((kind.as_deref(), told), (Some("application/json"), [_, false, _]) | (_, [_, false, false]));
    if !is_plain {
        let kind = kind.clone().map(Value::String);
        let schemas = [config.peek(MEMBERS[1]).cloned(), config.peek(MEMBERS[2]).cloned()];
        let values = std::iter::once(kind).chain(schemas);
        kept.extend(
            MEMBERS.into_iter().zip(values).filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
    }
    let open = config.value("responseSchema").map(from_open_api);
    let schema = config.value("responseJsonSchema").or(open);
    let held = |schema| OutputFormat::JsonSchema { name: None, description: None, schema, strict: None };
    Ok(match (kind.as_deref(), schema) {
        (None, None) => None,
        (Some("text/plain"), None) => Some(OutputFormat::Text),
        (Some("application/json"), None) => Some(OutputFormat::JsonObject),
        // `text/x.enum` is a bare word of the schema's list: as JSON it is that word in quotes.
        (_, Some(schema)) => Some(held(schema)),
        (Some(kind), None) => {
            config.restore("responseMimeType", json!(kind));
            None
        }
    })
}

fn reasoning(config: &mut Members, kept: &mut Rest) -> Result<Option<Reasoning>, Failure> {
    let Some(mut told) = inner(config, "thinkingConfig")? else { return Ok(None) };
    let as_it_is = told.clone().rest();
    let summary =
        told.flag("includeThoughts")?.map(|shown| if shown { Summary::Auto } else { Summary::Omitted });
    let effort = thinking::effort_of_level(told.word("thinkingLevel"));
    if effort.is_some() {
        told.value("thinkingLevel");
    }
    let budget = told.peek("thinkingBudget").and_then(Value::as_i64);
    let thinking = budget.map(|budget| match u64::try_from(budget) {
        Ok(0) => Thinking::Disabled,
        Ok(budget) => Thinking::Budget(budget),
        Err(_negative) => Thinking::Adaptive,
    });
    if thinking.is_some() {
        told.value("thinkingBudget");
    }
    let left = told.rest();
    let reasoning = Reasoning { effort, thinking, summary };
    let mut again = thinking::own(&reasoning);
    again.extend(left.clone());
    // Levels in small letters, any budget below zero: what would be spelled in another way stays in its own.
    if again != as_it_is {
        kept.insert("thinkingConfig".to_owned(), Value::Object(as_it_is));
    }
    config.put_back("thinkingConfig", left);
    Ok(Some(reasoning))
}

/// The configuration of a request that was decoded from this dialect, and the rest of its body.
pub(super) fn own(conversation: &Conversation) -> (Rest, Rest) {
    let mut config = sampling(&conversation.sampling);
    if let Some(most) = conversation.max_output {
        config.insert("maxOutputTokens".to_owned(), json!(most));
    }
    if let Some(candidates) = conversation.sampling.candidates {
        config.insert("candidateCount".to_owned(), json!(candidates));
    }
    let kept = conversation.rest.get(NAME).and_then(Value::as_object);
    let is_kept = ["responseSchema", "responseJsonSchema"]
        .iter()
        .any(|name| kept.is_some_and(|kept| kept.contains_key(*name)));
    if let Some(format) = conversation.format.as_ref().filter(|_| !is_kept) {
        config.extend(format_members(format));
    }
    if let Some(reasoning) = &conversation.reasoning {
        config.insert("thinkingConfig".to_owned(), Value::Object(thinking::own(reasoning)));
    }
    let mut rest = Rest::new();
    for (name, value) in &conversation.rest {
        match name.strip_prefix(PREFIX) {
            Some(name) => merge(&mut config, &Rest::from_iter([(name.to_owned(), value.clone())])),
            None => _ = rest.insert(name.clone(), value.clone()),
        }
    }
    (config, rest)
}

/// The members that say how tokens are chosen and what ends an answer.
pub(super) fn sampling(sampling: &Sampling) -> Rest {
    let mut config = Rest::new();
    let numbers = [
        ("temperature", &sampling.temperature),
        ("topP", &sampling.top_p),
        ("topK", &sampling.top_k),
        ("frequencyPenalty", &sampling.frequency_penalty),
        ("presencePenalty", &sampling.presence_penalty),
        ("seed", &sampling.seed),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            config.insert(name.to_owned(), Value::Number(number.clone()));
        }
    }
    if !sampling.stop.is_empty() {
        config.insert("stopSequences".to_owned(), json!(sampling.stop));
    }
    if let Some(alternatives) = sampling.alternatives {
        config.insert("responseLogprobs".to_owned(), json!(true));
        if alternatives > 0 {
            config.insert("logprobs".to_owned(), json!(alternatives));
        }
    }
    config
}

/// The members that say the form of an answer.
pub(super) fn format_members(format: &OutputFormat) -> Rest {
    let mut config = Rest::new();
    let kind = if *format == OutputFormat::Text { "text/plain" } else { "application/json" };
    config.insert("responseMimeType".to_owned(), json!(kind));
    if let OutputFormat::JsonSchema { schema, .. } = format {
        config.insert("responseJsonSchema".to_owned(), schema.clone());
    }
    config
}
