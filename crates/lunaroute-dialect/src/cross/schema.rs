//! JSON Schemas: where schemas stand inside of one, and whether one can be held to strictly.

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

/// Whether OpenAI can hold an answer to the schema: every object names all of its properties as required and allows no
/// others.
pub(crate) fn is_strict(schema: &Value) -> bool {
    let mut strict = schema.is_object();
    each_schema(&mut schema.clone(), &mut |members| {
        if !describes_object(members) {
            return;
        }
        let required = members.get("required").and_then(Value::as_array);
        let is_required = |name: &String| {
            required.is_some_and(|required| required.iter().any(|known| known.as_str() == Some(name)))
        };
        let properties = members.get("properties").and_then(Value::as_object);
        strict &= members.get("additionalProperties") == Some(&Value::Bool(false))
            && properties.is_none_or(|properties| properties.keys().all(is_required));
    });
    strict
}

/// Whether a schema is one of objects.
pub(crate) fn describes_object(members: &Map<String, Value>) -> bool {
    let says = |kind: &Value| {
        kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
    };
    members.contains_key("properties") || members.get("type").is_some_and(says)
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
    fn a_property_may_be_called_like_a_keyword() {
        let mut schema =
            json!({"properties": {"items": {"type": "string"}, "not": {"enum": [{"properties": 1}]}}});
        let mut seen = 0;
        each_schema(&mut schema, &mut |_| seen += 1);
        assert_eq!(seen, 3, "the schema and its two properties; an enum holds values, not schemas");
    }
}
