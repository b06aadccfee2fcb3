//! `generationConfig`: how an answer is made.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{
    Conversation, OutputFormat, Reasoning, Rest, Sampling, Summary, Thinking,
};
use serde_json::{Value, json};

use super::schema::from_open_api;
use super::spelling::inner;
use super::thinking;
use crate::cross::Members;

/// How members of the configuration that have no word are named in the conversation's rest.
const PREFIX: &str = "generationConfig.";

pub(super) fn decode(body: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    let Some(mut config) = inner(body, "generationConfig")? else { return Ok(()) };
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
    conversation.format = format(&mut config)?;
    conversation.reasoning = reasoning(&mut config)?;
    // Text is what everybody answers with.
    let text_only = config.peek("responseModalities").and_then(Value::as_array);
    if text_only.is_some_and(|kinds| kinds.iter().all(|kind| kind == "TEXT")) {
        config.value("responseModalities");
    }
    let left = config.rest().into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value));
    conversation.rest.extend(left);
    Ok(())
}

fn stop(config: &mut Members) -> Result<Vec<String>, Failure> {
    let words = config.list("stopSequences")?.unwrap_or_default();
    Ok(words.into_iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect())
}

fn alternatives(config: &mut Members) -> Result<Option<u64>, Failure> {
    if config.peek("responseLogprobs") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    config.value("responseLogprobs");
    Ok(Some(config.count("logprobs")?.unwrap_or_default()))
}

fn format(config: &mut Members) -> Result<Option<OutputFormat>, Failure> {
    let kind = config.text("responseMimeType")?;
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

fn reasoning(config: &mut Members) -> Result<Option<Reasoning>, Failure> {
    let Some(mut told) = inner(config, "thinkingConfig")? else { return Ok(None) };
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
    config.put_back("thinkingConfig", told.rest());
    Ok(Some(Reasoning { effort, thinking, summary }))
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
    if let Some(format) = &conversation.format {
        config.extend(format_members(format));
    }
    if let Some(reasoning) = &conversation.reasoning {
        config.insert("thinkingConfig".to_owned(), Value::Object(thinking::own(reasoning)));
    }
    let mut rest = Rest::new();
    for (name, value) in &conversation.rest {
        match name.strip_prefix(PREFIX) {
            Some(name) => _ = config.insert(name.to_owned(), value.clone()),
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
