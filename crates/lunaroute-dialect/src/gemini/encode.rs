//! Encodes a request of `generateContent`. The model and the wish for a stream are the path's to say.

use lunaroute_core::conversation::{Conversation, OutputFormat, Rest, Speaker, Tier, ToolChoice};
use lunaroute_core::{Dialect, Failure};
use serde_json::{Value, json};

use super::decode::ASKED;
use super::turns::{Contents, contents, own_content};
use super::{config, thinking, tools};
use crate::cross::{Crossing, leave_behind, merge, object_of, one_answer, refuse_lost_tools, settled};

/// Most stop sequences of a request.
const STOP_SEQUENCES: usize = 5;

pub(super) fn encode(conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    if conversation.origin == Dialect::Gemini {
        Ok(same(&conversation))
    } else {
        foreign(conversation, crossing)
    }
}

/// A request that was decoded from this dialect, as it was.
fn same(conversation: &Conversation) -> Value {
    let mut body = Rest::new();
    let (system, said): (Vec<_>, Vec<_>) =
        conversation.turns.iter().partition(|turn| turn.speaker == Speaker::System);
    if let Some(system) = system.first() {
        body.insert("systemInstruction".to_owned(), own_content(system));
    }
    if !said.is_empty() {
        body.insert("contents".to_owned(), said.into_iter().map(own_content).collect());
    }
    let (config, mut rest) = config::own(conversation);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    if let Some(own) = rest.shift_remove("tools") {
        body.insert("tools".to_owned(), tools::own(conversation, own));
    }
    // It stands there whole.
    rest.retain(|name, _| !name.starts_with(tools::CHOICE_PREFIX));
    let asked = rest.shift_remove(ASKED);
    merge(&mut body, &rest);
    match asked {
        Some(Value::Object(mut question)) => {
            question.insert(ASKED.to_owned(), Value::Object(body));
            Value::Object(question)
        }
        _ => Value::Object(body),
    }
}

/// A request of another dialect.
fn foreign(mut conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    leave_behind(&conversation, crossing)?;
    one_answer(&conversation)?;
    let tools = tools::foreign(&mut conversation, crossing)?;
    refuse_lost_tools(&conversation, !tools.is_empty(), crossing)?;
    let seed = crossing.asked.seed.clone();
    let mut settled = settled(&mut conversation, &seed, &mut crossing.warnings);
    let Contents { system, contents } = contents(&mut settled, crossing)?;
    let mut body = Rest::new();
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), object_of([("parts", Value::Array(system))]));
    }
    body.insert("contents".to_owned(), Value::Array(contents));
    let has_functions = tools.iter().any(tools::holds_functions);
    // A choice is among functions alone: that none of the provider's own tools be used is told by leaving them out.
    let is_used = has_functions || conversation.tool_choice != Some(ToolChoice::None);
    let has_tools = is_used && !tools.is_empty();
    if has_tools {
        body.insert("tools".to_owned(), Value::Array(tools));
        if let Some(choice) = tools::foreign_choice(&conversation, has_functions, crossing) {
            body.insert("toolConfig".to_owned(), choice);
        }
    }
    let config = foreign_config(&conversation, has_tools, crossing);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    let unknown = [
        ("verbosity", conversation.verbosity.is_some()),
        ("user", conversation.end_user.is_some()),
        ("service_tier", !matches!(conversation.tier, None | Some(Tier::Auto | Tier::Standard))),
    ];
    for (name, _) in unknown.into_iter().filter(|(_, is_there)| *is_there) {
        crossing.warnings.dropped(name, "the provider that serves this model has no such field");
    }
    Ok(Value::Object(body))
}

fn foreign_config(conversation: &Conversation, has_tools: bool, crossing: &mut Crossing<'_>) -> Rest {
    let mut sampling = conversation.sampling.clone();
    if !crossing.facts.sampling.is_yes() {
        (sampling.temperature, sampling.top_p, sampling.top_k) = (None, None, None);
    }
    if !crossing.facts.stop.is_yes() && !sampling.stop.is_empty() {
        crossing.warnings.dropped("stop", "the model takes no stop sequences");
        sampling.stop.clear();
    }
    if sampling.stop.len() > STOP_SEQUENCES {
        crossing.warnings.dropped("stop", "only the first five stop sequences were sent");
        sampling.stop.truncate(STOP_SEQUENCES);
    }
    crossing.lose_likelihoods(&sampling);
    sampling.alternatives = None;
    let mut config = config::sampling(&sampling);
    if let Some(asked) = conversation.max_output {
        config.insert("maxOutputTokens".to_owned(), json!(crossing.output_limit(asked)));
    }
    match &conversation.format {
        None | Some(OutputFormat::Text) => {}
        Some(_) if has_tools && !crossing.facts.json_with_tools.is_yes() => {
            crossing
                .warnings
                .dropped("response_format", "the model refuses a form of its answer beside tools");
        }
        Some(OutputFormat::JsonSchema { .. }) if !crossing.facts.json_schema.is_yes() => {
            crossing.warnings.dropped("response_format.schema", "the model answers in JSON of no schema");
            config.extend(config::format_members(&OutputFormat::JsonObject));
        }
        Some(format) => config.extend(config::format_members(format)),
    }
    if let Some(reasoning) = &conversation.reasoning {
        let told = thinking::foreign(reasoning, crossing);
        if !told.is_empty() {
            config.insert("thinkingConfig".to_owned(), Value::Object(told));
        }
    }
    config
}
