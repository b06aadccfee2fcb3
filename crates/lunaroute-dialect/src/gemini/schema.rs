//! Schemas as OpenAPI spells them, in the words of JSON Schema.

use serde_json::{Map, Value, json};

use crate::cross::each_schema;

/// Members of Google's schemas that JSON Schema has not.
const UNKNOWN: [&str; 2] = ["nullable", "propertyOrdering"];

/// Counts that protocol buffers write as strings.
const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// A schema of `parameters` or `responseSchema`: its types are in capitals, and `nullable` stands beside them.
pub(super) fn from_open_api(mut schema: Value) -> Value {
    each_schema(&mut schema, &mut one);
    schema
}

fn one(schema: &mut Map<String, Value>) {
    let nullable = schema.get("nullable") == Some(&Value::Bool(true));
    if let Some(kind) = schema.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase) {
        schema.insert("type".to_owned(), if nullable { json!([kind, "null"]) } else { json!(kind) });
    }
    if nullable && let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    for name in COUNTS {
        if let Some(count) =
            schema.get(name).and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok())
        {
            schema.insert(name.to_owned(), json!(count));
        }
    }
    UNKNOWN.iter().for_each(|name| _ = schema.shift_remove(*name));
}

/// Whether a schema is one of an object that has no members: a function without arguments.
pub(super) fn is_empty_object(schema: &Value) -> bool {
    let has = |name| schema.get(name).and_then(Value::as_object).is_some_and(|members| !members.is_empty());
    let is_object = schema.get("type").is_none_or(|kind| kind == "object");
    let combines = ["anyOf", "oneOf", "allOf", "$ref", "enum"].iter().any(|name| schema.get(*name).is_some());
    is_object && !has("properties") && !has("patternProperties") && !combines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_apis_words_become_json_schemas() {
        let schema = json!({
            "type": "OBJECT", "propertyOrdering": ["type"],
            "properties": {
                "type": {"type": "STRING", "nullable": true, "enum": ["a"]},
                "nullable": {"type": "ARRAY", "minItems": "2", "items": {"type": "INTEGER"}},
            },
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "type": {"type": ["string", "null"], "enum": ["a", null]},
                "nullable": {"type": "array", "minItems": 2, "items": {"type": "integer"}},
            },
        });
        assert_eq!(from_open_api(schema), expected);
        assert!(is_empty_object(&json!({"type": "object", "properties": {}})));
        assert!(!is_empty_object(&expected));
    }
}
