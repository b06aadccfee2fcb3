//! Names of members: Google's servers take each in camel case and in snake case, and clients send both.

use lunaroute_core::conversation::Rest;
use lunaroute_core::{Failure, FailureKind};
use serde_json::Value;

use crate::cross::Members;

/// The members of an object of the protocol, their names in camel case. What stands deeper keeps its spelling: it may be
/// the caller's own data.
pub(super) fn members(value: Value, path: String) -> Result<Members, Failure> {
    Members::of(camel(value, &path)?, path)
}

/// The members of an object inside of another one.
pub(super) fn inner(outer: &mut Members, name: &str) -> Result<Option<Members>, Failure> {
    let path = outer.path(name);
    outer.value(name).map(|value| members(value, path)).transpose()
}

/// An object with the names of its members in camel case; any other value as it is.
///
/// # Errors
/// `bad_request` when a member is there in both spellings: Google's servers refuse that too, and nobody could tell which one
/// is meant.
pub(super) fn camel(value: Value, path: &str) -> Result<Value, Failure> {
    let members = match value {
        Value::Object(members) if members.keys().any(|name| name.contains('_')) => members,
        value => return Ok(value),
    };
    let mut renamed = Rest::with_capacity(members.len());
    for (name, value) in members {
        let name = camel_name(&name);
        if renamed.contains_key(&name) {
            let message = format!("'{name}' is there twice in '{path}', in two spellings; leave one out");
            return Err(Failure::client(FailureKind::BadRequest, message));
        }
        renamed.insert(name, value);
    }
    Ok(Value::Object(renamed))
}

fn camel_name(name: &str) -> String {
    let mut pieces = name.split('_');
    let mut camel = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let mut letters = piece.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_the_protocol_are_made_one_and_data_is_left_alone() {
        let spelled = camel(json!({"function_call": {"args": {"a_b": 1}}, "thoughtSignature": "x"}), "p");
        let expected = json!({"functionCall": {"args": {"a_b": 1}}, "thoughtSignature": "x"});
        assert_eq!(spelled.expect("each name once"), expected);
        let twice = camel(json!({"function_call": 1, "functionCall": 2}), "p").expect_err("which one?");
        assert!(twice.message.contains("'functionCall'"), "{twice}");
        assert_eq!(camel_name("parameters_json_schema"), "parametersJsonSchema");
    }
}
