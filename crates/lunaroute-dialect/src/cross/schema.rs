//! JSON Schemas: where schemas stand inside of one, and whether one can be held to strictly.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Keywords whose members are schemas by name. A property may have the name of any keyword.
const NAMED: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Keywords whose elements are schemas.
const LISTED: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Keywords that are a schema, or a truth value.
const SINGLE: [&str; 9] = [
    "items",
    "additionalProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedProperties",
];

/// Visits a schema and all schemas inside of it, the outer ones first.
pub(crate) fn each_schema(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Value::Object(members) = schema else { return };
    visit(members);
    for (name, value) in members {
        match value {
            Value::Object(named) if NAMED.contains(&name.as_str()) => {
                named.values_mut().for_each(|schema| each_schema(schema, visit));
            }
            Value::Array(listed) if LISTED.contains(&name.as_str()) || name == "items" => {
                listed.iter_mut().for_each(|schema| each_schema(schema, visit));
            }
            Value::Object(_) if SINGLE.contains(&name.as_str()) => each_schema(value, visit),
            _ => {}
        }
    }
}

/// Whether `holds` says yes to a schema and to all schemas inside of it, the outer ones first. The first no ends the visit.
pub(crate) fn every_schema<'schema>(
    schema: &'schema Value,
    holds: &mut dyn FnMut(&'schema Map<String, Value>) -> bool,
) -> bool {
    let Value::Object(members) = schema else { return true };
    holds(members)
        && members.iter().all(|(name, value)| match value {
            Value::Object(named) if NAMED.contains(&name.as_str()) => {
                named.values().all(|schema| every_schema(schema, holds))
            }
            Value::Array(listed) if LISTED.contains(&name.as_str()) || name == "items" => {
                listed.iter().all(|schema| every_schema(schema, holds))
            }
            Value::Object(_) if SINGLE.contains(&name.as_str()) => every_schema(value, holds),
            _ => true,
        })
}

/// Keywords of which every schema has one that OpenAI is to hold an answer to.
const TELLING: [&str; 5] = ["type", "enum", "const", "anyOf", "$ref"];

/// Keywords that OpenAI refuses in such schemas, as its guide to structured outputs lists them.
const UNHELD: [&str; 18] = [
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "minProperties",
    "maxProperties",
    "unevaluatedItems",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
];

/// Whether OpenAI can hold an answer to the schema: it is of an object, and in words that OpenAI knows; every object in it
/// names all of its properties as required and allows no others.
pub(crate) fn is_strict(schema: &Value) -> bool {
    let is_object = schema.get("type").is_some_and(|kind| kind == "object");
    is_object && schema.get("anyOf").is_none() && every_schema(schema, &mut can_be_held)
}

fn can_be_held(members: &Map<String, Value>) -> bool {
    let tells = TELLING.iter().any(|keyword| members.get(*keyword).is_some_and(|value| !value.is_null()));
    if !tells || UNHELD.iter().any(|keyword| members.contains_key(*keyword)) {
        return false;
    }
    // Truth values are schemas, too, but they say nothing of what is there.
    let is_named = |list: &str| {
        members.get(list).is_none_or(|inside| match inside {
            Value::Object(named) => named.values().all(Value::is_object),
            Value::Array(listed) => listed.iter().all(Value::is_object),
            _ => false,
        })
    };
    let items = members.get("items");
    let has_items = items.map_or_else(|| !is_of(members, "array"), Value::is_object);
    let is_closed = || members.get("additionalProperties") == Some(&Value::Bool(false));
    has_items
        && ["properties", "anyOf"].into_iter().all(is_named)
        && (!describes_object(members) || is_closed() && optional_properties(members) == 0)
}

/// How many of an object's properties need not be there.
pub(crate) fn optional_properties(members: &Map<String, Value>) -> usize {
    let Some(properties) = members.get("properties").and_then(Value::as_object) else { return 0 };
    let required = members.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: HashSet<&str> = required.filter_map(Value::as_str).collect();
    properties.keys().filter(|name| !required.contains(name.as_str())).count()
}

/// Whether a schema is one of objects.
pub(crate) fn describes_object(members: &Map<String, Value>) -> bool {
    members.contains_key("properties") || is_of(members, "object")
}

/// Whether a schema's type is this one, or may be.
fn is_of(members: &Map<String, Value>, kind: &str) -> bool {
    members.get("type").is_some_and(|kinds| {
        kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.iter().any(|known| known == kind))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strict_means_closed_and_complete_at_every_depth() {
        let inner = |inner: Value| {
            json!({
                "type": "object", "additionalProperties": false, "required": ["properties"],
                "properties": {"properties": {"type": "array", "items": inner}},
            })
        };
        let closed = json!({"type": "object", "additionalProperties": false, "properties": {}});
        assert!(is_strict(&closed));
        assert!(is_strict(&inner(closed)));
        assert!(!is_strict(&inner(json!({"type": ["object", "null"]}))), "an open object inside");
        let optional =
            json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}});
        assert!(!is_strict(&optional), "an optional property");
        assert!(!is_strict(&json!(true)), "no schema of an object");
    }

    #[test]
    fn strict_schemas_say_what_they_are_of_in_words_that_are_known() {
        let with = |property: Value| json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {"a": property}});
        for known in [
            json!({"enum": ["x", 1]}),
            json!({"const": 1}),
            json!({"type": ["string", "null"], "format": "date"}),
            json!({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/x"}]}),
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        ] {
            assert!(is_strict(&with(known.clone())), "{known}");
        }
        for unknown in [
            json!({}),
            json!({"description": "anything"}),
            json!(true),
            json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"type": "string", "not": {"const": "x"}}),
            json!({"type": "array"}),
            json!({"type": "array", "items": true}),
            json!({"anyOf": [true]}),
            json!({"type": "object", "additionalProperties": false, "patternProperties": {"^x": {"type": "string"}}}),
        ] {
            assert!(!is_strict(&with(unknown.clone())), "{unknown}");
        }
        for root in [json!({}), json!({"type": "array", "items": {"type": "string"}}), json!({"enum": [{}]})]
        {
            assert!(!is_strict(&root), "{root}");
        }
    }

    #[test]
    fn as_many_properties_as_a_body_holds_are_looked_at_once() {
        let names: Vec<String> = (0..100_000).map(|number| format!("p{number}")).collect();
        let string = |name: &String| (name.clone(), json!({"type": "string"}));
        let properties: Map<String, Value> = names.iter().map(string).collect();
        let required: Vec<&String> = names.iter().rev().collect();
        // To look through the list for each of them would be five billion steps.
        assert!(is_strict(&json!({
            "type": "object", "additionalProperties": false, "properties": properties, "required": required,
        })));
    }

    #[test]
    fn a_property_may_be_called_like_a_keyword() {
        let mut schema =
            json!({"properties": {"items": {"type": "string"}, "not": {"enum": [{"properties": 1}]}}});
        let mut seen = 0;
        each_schema(&mut schema, &mut |_| seen += 1);
        assert_eq!(seen, 3, "the schema and its two properties; an enum holds values, not schemas");
    }
}
