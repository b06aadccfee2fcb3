//! The walk of a request: one way for every dialect and for every kind of traffic. What a step does stands in the room
//! that does it; here stands only the order.

use std::sync::Arc;

use http::Response;
use lunaroute_core::{Failure, RequestId};
use lunaroute_ingress::{Arrival, Reply, Share};

use crate::counting;
use crate::desk::Desk;
use crate::gate::{self, Passage};
use crate::guest_book::Entry;
use crate::house::House;
use crate::keeper::Keeper;
use crate::reception::{self, Received};
use crate::visitor::Visitor;
use crate::warm_up;
use crate::way_out;

/// Takes one request from the door to its answer. When the client hangs up, this future or the answer's body is dropped
/// wherever it stands, and with it the entry in the guest book, which closes itself as cancelled.
pub(crate) async fn walk(house: Arc<House>, arrival: Arrival) -> Response<Reply> {
    // Door and reception: the path says dialect and operation; limits are kept; the body is read once.
    let (visitor, place) = match reception::receive(&house, arrival).await {
        Received::Visitor(visitor, place) => (visitor, place),
        Received::Answered(response) => return response,
    };
    let Served { response, keeper, .. } = serve(&house, visitor, place).await;
    match keeper {
        Some(keeper) => keeper.watch(response),
        None => response,
    }
}

/// An answer on its way to the client.
pub(crate) struct Served {
    pub(crate) id: RequestId,
    pub(crate) response: Response<Reply>,
    /// Wants to see the answer, so that the client can go on from it.
    pub(crate) keeper: Option<Keeper>,
}

/// The walk of a request that was let in, by whatever door.
pub(crate) async fn serve(house: &House, visitor: Visitor, place: Share) -> Served {
    // Desk: model, stream flag and session hints are read from the bytes. It stands before the guest book because the
    // hints are part of the first entry; it cannot refuse anybody by itself.
    let desk = Desk::read(&visitor, house);
    // Guest book: from here on every exit is written down.
    let mut entry = Entry::open(house, &visitor, &desk, place);
    let mut keeper = None;
    let response = match admit(house, &visitor, &desk, &mut entry).await {
        // Gallery and way out: frames flow to the client, the record gets a reference to each.
        Ok(Admission::Passage(passage)) => {
            keeper = Keeper::of(house, &visitor, &desk, &passage);
            way_out::answer(house, &visitor, passage, entry).await
        }
        Ok(Admission::Nothing) => warm_up::answer(house, &visitor, &desk, entry),
        Ok(Admission::Estimate(tokens)) => counting::answer(house, &visitor, tokens, entry),
        Err(failure) => way_out::refuse(house, &visitor, &failure, entry).await,
    };
    Served { id: visitor.id, response, keeper }
}

/// What a request is answered with.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are passages; a box would be an allocation for each request"
)]
enum Admission {
    /// A provider's answer.
    Passage(Passage),
    /// So many tokens, estimated.
    Estimate(u64),
    /// Nothing, as was asked for.
    Nothing,
}

/// The part between the guest book and the answer: every way out of it that is no answer is a [`Failure`].
async fn admit(
    house: &House,
    visitor: &Visitor,
    desk: &Desk,
    entry: &mut Entry,
) -> Result<Admission, Failure> {
    desk.check()?;
    // Map room: which targets, in what order.
    let plan = house.plan(visitor, desk)?;
    // The first byte goes upstream only when the request is in the journal.
    entry.written(house.recording_required).await?;
    let admission = match counting::estimate(house, visitor, desk, &plan)? {
        Some(tokens) => Admission::Estimate(tokens),
        None if warm_up::is_one(visitor, desk, &plan) => Admission::Nothing,
        // Dressing room and gate: one attempt after the other, while no byte has left for the client.
        None => Admission::Passage(gate::pass(house, visitor, desk, &plan, entry).await?),
    };
    // The first byte goes to the client only when the request is on the disk. The provider's time hides this wait.
    entry.durable(house.recording_required).await?;
    Ok(admission)
}
