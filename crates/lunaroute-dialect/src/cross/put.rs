//! JSON into the bytes of an answer.

use serde::Serialize;

/// Appends a value as JSON.
pub(crate) fn put(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("what is said here is JSON, and memory never fails to write");
}
