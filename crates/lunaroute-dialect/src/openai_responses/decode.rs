//! Decodes a request.

use lunaroute_core::conversation::{Conversation, Rest};
use lunaroute_core::{Failure, FailureKind};

pub(super) fn decode(_body: &Rest) -> Result<Conversation, Failure> {
    Err(Failure::gateway(FailureKind::Internal, "scaffold"))
}
