//! Small pieces of an answer that are ready at once travel as one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// A piece of this size or more travels alone: putting it together with others would cost more than it saves.
const LARGE: usize = 4 * 1024;

/// Pieces are put together up to about this size, so that the client has the first of a long burst while the rest is
/// still being taken up.
const ENOUGH: usize = 16 * 1024;

type Piece<E> = Option<Result<Frame<Bytes>, E>>;

/// A body whose small pieces are joined when they are there at once. It never waits for a piece while it has another.
///
/// Each piece costs a chunk of its own and a place in the write; a provider's burst of events would take several writes.
/// What the bytes are and their order stay the same, and what is said behind them (an error, trailers, the end) too.
///
/// [`Reply::stream`](crate::Reply::stream) does this to a body. Whoever looks at the pieces before that does well to gather
/// them first and to reply with [`Reply::gathered`](crate::Reply::gathered): it then looks once at a burst.
pub struct Gathered<B: Body> {
    body: B,
    /// What followed the pieces that were put together and did not go with them.
    next: Option<Piece<B::Error>>,
    /// How many pieces the last one that was given was made of.
    count: u32,
    /// Whether the body failed, and what came before was let through to the client.
    is_failing: bool,
    /// Whether pieces are joined here, and not before.
    joins: bool,
    first: First,
}

/// What is done with the first piece of a body. What a body gave is written when it has nothing more at the moment: by hyper
/// over HTTP/1.1, and over HTTP/2 by the connection's task, which has its turn then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// It will travel alone, whatever is there behind it.
    Alone,
    /// It was given: to the next question there is nothing, so that it is written.
    Given,
    /// The same as with all others.
    Any,
}

impl<B: Body<Data = Bytes> + Unpin> Gathered<B> {
    /// The same body, its small pieces joined.
    pub const fn new(body: B) -> Self {
        Self { body, next: None, count: 0, is_failing: false, joins: true, first: First::Any }
    }

    /// The same body, whose pieces are joined already: it is not asked for a second one while it has brought a first.
    pub(crate) const fn already(body: B) -> Self {
        Self { body, next: None, count: 0, is_failing: false, joins: false, first: First::Any }
    }

    /// The same, but for its first piece, which is joined with nothing and written by itself: the client has it while the
    /// rest of a burst is still being taken up.
    #[must_use]
    pub const fn prompt(mut self) -> Self {
        self.first = First::Alone;
        self
    }

    /// How many pieces the last one that came was made of.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// A small piece of data, if there is one at once. Anything else that is there is kept for the next time.
    fn more(&mut self, context: &mut Context<'_>) -> Option<Bytes> {
        let Poll::Ready(piece) = Pin::new(&mut self.body).poll_frame(context) else { return None };
        match small(piece) {
            Ok(data) => Some(data),
            Err(other) => {
                self.next = Some(other);
                None
            }
        }
    }
}

/// The data of a small piece; anything else is given back.
fn small<E>(piece: Piece<E>) -> Result<Bytes, Piece<E>> {
    match piece {
        Some(Ok(frame)) => match frame.into_data() {
            Ok(data) if data.len() < LARGE => Ok(data),
            Ok(data) => Err(Some(Ok(Frame::data(data)))),
            Err(frame) => Err(Some(Ok(frame))),
        },
        other => Err(other),
    }
}

impl<B> Body for Gathered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece<B::Error>> {
        let this = &mut *self;
        this.count = 1;
        if this.first == First::Given {
            this.first = First::Any;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (piece, was_kept) = match this.next.take() {
            Some(kept) => (kept, true),
            None => (ready!(Pin::new(&mut this.body).poll_frame(context)), false),
        };
        if matches!(piece, Some(Err(_))) && !this.is_failing {
            // A failure cuts the connection together with what is still to be written: that goes first, as far as the
            // client takes it.
            this.is_failing = true;
            this.next = Some(piece);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if was_kept {
            return Poll::Ready(piece);
        }
        if this.first == First::Alone && matches!(piece, Some(Ok(_))) && !this.body.is_end_stream() {
            this.first = First::Given;
            return Poll::Ready(piece);
        }
        let first = match small(piece) {
            Ok(data) if this.joins && !this.body.is_end_stream() => data,
            Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
            Err(other) => return Poll::Ready(other),
        };
        let Some(second) = this.more(context) else { return Poll::Ready(Some(Ok(Frame::data(first)))) };
        let mut joined = BytesMut::with_capacity(ENOUGH.min(8 * (first.len() + second.len())));
        joined.extend_from_slice(&first);
        joined.extend_from_slice(&second);
        this.count = 2;
        while joined.len() < ENOUGH && !this.body.is_end_stream() {
            let Some(data) = this.more(context) else { break };
            joined.extend_from_slice(&data);
            this.count += 1;
        }
        Poll::Ready(Some(Ok(Frame::data(joined.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.next {
            Some(next) => next.is_none(),
            None => self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.size_hint();
        let Some(Some(Ok(frame))) = &self.next else { return hint };
        let kept = frame.data_ref().map_or(0, |data| data.len() as u64);
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + kept);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + kept);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use lunaroute_core::{Bell, Failure, FailureKind, Retry};

    use super::*;
    use crate::Broken;

    enum Step {
        Data(usize),
        Wait,
        Fail,
        Trailers,
    }

    /// Gives what a test says; at a wait it is pending once.
    struct Scripted {
        steps: VecDeque<Step>,
        letter: u8,
        asked: usize,
    }

    impl Body for Scripted {
        type Data = Bytes;
        type Error = Broken;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Piece<Broken>> {
            self.asked += 1;
            Poll::Ready(match self.steps.pop_front() {
                None => None,
                Some(Step::Wait) => return Poll::Pending,
                Some(Step::Data(length)) => {
                    self.letter += 1;
                    Some(Ok(Frame::data(vec![self.letter; length].into())))
                }
                Some(Step::Fail) => {
                    Some(Err(Failure::upstream(FailureKind::Protocol, Retry::Never, "cut").into()))
                }
                Some(Step::Trailers) => Some(Ok(Frame::trailers(http::HeaderMap::new()))),
            })
        }
    }

    /// What comes out: lengths of data, `wait`, `fail`, `trailers`, `end`.
    fn outcome(steps: impl IntoIterator<Item = Step>) -> Vec<String> {
        outcome_of(Gathered::new(Scripted { steps: steps.into_iter().collect(), letter: 0, asked: 0 }))
    }

    fn outcome_of(mut body: Gathered<Scripted>) -> Vec<String> {
        let mut bytes = Vec::new();
        let mut seen = Vec::new();
        let mut count = 0;
        loop {
            let polled = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
            seen.push(match polled {
                Poll::Pending => "wait".to_owned(),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        bytes.extend_from_slice(&data);
                        count += body.count();
                        data.len().to_string()
                    }
                    Err(_trailers) => "trailers".to_owned(),
                },
                Poll::Ready(Some(Err(_))) => "fail".to_owned(),
                Poll::Ready(None) => {
                    assert!(bytes.is_sorted(), "the order is kept");
                    assert_eq!(body.body.steps.len(), 0);
                    assert_eq!(count, u32::from(body.body.letter), "each piece is counted");
                    seen.push("end".to_owned());
                    return seen;
                }
            });
        }
    }

    #[track_caller]
    fn check(steps: impl IntoIterator<Item = Step>, expected: &[&str]) {
        assert_eq!(outcome(steps), expected);
    }

    #[test]
    fn what_is_there_at_once_travels_as_one_and_nothing_waits() {
        use Step::{Data, Fail, Trailers, Wait};
        check([], &["end"]);
        check([Data(10)], &["10", "end"]);
        check([Data(10), Wait, Data(20)], &["10", "20", "end"]);
        check([Data(10), Data(20), Data(30), Wait, Wait, Data(40)], &["60", "wait", "40", "end"]);
        check([Data(10), Data(20), Fail], &["30", "wait", "fail", "end"]);
        check([Data(10), Fail], &["10", "wait", "fail", "end"]);
        check([Fail], &["wait", "fail", "end"]);
        check([Data(10), Data(20), Trailers], &["30", "trailers", "end"]);
        check([Data(10), Data(20), Data(LARGE), Data(30)], &["30", "4096", "30", "end"]);
        check([Data(LARGE), Data(LARGE * 100)], &["4096", "409600", "end"]);
    }

    #[test]
    fn what_is_joined_already_is_passed_on_and_still_goes_before_a_failure() {
        let steps = [Step::Data(10), Step::Data(20), Step::Wait, Step::Data(30), Step::Fail];
        let body = Gathered::already(Scripted { steps: steps.into(), letter: 0, asked: 0 });
        assert_eq!(outcome_of(body), ["10", "20", "wait", "30", "wait", "fail", "end"]);
    }

    #[test]
    fn a_prompt_body_wakes_who_has_its_first_piece_and_finds_nothing_behind_it() {
        let script = Scripted { steps: [Step::Data(1), Step::Data(2)].into(), letter: 0, asked: 0 };
        let mut body = Gathered::new(script).prompt();
        let (bell, rope) = Bell::hung();
        let mut poll = || bell.muted(|| Pin::new(&mut body).poll_frame(&mut Context::from_waker(&rope)));
        assert!(matches!(poll(), (Poll::Ready(_), false)));
        assert!(matches!(poll(), (Poll::Pending, true)), "nobody else would wake it");
        assert!(matches!(poll(), (Poll::Ready(_), false)));
    }

    #[test]
    fn the_first_piece_of_a_prompt_body_travels_alone() {
        let prompt = |steps: Vec<Step>| {
            outcome_of(Gathered::new(Scripted { steps: steps.into(), letter: 0, asked: 0 }).prompt())
        };
        let burst = vec![Step::Data(10), Step::Data(20), Step::Data(30), Step::Wait, Step::Data(40)];
        assert_eq!(prompt(burst), ["10", "wait", "50", "40", "end"]);
        assert_eq!(prompt(vec![Step::Data(10), Step::Fail]), ["10", "wait", "wait", "fail", "end"]);
        assert_eq!(prompt(vec![]), ["end"]);
    }

    #[test]
    fn a_burst_of_any_length_comes_in_bounded_pieces() {
        let pieces = outcome((0..100).map(|_| Step::Data(1_000)));
        println!("100 pieces of 1,000 bytes came as {pieces:?}");
        let sizes: Vec<usize> = pieces.iter().filter_map(|piece| piece.parse().ok()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 100_000);
        assert!(sizes.len() <= 8 && sizes.iter().all(|size| *size < ENOUGH + LARGE));
    }

    #[test]
    fn what_is_kept_is_told() {
        let script = Scripted { steps: [Step::Data(1), Step::Data(LARGE)].into(), letter: 0, asked: 0 };
        let mut body = Gathered::new(script);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_ready());
        assert_eq!(body.size_hint().lower(), LARGE as u64);
        assert!(!body.is_end_stream());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_ready());
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut context), Poll::Ready(None)));
        assert_eq!(body.body.asked, 3);
    }
}
