//! How a request really ended, which is not always what the walk saw: a provider may report an error inside an answer
//! with status 200, or end a stream early with a clean end of the connection.

use lunaroute_core::{Answer, Ending, Failure, FailureKind};

/// What is known at the end.
pub(crate) struct Told<'a> {
    pub(crate) ending: Ending,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) status: Option<u16>,
    pub(crate) answer: &'a Answer,
    /// The answer is a stream of a model, and every byte of it was read: its end can be judged.
    pub(crate) judgeable_stream: bool,
}

/// What the record says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) ending: Ending,
    pub(crate) error: Option<FailureKind>,
    pub(crate) message: Option<String>,
}

impl Verdict {
    fn new(ending: Ending, error: FailureKind, message: impl Into<String>) -> Self {
        Self { ending, error: Some(error), message: Some(message.into()) }
    }
}

pub(crate) fn settle(told: &Told<'_>) -> Verdict {
    if let Some(failure) = told.failure {
        return Verdict::new(told.ending, failure.kind, failure.message.as_str());
    }
    if told.ending != Ending::Completed {
        return Verdict { ending: told.ending, error: None, message: None };
    }
    let reported = told.answer.error.as_ref();
    if let Some(status) = told.status.filter(|&status| status >= 400) {
        let message = match reported {
            Some((_, sentence)) if !sentence.is_empty() => sentence.clone(),
            _ => format!("the provider answered with HTTP status {status}"),
        };
        return Verdict::new(Ending::Completed, kind_of_status(status), message);
    }
    if let Some((kind, sentence)) = reported {
        let message = if sentence.is_empty() { kind } else { sentence };
        return Verdict::new(Ending::UpstreamError, kind_of_report(kind), message.as_str());
    }
    if told.judgeable_stream && !told.answer.ended && told.answer.stop.is_none() {
        let message = "the provider's stream stopped before the answer was whole";
        return Verdict::new(Ending::UpstreamError, FailureKind::Protocol, message);
    }
    Verdict { ending: Ending::Completed, error: None, message: None }
}

fn kind_of_status(status: u16) -> FailureKind {
    match status {
        429 => FailureKind::RateLimited,
        503 | 529 => FailureKind::Overloaded,
        _ => FailureKind::Provider,
    }
}

fn kind_of_report(kind: &str) -> FailureKind {
    if kind.contains("rate_limit") {
        FailureKind::RateLimited
    } else if kind.contains("overloaded") {
        FailureKind::Overloaded
    } else {
        FailureKind::Provider
    }
}

#[cfg(test)]
mod tests {
    use lunaroute_core::{Retry, StopReason};

    use super::*;

    fn check(told: &Told<'_>, ending: Ending, error: Option<FailureKind>) {
        let verdict = settle(told);
        assert_eq!((verdict.ending, verdict.error), (ending, error), "{:?}", verdict.message);
    }

    #[test]
    fn a_cut_or_failed_stream_is_never_a_success() {
        let whole = Answer { ended: true, ..Answer::default() };
        let stopped = Answer { stop: Some((StopReason::EndTurn, "stop".into())), ..Answer::default() };
        let cut = Answer { text: "half".into(), ..Answer::default() };
        let failed = Answer {
            error: Some(("overloaded_error".into(), "busy".into())),
            ended: true,
            ..Answer::default()
        };
        let base = Told {
            ending: Ending::Completed,
            failure: None,
            status: Some(200),
            answer: &whole,
            judgeable_stream: true,
        };
        check(&base, Ending::Completed, None);
        check(&Told { answer: &stopped, ..base }, Ending::Completed, None);
        check(&Told { answer: &cut, ..base }, Ending::UpstreamError, Some(FailureKind::Protocol));
        check(&Told { answer: &cut, judgeable_stream: false, ..base }, Ending::Completed, None);
        check(&Told { answer: &failed, ..base }, Ending::UpstreamError, Some(FailureKind::Overloaded));
        check(&Told { answer: &cut, ending: Ending::Cancelled, ..base }, Ending::Cancelled, None);
        for (status, kind) in
            [(429, FailureKind::RateLimited), (529, FailureKind::Overloaded), (400, FailureKind::Provider)]
        {
            check(&Told { answer: &cut, status: Some(status), ..base }, Ending::Completed, Some(kind));
        }
        let failure = Failure::upstream(FailureKind::Timeout, Retry::Never, "too late");
        let told = Told { ending: Ending::UpstreamError, failure: Some(&failure), ..base };
        check(&told, Ending::UpstreamError, Some(FailureKind::Timeout));
    }
}
