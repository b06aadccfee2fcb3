//! Encodes a request.

use lunaroute_core::conversation::Conversation;
use lunaroute_core::{Failure, FailureKind};
use serde_json::Value;

use crate::cross::Crossing;

pub(super) fn encode(_conversation: &Conversation, _crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    Err(Failure::gateway(FailureKind::Internal, "scaffold"))
}
