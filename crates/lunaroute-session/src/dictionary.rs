//! What short content is compressed against.

/// Words that most requests have. They are part of what the formats of journal and database mean: other words need formats
/// of their own.
pub(crate) const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");
