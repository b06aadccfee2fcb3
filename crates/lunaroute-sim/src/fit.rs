//! Arguments that fit a tool's JSON Schema.

use serde_json::{Map, Value, json};

/// How deep a schema is followed; below it everything is `null`.
const DEPTH: u32 = 8;

/// A value that the schema accepts, as far as its common keywords say. `words` gives texts.
pub(crate) fn fit(schema: &Value, words: &mut impl Iterator<Item = String>) -> Value {
    Fitting { root: schema, words }.value(schema, DEPTH)
}

struct Fitting<'a, I> {
    root: &'a Value,
    words: &'a mut I,
}

impl<I: Iterator<Item = String>> Fitting<'_, I> {
    fn value(&mut self, schema: &Value, depth: u32) -> Value {
        if depth == 0 {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned();
            return found.map_or(Value::Null, |target| self.value(&target, depth - 1));
        }
        if let Some(fixed) = schema.get("const").or_else(|| first(schema.get("enum"))) {
            return fixed.clone();
        }
        if let Some(chosen) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| first(schema.get(*key))) {
            return self.value(chosen, depth - 1);
        }
        let named = schema.get("type");
        let kind = named.and_then(Value::as_str).or_else(|| first(named).and_then(Value::as_str));
        // OpenAPI's types, as Gemini has them, are in capitals.
        match kind.map(str::to_ascii_lowercase).as_deref() {
            Some("string") => self.text(schema),
            Some("integer") => json!(schema.get("minimum").and_then(Value::as_i64).unwrap_or(3)),
            Some("number") => json!(schema.get("minimum").and_then(Value::as_f64).unwrap_or(1.5)),
            Some("boolean") => json!(true),
            Some("array") => self.list(schema, depth),
            Some("null") => Value::Null,
            Some("object") | None => self.object(schema, depth),
            Some(_) => Value::Null,
        }
    }

    fn text(&mut self, schema: &Value) -> Value {
        match schema.get("format").and_then(Value::as_str) {
            Some("date") => json!("2026-11-21"),
            Some("date-time") => json!("2026-11-21T01:00:00Z"),
            Some("uri") => json!("https://example.com/moon"),
            Some("email") => json!("moon@example.com"),
            Some("uuid") => json!("00000000-0000-7000-8000-000000000001"),
            _ => json!(self.words.next().unwrap_or_else(|| "moon".to_owned())),
        }
    }

    fn list(&mut self, schema: &Value, depth: u32) -> Value {
        let length = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).min(16);
        let item = schema.get("items").cloned().unwrap_or_else(|| json!({"type": "string"}));
        (0..length).map(|_| self.value(&item, depth - 1)).collect()
    }

    /// The required properties; all of them when none is required.
    fn object(&mut self, schema: &Value, depth: u32) -> Value {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return json!({});
        };
        let required: Vec<&str> = match schema.get("required").and_then(Value::as_array) {
            Some(names) if !names.is_empty() => names.iter().filter_map(Value::as_str).collect(),
            _ => properties.keys().map(String::as_str).collect(),
        };
        let filled: Map<String, Value> = properties
            .iter()
            .filter(|(name, _)| required.contains(&name.as_str()))
            .map(|(name, schema)| (name.clone(), self.value(schema, depth - 1)))
            .collect();
        Value::Object(filled)
    }
}

fn first(list: Option<&Value>) -> Option<&Value> {
    list.and_then(Value::as_array).and_then(|values| values.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_fields_enums_and_references_are_respected() {
        let schema = json!({
            "type": "object",
            "required": ["city", "unit", "days", "place"],
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": ["integer", "null"], "minimum": 2},
                "note": {"type": "string"},
                "place": {"$ref": "#/$defs/place"},
            },
            "$defs": {"place": {"type": "object", "properties": {"at": {"anyOf": [{"type": "boolean"}]}}}},
        });
        let mut words = std::iter::repeat("w".to_owned());
        let fitted = json!({"city": "w", "unit": "c", "days": 2, "place": {"at": true}});
        assert_eq!(fit(&schema, &mut words), fitted);
        assert_eq!(fit(&json!({"type": "object"}), &mut words), json!({}));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"type": "object", "properties": {"child": {"$ref": "#"}}});
        let fitted = fit(&schema, &mut std::iter::empty());
        assert!(fitted.to_string().len() < 200, "{fitted}");
    }
}
