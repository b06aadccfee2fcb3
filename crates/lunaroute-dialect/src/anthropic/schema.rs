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
    refused || defined.keys().any(|start| reaches_itself(start, &defined))
}

/// Whether following references from a definition leads back to it.
fn reaches_itself(start: &str, defined: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(place) = next.pop() {
        for reference in defined.get(place).into_iter().flatten() {
            if reference == start {
                return true;
            }
            if seen.insert(reference.as_str()) {
                next.push(reference);
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
    fn what_cannot_be_held_is_said() {
        let recursive = json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {"items": {"$ref": "#/$defs/a"}},
        }});
        let plain = json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {"type": "string"},
        }});
        assert!(held(&recursive).is_none());
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
