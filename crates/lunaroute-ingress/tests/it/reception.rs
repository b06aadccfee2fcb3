//! Bodies are read whole, or refused for what they are.

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use lunaroute_core::FailureKind;
use lunaroute_ingress::{Budget, Config, read_body};
use proptest::prelude::*;

use crate::support::room;

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

#[test]
fn a_body_of_one_frame_is_not_copied() {
    let sent = Bytes::from(vec![b'x'; 157 * 1024]);
    let read = block(read_body(Full::new(sent.clone()), &Config::default(), &mut room())).unwrap();
    assert_eq!(read.as_ptr(), sent.as_ptr());
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_limit_and_not_before() {
    let config = Config::default();
    let start = tokio::time::Instant::now();
    let silent = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
    let failure = read_body(silent, &config, &mut room()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::RequestTimeout);
    assert_eq!(start.elapsed(), config.body_read_timeout);
}

#[test]
fn broken_framing_is_told_from_a_hang_up() {
    for (kind, expected) in [
        (std::io::ErrorKind::InvalidInput, FailureKind::BadRequest),
        (std::io::ErrorKind::InvalidData, FailureKind::BadRequest),
        (std::io::ErrorKind::UnexpectedEof, FailureKind::Cancelled),
        (std::io::ErrorKind::ConnectionReset, FailureKind::Cancelled),
    ] {
        let frames = [Ok(Frame::data(Bytes::from_static(b"part"))), Err(std::io::Error::from(kind))];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        assert_eq!(block(read_body(body, &Config::default(), &mut room())).unwrap_err().kind, expected);
    }
}

#[test]
fn bytes_beyond_the_budget_are_refused_and_none_are_kept() {
    let budget = Budget::new(100);
    let pieces = |count: usize| {
        let frames =
            (0..count).map(|_| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"0123456789"))));
        StreamBody::new(futures_util::stream::iter(frames))
    };
    let (config, mut first) = (Config::default(), budget.begin());
    assert_eq!(block(read_body(pieces(6), &config, &mut first)).unwrap().len(), 60);
    assert_eq!(budget.used(), 60);
    for (announced, used) in [(false, 100), (true, 60)] {
        let mut second = budget.begin();
        let failure = if announced {
            block(read_body(Full::new(Bytes::from(vec![b'x'; 41])), &config, &mut second)).unwrap_err()
        } else {
            block(read_body(pieces(5), &config, &mut second)).unwrap_err()
        };
        assert_eq!(failure.kind, FailureKind::Overloaded);
        assert_eq!(budget.used(), used, "what is announced to be too much is not even begun");
    }
    drop(first);
    assert_eq!(budget.used(), 0);
}

proptest! {
    /// However the bytes are cut, they come out as they went in, up to the limit and not one byte beyond.
    #[test]
    fn pieces_make_the_whole(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12), limit in 1usize..300) {
        let whole = pieces.concat();
        let frames = pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece))));
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let config = Config { body_limit_bytes: limit, ..Config::default() };
        match block(read_body(body, &config, &mut room())) {
            Ok(read) => {
                prop_assert_eq!(&read, &whole);
                prop_assert!(whole.len() <= limit);
            }
            Err(failure) => {
                prop_assert_eq!(failure.kind, FailureKind::TooLarge);
                prop_assert!(whole.len() > limit && failure.message.contains(&limit.to_string()));
            }
        }
    }
}
