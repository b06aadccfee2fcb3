//! JSON as it is written: numbers and strings by their spelling, names as often as they come.
//!
//! `serde_json::Value` holds neither a name twice, nor `1e400`, nor half a surrogate pair; peers send all of them.

use serde_json::Value;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    /// A literal, spelled out; it need not be JSON.
    Raw(String),
    List(Vec<Tree>),
    Members(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads a document; `None` when it is no JSON.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Value>(text).ok().map(Self::from)
    }

    /// The document's bytes.
    pub(crate) fn written(&self) -> Vec<u8> {
        let mut out = String::new();
        self.write(&mut out);
        out.into_bytes()
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Raw(literal) => out.push_str(literal),
            Self::List(list) => {
                out.push('[');
                for (place, value) in list.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Members(members) => {
                out.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    out.push_str(name);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// How many values there are, this one included.
    pub(crate) fn count(&self) -> usize {
        1 + self.children().map(Tree::count).sum::<usize>()
    }

    /// The value with this number, counted from this one down; this one is 0.
    pub(crate) fn nth(&mut self, number: usize) -> Option<&mut Tree> {
        let Some(mut left) = number.checked_sub(1) else { return Some(self) };
        let children: Box<dyn Iterator<Item = &mut Tree>> = match self {
            Self::Raw(_) => return None,
            Self::List(list) => Box::new(list.iter_mut()),
            Self::Members(members) => Box::new(members.iter_mut().map(|(_, value)| value)),
        };
        for child in children {
            let count = child.count();
            if left < count {
                return child.nth(left);
            }
            left -= count;
        }
        None
    }

    /// Values directly in this one.
    pub(crate) fn children(&self) -> Box<dyn Iterator<Item = &Tree> + '_> {
        match self {
            Self::Raw(_) => Box::new(std::iter::empty()),
            Self::List(list) => Box::new(list.iter()),
            Self::Members(members) => Box::new(members.iter().map(|(_, value)| value)),
        }
    }

    /// How many values are directly in this one.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Raw(_) => 0,
            Self::List(list) => list.len(),
            Self::Members(members) => members.len(),
        }
    }

    /// Takes out the value at this place.
    pub(crate) fn remove(&mut self, place: usize) {
        match self {
            Self::Raw(_) => {}
            Self::List(list) => drop(list.remove(place)),
            Self::Members(members) => drop(members.remove(place)),
        }
    }
}

impl From<Value> for Tree {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                let member =
                    |(name, value): (String, Value)| (Value::from(name).to_string(), Self::from(value));
                Self::Members(members.into_iter().map(member).collect())
            }
            literal => Self::Raw(literal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn a_document_is_written_as_it_was_read_and_its_values_are_counted() {
        let text = r#"{"a":[1,{"b":null}],"c":"\u0001é"}"#;
        let mut tree = Tree::read(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(tree.written()).unwrap(), text);
        assert_eq!(tree.count(), 6);
        let values: Vec<Tree> = (0..6).map(|number| tree.nth(number).unwrap().clone()).collect();
        assert_eq!(values[2], Tree::Raw("1".to_owned()));
        assert_eq!(values[4], Tree::Raw("null".to_owned()));
        assert_eq!(tree.nth(6), None);
        tree.remove(0);
        assert_eq!(tree.written(), r#"{"c":"\u0001é"}"#.as_bytes());
    }
}
