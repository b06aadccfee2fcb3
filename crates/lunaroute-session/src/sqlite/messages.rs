//! The history that a request carries, by reference: whole groups of messages that earlier requests carried too, and the
//! messages after the last group one by one.

use blake3::Hash;
use lunaroute_core::Role;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::cut::{Cut, GROUP};
use super::failure::StepError;
use super::table::{Fields, MESSAGE_GROUPS, MESSAGES, hash, text};

/// The id of a group: a hash over the roles and hashes of its messages.
pub(crate) fn group_id<'message>(
    messages: impl IntoIterator<Item = (&'message str, &'message [u8])>,
) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for (role, message) in messages {
        hasher.update(&(role.len() as u64).to_le_bytes());
        hasher.update(role.as_bytes());
        hasher.update(message);
    }
    hasher.finalize()
}

fn id_of(messages: &[(Role, Hash)]) -> Hash {
    group_id(messages.iter().map(|(role, message)| (role.as_str(), message.as_bytes().as_slice())))
}

/// The rows of a request's history.
pub(crate) fn rows(cut: &Cut, request: &str) -> Vec<Fields> {
    let row = |ordinal: usize, role: Option<Role>, group: Option<Hash>, content: Hash| {
        vec![
            ("request_id", text(Some(request))),
            ("ordinal", Value::Integer(i64::try_from(ordinal).unwrap_or(i64::MAX))),
            ("role", text(role.map(Role::as_str))),
            ("group_id", hash(group)),
            ("blob_hash", hash(Some(content))),
        ]
    };
    let mut rows = Vec::new();
    for (number, messages) in cut.messages.chunks(GROUP).enumerate() {
        let first = number * GROUP;
        match cut.groups.get(number) {
            Some(content) => rows.push(row(first, None, Some(id_of(messages)), *content)),
            None => rows.extend(
                (first..)
                    .zip(messages)
                    .map(|(ordinal, (role, message))| row(ordinal, Some(*role), None, *message)),
            ),
        }
    }
    rows
}

/// Writes the rows of a request's history, and the groups that were not carried before.
pub(crate) fn write(connection: &Connection, cut: &Cut, request: &str) -> Result<(), StepError> {
    for messages in cut.messages.chunks_exact(GROUP) {
        write_group(connection, messages)?;
    }
    for row in rows(cut, request) {
        MESSAGES.insert(connection, &row)?;
    }
    Ok(())
}

fn write_group(connection: &Connection, messages: &[(Role, Hash)]) -> Result<(), StepError> {
    let id = id_of(messages);
    let mut statement = connection.prepare_cached("SELECT 1 FROM message_groups WHERE id = ? LIMIT 1")?;
    if statement.query_row([id.as_bytes().as_slice()], |_| Ok(())).optional()?.is_some() {
        return Ok(());
    }
    for (place, (role, message)) in (0_i64..).zip(messages) {
        let row = vec![
            ("id", hash(Some(id))),
            ("place", Value::Integer(place)),
            ("role", text(Some(role.as_str()))),
            ("blob_hash", hash(Some(*message))),
        ];
        MESSAGE_GROUPS.insert(connection, &row)?;
    }
    Ok(())
}
