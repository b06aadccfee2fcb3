//! The targets of a plan in the order in which they are tried, without those that turn out not to carry the request.

use lunaroute_core::{AttemptReason, Failure, FailureKind};
use lunaroute_routing::{Plan, Target};

use crate::crossing::{Crossed, cross};
use crate::desk::Desk;
use crate::house::{House, Upstream};
use crate::visitor::Visitor;

/// The way of one request along its targets.
pub(crate) struct Route<'a> {
    pub(crate) house: &'a House,
    pub(crate) visitor: &'a Visitor,
    pub(crate) desk: &'a Desk,
    pub(crate) plan: &'a Plan,
    /// Places in the plan of targets that cannot carry the request.
    pub(crate) refused: Vec<usize>,
}

/// One attempt, before it is made.
pub(crate) struct Leg<'a> {
    pub(crate) target: &'a Target,
    pub(crate) upstream: &'a Upstream,
    pub(crate) reason: AttemptReason,
    /// The request in the target's dialect, where that is not the client's.
    pub(crate) crossed: Option<Box<Crossed>>,
}

impl<'a> Route<'a> {
    /// The attempt of this number, from 0: the targets are tried by turns.
    ///
    /// # Errors
    /// Why the first one cannot carry the request, when none of them can.
    pub(crate) fn leg(&mut self, ordinal: usize) -> Result<Leg<'a>, Failure> {
        let mut refusal = None;
        while let Some(place) = self.place(ordinal) {
            let (target, upstream) = self.target(place)?;
            match cross(self.house, self.visitor, self.desk, target, upstream) {
                Ok(crossed) => {
                    return Ok(Leg { target, upstream, reason: self.reason(ordinal, place), crossed });
                }
                Err(failure) => {
                    refusal.get_or_insert(failure);
                    self.refused.push(place);
                }
            }
        }
        Err(refusal.unwrap_or_else(unknown_target))
    }

    /// How many targets may carry the request, as far as is known.
    pub(crate) fn left(&self) -> usize {
        self.plan.targets.len() - self.refused.len()
    }

    fn place(&self, ordinal: usize) -> Option<usize> {
        let turn = ordinal.checked_rem(self.left())?;
        (0..self.plan.targets.len()).filter(|place| !self.refused.contains(place)).nth(turn)
    }

    fn target(&self, place: usize) -> Result<(&'a Target, &'a Upstream), Failure> {
        let target = self.plan.targets.get(place);
        target
            .and_then(|target| Some((target, self.house.upstreams.get(&target.provider)?)))
            .ok_or_else(unknown_target)
    }

    fn reason(&self, ordinal: usize, place: usize) -> AttemptReason {
        match (ordinal, place) {
            (0, 0) => AttemptReason::Primary,
            _ if self.plan.targets.len() > 1 => AttemptReason::Fallback,
            _ => AttemptReason::Retry,
        }
    }
}

fn unknown_target() -> Failure {
    Failure::gateway(
        FailureKind::Internal,
        "the plan names a provider that is not configured; restart the gateway",
    )
}
