//! A request body, read once into one piece.

use std::error::Error;
use std::io;
use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use lunaroute_core::{Failure, FailureKind};
use tokio::time::timeout;

use crate::{Config, Share};

/// Most bytes that are set aside because a client merely announces them.
const MOST_IN_ADVANCE: u64 = 4 * 1024 * 1024;

/// Reads a request body whole. A body that arrives in one frame is not copied. Trailers are not kept. What was read is
/// counted in `held`, which should live as long as the body: bytes that are merely announced cost nobody anything.
///
/// # Errors
/// `too_large` beyond [`Config::body_limit_bytes`], and `overloaded` beyond what is left of the budget of `held`, both
/// decided by the announced length where there is one; `request_timeout` after [`Config::body_read_timeout`];
/// `bad_request` when its framing is wrong; `cancelled` when the client hung up.
pub async fn read_body<B>(body: B, config: &Config, held: &mut Share) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes>,
    B::Error: Error + 'static,
{
    let limit = config.body_limit_bytes;
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large(limit));
    }
    if !held.has_room_for(usize::try_from(announced).unwrap_or(usize::MAX)) {
        return Err(no_room());
    }
    match timeout(config.body_read_timeout, collect(pin!(body), limit, held)).await {
        Ok(read) => read,
        Err(_elapsed) => Err(Failure::client(
            FailureKind::RequestTimeout,
            format!(
                "the request body did not arrive within {} ms; send it faster, or raise the limit",
                config.body_read_timeout.as_millis()
            ),
        )),
    }
}

async fn collect<B>(mut body: Pin<&mut B>, limit: usize, held: &mut Share) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes>,
    B::Error: Error + 'static,
{
    let Some(first) = next(body.as_mut(), 0, limit, held).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(second) = next(body.as_mut(), first.len(), limit, held).await? else { return Ok(first) };
    let announced = body.size_hint().lower().min(MOST_IN_ADVANCE);
    let ahead = usize::try_from(announced).unwrap_or(0);
    let mut whole = BytesMut::with_capacity(first.len() + second.len() + ahead);
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(data) = next(body.as_mut(), whole.len(), limit, held).await? {
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The next data of the body, as long as it fits below the limit with what was `taken` before, and there is room.
async fn next<B>(
    mut body: Pin<&mut B>,
    taken: usize,
    limit: usize,
    held: &mut Share,
) -> Result<Option<Bytes>, Failure>
where
    B: Body<Data = Bytes>,
    B::Error: Error + 'static,
{
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| broken_off(&error))?.into_data() {
            Ok(data) if data.len() > limit - taken => return Err(too_large(limit)),
            Ok(data) if !held.grow(data.len()) => return Err(no_room()),
            Ok(data) => return Ok(Some(data)),
            Err(_trailers) => {}
        }
    }
    Ok(None)
}

fn no_room() -> Failure {
    let message = "the gateway holds as many bytes of request bodies as it may; try again in a moment";
    Failure::gateway(FailureKind::Overloaded, message)
}

fn too_large(limit: usize) -> Failure {
    let message = format!("the request body is larger than {limit} bytes; send less, or raise the limit");
    Failure::client(FailureKind::TooLarge, message)
}

/// Whether the client broke the framing or merely went away: HTTP/1.1 decoders report the former as invalid input.
fn broken_off(error: &(dyn Error + 'static)) -> Failure {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)) {
            let message = "the request body is not framed as HTTP demands; the chunk sizes do not fit";
            return Failure::client(FailureKind::BadRequest, message);
        }
        cause = error.source();
    }
    Failure::client(FailureKind::Cancelled, "the client hung up before its request body was complete")
}
