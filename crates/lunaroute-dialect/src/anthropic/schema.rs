//! Schemas as Anthropic's structured outputs and strict tools take them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::cross::{describes_object, each_schema, every_schema, optional_properties};

/// Keywords that are refused; what they say goes into the description.
const UNSUPPORTED: [&str; 12] = [
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
];

/// What of strict schemas still has room in a request: tools, and in all of their schemas together optional properties and
/// unions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    tools: usize,
    optional: usize,
    unions: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { tools: 20, optional: 24, unions: 16 }
    }
}

impl Room {
    /// Takes the room for the schema of an answer; says whether there was so much.
    pub(super) fn take(&mut self, size: Size) -> bool {
        let left = (self.optional.checked_sub(size.optional), self.unions.checked_sub(size.unions));
        let (Some(optional), Some(unions)) = left else { return false };
        (self.optional, self.unions) = (optional, unions);
        true
    }

    /// The same for a tool's.
    pub(super) fn take_tool(&mut self, size: Size) -> bool {
        let is_taken = self.tools > 0 && self.take(size);
        self.tools -= usize::from(is_taken);
        is_taken
    }
}

/// What the provider counts of a schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    optional: usize,
    unions: usize,
}

/// How large a schema is that the provider can hold answers to; `None` for one that it refuses or that could not be closed
/// without taking away what it allows: recursive ones, references to other documents, `allOf` with references, objects of
/// any members.
pub(super) fn measured(schema: &Value) -> Option<Size> {
    let (mut size, mut references) = (Size::default(), BTreeSet::new());
    let is_taken = every_schema(schema, &mut |members| {
        size.optional += optional_properties(members);
        size.unions += usize::from(is_union(members));
        references.extend(members.get("$ref").and_then(Value::as_str));
        let mut combined = members.get("allOf").and_then(Value::as_array).into_iter().flatten();
        !is_free_form(members) && combined.all(|schema| schema.get("$ref").is_none())
    });
    if !is_taken {
        return None;
    }
    let defined = definitions(schema);
    let is_known = references.into_iter().all(|reference| defined.contains_key(reference));
    (is_known && !has_cycle(&defined)).then_some(size)
}

/// Brings a schema that can be held into the form for that: objects are closed, limits become words. Says whether something
/// became words.
pub(super) fn hold(schema: &mut Value) -> bool {
    let mut changed = false;
    each_schema(schema, &mut |members| {
        changed |= describe(members);
        if describes_object(members) {
            members.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
    });
    changed
}

/// Whether an object may have members that the schema does not name.
fn is_free_form(members: &Map<String, Value>) -> bool {
    match members.get("additionalProperties") {
        Some(Value::Bool(true) | Value::Object(_)) => true,
        _ if members.contains_key("patternProperties") => true,
        Some(Value::Bool(false)) => false,
        _ => describes_object(members) && !members.get("properties").is_some_and(Value::is_object),
    }
}

fn is_union(members: &Map<String, Value>) -> bool {
    let kinds = members.get("type").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.len() > 1)
        || members.contains_key("anyOf")
        || members.contains_key("oneOf")
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

/// What each definition of a schema refers to, by the reference to itself.
fn definitions(schema: &Value) -> BTreeMap<String, BTreeSet<&str>> {
    let mut defined = BTreeMap::new();
    for list in ["$defs", "definitions"] {
        for (name, value) in schema.get(list).and_then(Value::as_object).into_iter().flatten() {
            let mut references = BTreeSet::new();
            every_schema(value, &mut |inner| {
                references.extend(inner.get("$ref").and_then(Value::as_str));
                true
            });
            defined.insert(format!("#/{list}/{name}"), references);
        }
    }
    defined
}

/// Whether following references leads from some definition back to it. Each definition is gone into once, however many
/// lead to it.
fn has_cycle(defined: &BTreeMap<String, BTreeSet<&str>>) -> bool {
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
                    next = references.next().copied();
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
        let mut held = json!({
            "type": "object",
            "properties": {
                "maximum": {"type": "integer", "maximum": 5, "minimum": 1, "description": "how many"},
                "list": {"type": "array", "minItems": 1, "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            },
            "required": ["list"],
        });
        assert_eq!(measured(&held), Some(Size { optional: 2, unions: 0 }));
        assert!(hold(&mut held));
        let property = &held["properties"]["maximum"];
        assert_eq!(*property, json!({"type": "integer", "description": "how many (minimum: 1, maximum: 5)"}));
        assert_eq!(held["additionalProperties"], json!(false));
        assert_eq!(held["properties"]["list"]["items"]["additionalProperties"], json!(false));
        assert_eq!(held["properties"]["list"]["minItems"], json!(1));
    }

    #[test]
    fn what_is_counted_is_counted_over_the_whole_request() {
        let union = |count: usize| Size { optional: 0, unions: count };
        let mut room = Room::default();
        assert!(room.take(union(10)));
        assert!(!room.take_tool(union(7)), "one too many");
        assert!(room.take_tool(union(6)), "what found no room took none");
        assert!(!room.take_tool(union(1)));
        assert!((1..20).all(|_| room.take_tool(Size { optional: 1, unions: 0 })));
        assert!(!room.take_tool(Size::default()), "no more tools");
        let unions = json!({"type": ["string", "null"], "anyOf": [{"type": ["string"]}, {"oneOf": [{"type": "null"}]}]});
        assert_eq!(measured(&unions), Some(union(2)));
    }

    #[test]
    fn a_long_chain_of_definitions_is_walked_once() {
        let link = |place: usize| {
            (format!("d{place}"), json!({"items": {"$ref": format!("#/$defs/d{}", place + 1)}}))
        };
        let mut defined: Map<String, Value> = (0..20_000).map(link).collect();
        defined.insert("d20000".to_owned(), json!({"type": "string"}));
        // From each start anew this would be two hundred million steps.
        assert!(measured(&json!({"$ref": "#/$defs/d0", "$defs": defined})).is_some());
        defined.insert("d20000".to_owned(), json!({"items": {"$ref": "#/$defs/d9"}}));
        assert!(measured(&json!({"$ref": "#/$defs/d0", "$defs": defined})).is_none());
    }

    #[test]
    fn what_cannot_be_held_is_said() {
        let recursive = json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {"items": {"$ref": "#/$defs/a"}},
        }});
        let plain = json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {"type": "string"},
        }});
        assert!(measured(&recursive).is_none());
        let shared = json!({"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {
            "a": {"items": {"$ref": "#/$defs/c"}}, "b": {"items": {"$ref": "#/$defs/c"}}, "c": {"type": "string"},
        }});
        assert!(measured(&shared).is_some(), "two ways to one definition are no way back");
        assert!(measured(&plain).is_some());
        for refused in [
            json!({"$ref": "https://x.test/s"}),
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "string"}}}),
            json!({"properties": {"n": {"$ref": "#/properties/n"}}}),
            json!({"$ref": "#/$defs/a/properties/b", "$defs": {"a": {"properties": {"b": {"$ref": "#/$defs/a/properties/b"}}}}}),
            json!({"$ref": "#/$defs/unknown"}),
            json!({"type": "object"}),
            json!({"type": ["object", "null"]}),
            json!({"properties": {"a": {"type": "string"}}, "additionalProperties": true}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "patternProperties": {"^x": {}}, "additionalProperties": false}),
        ] {
            assert!(measured(&refused).is_none(), "{refused}");
        }
    }
}
