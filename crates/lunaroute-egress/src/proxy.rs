//! Which requests go through a proxy.

use std::fmt;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// Proxy addresses and exceptions, with the meaning that curl gives to `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and
/// `NO_PROXY`. Its `Debug` shows no user name and no password.
#[derive(Clone)]
pub struct ProxyRules {
    matcher: std::sync::Arc<Matcher>,
}

/// A proxy address that cannot be used. Never shows the address: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the proxy for {requests} requests has to be 'http://host:port', perhaps with a user name and password; https and \
     socks proxies are not supported"
)]
pub struct InvalidProxy {
    /// `http`, `https` or `all`: which of the addresses it is.
    pub requests: &'static str,
}

impl ProxyRules {
    /// Makes rules from the values of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; an empty text is none.
    ///
    /// # Errors
    /// [`InvalidProxy`] when an address is not that of an HTTP proxy.
    pub fn new(http: &str, https: &str, all: &str, no_proxy: &str) -> Result<Self, InvalidProxy> {
        for (requests, address) in [("http", http), ("https", https), ("all", all)] {
            if !address.is_empty() && !is_http_proxy(address) {
                return Err(InvalidProxy { requests });
            }
        }
        let matcher = Matcher::builder().http(http).https(https).all(all).no(no_proxy).build();
        Ok(Self { matcher: std::sync::Arc::new(matcher) })
    }

    /// The proxy of a destination, when it has one.
    pub(crate) fn intercept(&self, destination: &Uri) -> Option<Intercept> {
        self.matcher.intercept(destination)
    }

    /// What a request that is sent to the proxy itself (plain HTTP, absolute form) has to say to it.
    pub(crate) fn plain_authorization(&self, destination: &Uri) -> Option<HeaderValue> {
        if destination.scheme_str() != Some("http") {
            return None;
        }
        self.intercept(destination)?.basic_auth().cloned()
    }
}

fn is_http_proxy(address: &str) -> bool {
    address.parse::<Uri>().is_ok_and(|uri| {
        uri.authority().is_some_and(|authority| !authority.host().is_empty())
            && uri.scheme_str().is_none_or(|scheme| scheme == "http")
    })
}

impl fmt::Debug for ProxyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.matcher, f)
    }
}
