//! The members of a JSON object as they are read one by one; what nobody asks for is left over.

use lunaroute_core::conversation::Rest;
use lunaroute_core::{Failure, FailureKind};
use serde_json::{Number, Value};

/// An object that is read. A member that is `null` counts as absent and stays where it is.
#[derive(Clone)]
pub(crate) struct Members {
    rest: Rest,
    path: String,
}

impl Members {
    /// The members of the body itself.
    pub(crate) fn of_body(body: Rest) -> Self {
        Self { rest: body, path: String::new() }
    }

    /// The members of an object at this path.
    ///
    /// # Errors
    /// `bad_request` when the value is none.
    pub(crate) fn of(value: Value, path: String) -> Result<Self, Failure> {
        match value {
            Value::Object(rest) => Ok(Self { rest, path }),
            _ => Err(wrong(&path, "an object")),
        }
    }

    /// What was not asked for.
    pub(crate) fn rest(self) -> Rest {
        self.rest
    }

    /// The object's own path.
    pub(crate) fn place(&self) -> &str {
        &self.path
    }

    /// The path of a member, for errors and warnings.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A member without taking it.
    pub(crate) fn peek(&self, name: &str) -> Option<&Value> {
        self.rest.get(name).filter(|value| !value.is_null())
    }

    /// The text of a member without taking it; empty when it is none.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.peek(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A member, whatever it is.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        self.peek(name)?;
        self.rest.shift_remove(name)
    }

    /// A member that has to be a string.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(&self.path(name), "a string")),
        }
    }

    /// A member that has to be a string; an empty one stays where it is, and counts as none.
    pub(crate) fn name(&mut self, name: &str) -> Result<String, Failure> {
        if self.peek(name).and_then(Value::as_str) == Some("") {
            return Ok(String::new());
        }
        Ok(self.text(name)?.unwrap_or_default())
    }

    /// A string without which the object makes no sense.
    pub(crate) fn required(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            Failure::client(
                FailureKind::BadRequest,
                format!("'{}' is missing or empty; it has to be a string", self.path(name)),
            )
        })
    }

    /// A member that has to be a number that is not negative and whole.
    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>, Failure> {
        let count = self.peek_count(name)?;
        self.value(name);
        Ok(count)
    }

    /// The same without taking it.
    pub(crate) fn peek_count(&self, name: &str) -> Result<Option<u64>, Failure> {
        let wanted = || wrong(&self.path(name), "a whole number from 0");
        self.peek(name).map(|value| value.as_u64().ok_or_else(wanted)).transpose()
    }

    /// A member that has to be a number.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<Number>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(wrong(&self.path(name), "a number")),
        }
    }

    /// A member that has to be `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(&self.path(name), "true or false")),
        }
    }

    /// A member that has to be an array. An empty one stays where it is: it is not the same as none.
    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Failure> {
        if self.peek(name).and_then(Value::as_array).is_some_and(Vec::is_empty) {
            return Ok(Some(Vec::new()));
        }
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(wrong(&self.path(name), "an array")),
        }
    }

    /// A member that has to be an object. An empty one stays where it is, and counts as none.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, Failure> {
        if self.peek(name).and_then(Value::as_object).is_some_and(Rest::is_empty) {
            return Ok(None);
        }
        let path = self.path(name);
        self.value(name).map(|value| Self::of(value, path)).transpose()
    }

    /// Puts back what is left of a member that was taken apart; nothing when nothing is left.
    pub(crate) fn put_back(&mut self, name: &str, left: Rest) {
        if !left.is_empty() {
            self.rest.insert(name.to_owned(), Value::Object(left));
        }
    }

    /// Puts a member back as it was.
    pub(crate) fn restore(&mut self, name: &str, value: Value) {
        self.rest.insert(name.to_owned(), value);
    }
}

/// Says that a member has to be something else.
pub(crate) fn wrong(path: &str, wanted: &str) -> Failure {
    Failure::client(FailureKind::BadRequest, format!("'{path}' has to be {wanted}"))
}

/// An object of these members. Other than `json!` it takes what is in them without a copy.
pub(crate) fn object_of<const N: usize>(members: [(&str, Value); N]) -> Value {
    let mut object = Rest::with_capacity(N);
    for (name, value) in members {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

/// Lays members over an object: objects on both sides become one, anything else of `over` stands.
pub(crate) fn merge(object: &mut Rest, over: &Rest) {
    for (name, value) in over {
        match (object.get_mut(name), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            _ => _ = object.insert(name.clone(), value.clone()),
        }
    }
}
