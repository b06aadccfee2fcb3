//! Schemas as Anthropic's structured outputs and strict tools take them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::cross::{describes_object, each_schema};

/// Keywords that are refused; what they say goes into the description.
const UNSUPPORTED: [&str; 13] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "contains",
    "patternProperties",
];

/// A schema that the provider can hold answers to, and whether anything in it had to be changed; `None` for one that it
/// refuses: recursive ones, references to other documents, `allOf` with references.
pub(super) fn held(schema: &Value) -> Option<(Value, bool)> {
    let mut schema = schema.clone();
    if is_refused(&mut schema) {
        return None;
    }
    let mut changed = false;
    each_schema(&mut schema, &mut |members| {
        changed |= describe(members);
        if describes_object(members) {
            let before = members.insert("additionalProperties".to_owned(), Value::Bool(false));
            changed |= before.is_some_and(|before| before != Value::Bool(false));
        }
    });
    Some((schema, changed))
}

/// Moves keywords that are refused into the description.
fn describe(members: &mut Map<String, Value>) -> bool {
    let mut told = Vec::new();
    for keyword in UNSUPPORTED {
        if let Some(value) = members.shift_remove(keyword) {
            told.push(format!("{keyword}: {value}"));
        }
    }
    if members.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 1)
        && let Some(least) = members.shift_remove("minItems")
    {
        told.push(format!("minItems: {least}"));
    }
    if told.is_empty() {
        return false;
    }
    let before = members.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{before} ({})", told.join(", ")).trim_start().to_owned();
    members.insert("description".to_owned(), Value::String(description));
    true
}

fn is_refused(schema: &mut Value) -> bool {
    let mut refused = false;
    let mut defined: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    each_schema(schema, &mut |members| {
        refused |= members.get("$ref").and_then(Value::as_str).is_some_and(|to| !to.starts_with("#/"));
        let combined = members.get("allOf").and_then(Value::as_array).into_iter().flatten();
        refused |= combined.into_iter().any(|schema| schema.get("$ref").is_some());
        for list in ["$defs", "definitions"] {
            let Some(Value::Object(named)) = members.get_mut(list) else { continue };
            for (name, value) in named {
                let mut references = BTreeSet::new();
                each_schema(value, &mut |inner| {
                    references.extend(inner.get("$ref").and_then(Value::as_str).map(str::to_owned));
                });
                defined.insert(format!("#/{list}/{name}"), references);
            }
        }
    });
    refused || has_cycle(&defined)
}

/// Whether following references leads from some definition back to it. Each definition is gone into once, however many
/// lead to it.
fn has_cycle(defined: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let mut is_done: BTreeMap<&str, bool> = BTreeMap::new();
    for start in defined.keys() {
        // The way from the start to where the walk stands, each with the references that were not followed yet.
        let mut way = Vec::new();
        let mut next = Some(start.as_str());
        loop {
            match next.take() {
                Some(place) => match is_done.get(place) {
                    Some(true) => {}
                    Some(false) => return true,
                    None => {
                        is_done.insert(place, false);
                        way.push((place, defined.get(place).into_iter().flatten()));
                    }
                },
                None => {
                    let Some((place, references)) = way.last_mut() else { break };
                    next = references.next().map(String::as_str);
                    if next.is_none() {
                        is_done.insert(*place, true);
                        way.pop();
                    }
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_become_words_and_objects_are_closed() {
        let schema = json!({
            "type": "object",
            "properties": {
                "maximum": {"type": "integer", "maximum": 5, "minimum": 1, "description": "how many"},
                "list": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": true}},
            },
        });
        let (held, changed) = held(&schema).expect("it can be held");
        assert!(changed);
        let property = &held["properties"]["maximum"];
        assert_eq!(*property, json!({"type": "integer", "description": "how many (minimum: 1, maximum: 5)"}));
        assert_eq!(held["additionalProperties"], json!(false));
        assert_eq!(held["properties"]["list"]["items"]["additionalProperties"], json!(false));
        assert_eq!(held["properties"]["list"]["minItems"], json!(1));
    }

    #[test]
    fn a_long_chain_of_definitions_is_walked_once() {
        let link = |place: usize| {
            (format!("d{place}"), json!({"items": {"$ref": format!("#/$defs/d{}", place + 1)}}))
        };
        let mut defined: Map<String, Value> = (0..20_000).map(link).collect();
        defined.insert("d20000".to_owned(), json!({"type": "string"}));
        // From each start anew this would be two hundred million steps.
        assert!(held(&json!({"$ref": "#/$defs/d0", "$defs": defined})).is_some());
        defined.insert("d20000".to_owned(), json!({"items": {"$ref": "#/$defs/d9"}}));
        assert!(held(&json!({"$ref": "#/$defs/d0", "$defs": defined})).is_none());
    }

    #[test]
    fn what_cannot_be_held_is_said() {
        let recursive = json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {"items": {"$ref": "#/$defs/a"}},
        }});
        let plain = json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {"type": "string"},
        }});
        assert!(held(&recursive).is_none());
        let shared = json!({"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {
            "a": {"items": {"$ref": "#/$defs/c"}}, "b": {"items": {"$ref": "#/$defs/c"}}, "c": {"type": "string"},
        }});
        assert!(held(&shared).is_some(), "two ways to one definition are no way back");
        assert!(held(&plain).is_some());
        for refused in [
            json!({"$ref": "https://x.test/s"}),
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#/$defs/a"}]}),
        ] {
            assert!(held(&refused).is_none(), "{refused}");
        }
    }
}
