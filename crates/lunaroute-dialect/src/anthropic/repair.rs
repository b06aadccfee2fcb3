//! What is put right in a request of this dialect for a model that a rule gives it and that its client does not know.

use lunaroute_core::conversation::{ModelFacts, Sent};

use crate::cross::effort_of;
use crate::json::Json;
use crate::splice::Edit;

/// Thinking by a budget of tokens, for a model that is told by an effort alone and would refuse the request: the budget
/// goes, and the effort that it stands for comes, unless the client names one.
pub(super) fn edits(body: Json<'_>, facts: &ModelFacts) -> Vec<Edit> {
    let by_budget = |thinking: &Json<'_>| {
        facts.thinking == Sent::Adaptive && thinking.text_of("type").as_deref() == Some("enabled")
    };
    let Some(thinking) = body.field("thinking").filter(by_budget) else { return Vec::new() };
    let mut adaptive = br#"{"type":"adaptive""#.to_vec();
    for (name, value) in thinking.members().filter(|(name, _)| name != "type" && name != "budget_tokens") {
        adaptive.extend_from_slice(format!(",{}:", serde_json::Value::from(name.as_ref())).as_bytes());
        adaptive.extend_from_slice(value.bytes());
    }
    adaptive.push(b'}');
    let mut edits = vec![Edit { range: thinking.range(), bytes: adaptive }];
    if let Some(budget) = thinking.count_of("budget_tokens") {
        let (least, most) = facts.effort;
        let effort = effort_of(budget).clamp(least.min(most), most);
        edits.extend(effort_edit(body, &format!(r#""effort":"{}""#, effort.as_str())));
    }
    edits
}

/// Puts the effort into `output_config`, which is made where it is missing. Nothing where there is an effort already.
fn effort_edit(body: Json<'_>, member: &str) -> Option<Edit> {
    let inside = |object: Json<'_>| object.range().start + 1;
    match body.members().filter(|(name, _)| name == "output_config").last() {
        // The object is not empty: it says how to think.
        None => Some(insertion(inside(body), format!(r#""output_config":{{{member}}},"#))),
        Some((_, config)) if config.is_null() => {
            Some(Edit { range: config.range(), bytes: format!("{{{member}}}").into_bytes() })
        }
        Some((_, config)) if config.is_object() && config.field("effort").is_none() => {
            let comma = if config.members().next().is_none() { "" } else { "," };
            Some(insertion(inside(config), format!("{member}{comma}")))
        }
        Some(_) => None,
    }
}

fn insertion(place: usize, text: String) -> Edit {
    Edit { range: place..place, bytes: text.into_bytes() }
}
