//! A tolerant, borrowed look at JSON bytes: finds values without building a tree and without recursion.
//!
//! It never validates: bytes that are no JSON give absent values, not errors. It follows brackets by depth alone, so
//! nesting costs no stack, and unknown members cost one skip.

mod scan;
mod text;
mod view;

pub(crate) use scan::{Known, Scanner, is_complete};
pub(crate) use text::decode_string;
pub(crate) use view::Json;
