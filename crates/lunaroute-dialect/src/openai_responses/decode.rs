//! Decodes a request.

use lunaroute_core::conversation::{Conversation, Rest};
use lunaroute_core::{Failure, FailureKind};

use crate::cross::{Asked, Leftovers};

pub(super) static LEFTOVERS: Leftovers = Leftovers { silent: &[], refused: &[] };

pub(super) fn decode(_body: &Rest) -> Result<Conversation, Failure> {
    Err(Failure::gateway(FailureKind::Internal, "scaffold"))
}

pub(super) fn asks(_conversation: &Conversation, _asked: &mut Asked) {}
