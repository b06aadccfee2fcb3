//! What went wrong on the way to a provider, in a sentence that says where and what to do.
//!
//! The libraries' own messages are not repeated where they could hold an address with its query; only their kinds are
//! read.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy;
use lunaroute_core::{Failure, FailureKind, Retry};

use crate::connector::{ConnectElapsed, NameNotResolved, ProxyFailed};

/// Only what never reached the provider may be tried again: it may be working on anything else, and be paid for it.
fn upstream(kind: FailureKind, message: String) -> Failure {
    let retry = if kind == FailureKind::Connect { Retry::Elsewhere } else { Retry::Never };
    Failure::upstream(kind, retry, message)
}

/// Why no answer came.
pub(crate) enum Lost {
    /// There was no connection.
    Connection(Box<dyn Error + Send + Sync>),
    /// The connection gave no answer.
    Exchange(hyper::Error),
    /// One of the two, where HTTP/2 may be spoken.
    Negotiated(legacy::Error),
}

/// No answer came because of an error.
pub(crate) fn of_attempt(lost: &Lost, provider: &str) -> Failure {
    let (is_connect, error): (bool, &(dyn Error + 'static)) = match lost {
        Lost::Connection(error) => (true, &**error),
        Lost::Exchange(error) => (false, error),
        Lost::Negotiated(error) => (error.is_connect(), error),
    };
    let kind = if is_connect { FailureKind::Connect } else { FailureKind::Protocol };
    let what = causes(error).find_map(|cause| explain(cause, provider)).unwrap_or_else(|| {
        if is_connect {
            format!("no connection to {provider}; check the provider's base URL and the network")
        } else {
            format!("the connection to {provider} failed before an answer came; try again")
        }
    });
    upstream(kind, what)
}

/// The body broke off.
pub(crate) fn of_body(error: &hyper::Error, provider: &str) -> Failure {
    let what = if error.is_incomplete_message() {
        format!("{provider} closed the connection in the middle of its answer; try again")
    } else {
        causes(error)
            .find_map(|cause| explain(cause, provider))
            .unwrap_or_else(|| format!("the answer of {provider} broke off or is not valid HTTP; try again"))
    };
    upstream(FailureKind::Protocol, what)
}

/// The head did not come in time.
pub(crate) fn no_head(provider: &str, limit: Duration) -> Failure {
    let limit = seconds(limit);
    upstream(
        FailureKind::Timeout,
        format!(
            "{provider} did not begin to answer within {limit} s; try again or raise the first-byte time-out"
        ),
    )
}

/// The body fell silent.
pub(crate) fn silent(provider: &str, limit: Duration) -> Failure {
    let limit = seconds(limit);
    upstream(
        FailureKind::Timeout,
        format!(
            "{provider} fell silent in the middle of its answer for {limit} s; try again or raise the idle time-out"
        ),
    )
}

/// The answer as a whole took too long.
pub(crate) fn too_long(provider: &str, limit: Duration) -> Failure {
    let limit = seconds(limit);
    upstream(
        FailureKind::Timeout,
        format!(
            "{provider} did not finish its answer within {limit} s; try again or raise the total time-out"
        ),
    )
}

/// The provider changed the protocol without having been asked.
pub(crate) fn unasked_upgrade(provider: &str) -> Failure {
    upstream(
        FailureKind::Protocol,
        format!("{provider} switched protocols without being asked to; its answer is not used"),
    )
}

fn seconds(limit: Duration) -> f64 {
    limit.as_secs_f64()
}

/// The sentence for a cause, when it is one that has a remedy of its own.
fn explain(cause: &(dyn Error + 'static), provider: &str) -> Option<String> {
    if let Some(ConnectElapsed(limit)) = cause.downcast_ref() {
        let limit = seconds(*limit);
        return Some(format!(
            "no connection to {provider} within {limit} s; check the network, a proxy in between and the provider's status"
        ));
    }
    if cause.is::<NameNotResolved>() {
        return Some(format!(
            "the name of {provider} cannot be resolved; check the provider's base URL and the name server"
        ));
    }
    if let Some(error) = cause.downcast_ref::<ProxyFailed>() {
        return Some(explain_proxy(*error, provider));
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(explain_tls(error, provider));
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return explain_http(error, provider);
    }
    explain_io(cause.downcast_ref::<io::Error>()?, provider)
}

fn explain_proxy(error: ProxyFailed, provider: &str) -> String {
    let what = match error {
        ProxyFailed::Unreachable => {
            "the proxy does not respond; check its address, or except the host from the proxy"
        }
        ProxyFailed::WantsAuthentication => {
            "the proxy wants a user name and a password; put them into the proxy's address"
        }
        ProxyFailed::Refused => {
            "the proxy refused the tunnel; check that it allows this host, or except the host from the proxy"
        }
    };
    format!("no connection to {provider}: {what}")
}

fn explain_tls(error: &rustls::Error, provider: &str) -> String {
    use rustls::CertificateError as Certificate;
    let what = match error {
        rustls::Error::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => {
            "its certificate comes from an authority that is not trusted here; when that is your own authority or a \
             proxy that opens TLS, add it as an extra certificate authority"
        }
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "its certificate is for another name; check the provider's base URL",
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => "its certificate is not valid at this time; check this machine's clock",
        rustls::Error::InvalidCertificate(_) => "its certificate is not valid",
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS there; check whether the provider's base URL should begin with 'http://'"
        }
        _ => "the TLS handshake failed; it may want a client certificate or another TLS version",
    };
    format!("no secure connection to {provider}: {what}")
}

fn explain_http(error: &hyper::Error, provider: &str) -> Option<String> {
    if error.is_parse() {
        return Some(format!("{provider} answered what is not valid HTTP, or with a head that is too large"));
    }
    error
        .is_incomplete_message()
        .then(|| format!("{provider} closed the connection before it answered; try again"))
}

fn explain_io(error: &io::Error, provider: &str) -> Option<String> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!(
                "{provider} refuses connections; check that it runs and that the base URL has the right port"
            )
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            format!("the connection to {provider} was reset; try again")
        }
        io::ErrorKind::TimedOut => {
            format!("{provider} does not respond; check the network and the provider's status")
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            format!("there is no way to {provider} from here; check the network")
        }
        _ => return None,
    })
}

/// The error and what caused it, outermost first. An `io::Error` that wraps another error hides it from `source`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
