//! How far the journal is in this database.

use lunaroute_storage::journal::Position;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::failure::StepError;
use super::table::{STATE, word};

/// This writer's name.
pub(crate) const WRITER: &str = "sqlite";

/// The writer's own row; it changes in the transaction of the rows it speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// Where reading begins again.
    pub(crate) checkpoint: Position,
    /// How far reading came.
    pub(crate) read: Position,
    /// Tool results that came before, or without, their call.
    pub(crate) out_of_order: u64,
}

impl State {
    /// The state in the database; the start of the journal when there is none.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let row = connection
            .prepare_cached(
                "SELECT segment, offset, read_segment, read_offset, out_of_order FROM projector_state \
                 WHERE writer = ?1",
            )?
            .query_row([WRITER], |row| {
                let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
                Ok(Self {
                    checkpoint: Position { segment: number(0)?, offset: number(1)? },
                    read: Position { segment: number(2)?, offset: number(3)? },
                    out_of_order: number(4)?,
                })
            })
            .optional()?;
        Ok(row.unwrap_or_default())
    }

    /// Writes the state.
    pub(crate) fn store(&self, connection: &Connection) -> Result<(), StepError> {
        let number = |value: u64| Value::Integer(value.cast_signed());
        let row = vec![
            ("writer", word(Some(WRITER))),
            ("segment", number(self.checkpoint.segment)),
            ("offset", number(self.checkpoint.offset)),
            ("read_segment", number(self.read.segment)),
            ("read_offset", number(self.read.offset)),
            ("out_of_order", number(self.out_of_order)),
        ];
        STATE.put_sealed(connection, &row)
    }
}
