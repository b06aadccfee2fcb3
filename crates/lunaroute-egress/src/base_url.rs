//! Where a provider is, and how a request's path is joined to it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use lunaroute_core::headers::is_secret_parameter;
use lunaroute_core::{Failure, FailureKind};
use url::Url;

/// A provider's scheme, host, port and path prefix. Only what stands here is ever contacted.
///
/// How a request's path is joined, where `prefix` is the path of the base without its trailing slash:
/// - the request's path and query follow the prefix as they are;
/// - but when the last segment of the prefix is a version (`v` and a digit, then letters or digits), it stands for the
///   `/v1` (or `/v1beta` and its like) that the path begins with, so that `https://host/v1` and `https://host` mean the
///   same provider and `https://host/api/v4` reaches `/api/v4/chat/completions` for `/v1/chat/completions`.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// Scheme and authority: what a connection is kept for.
    origin: Arc<str>,
    /// The authority, for messages.
    shown: Arc<str>,
    prefix: String,
    ends_in_version: bool,
}

/// Text that is no base URL. Never shows the text: it may hold a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// It is no URL with a host.
    #[error("a base URL is 'http://' or 'https://', a host, and perhaps a port and a path; this is none")]
    NotAUrl,
    /// It has another scheme.
    #[error("a base URL begins with 'http://' or 'https://'; this one has another scheme")]
    Scheme,
    /// It holds a user name or password.
    #[error("a base URL holds no user name and no password; set the provider's key instead")]
    UserInfo,
    /// It has a query or a fragment.
    #[error("a base URL ends with its path; remove what follows '?' or '#'")]
    QueryOrFragment,
}

impl BaseUrl {
    /// Reads a base URL.
    ///
    /// # Errors
    /// [`InvalidBaseUrl`] when it is not `http` or `https` with a host, or has user information, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, InvalidBaseUrl> {
        let url = Url::parse(text).map_err(|_| InvalidBaseUrl::NotAUrl)?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return Err(InvalidBaseUrl::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidBaseUrl::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl::QueryOrFragment);
        }
        let host = url.host_str().ok_or(InvalidBaseUrl::NotAUrl)?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self {
            host: HeaderValue::from_str(&authority).map_err(|_| InvalidBaseUrl::NotAUrl)?,
            authority: Authority::from_str(&authority).map_err(|_| InvalidBaseUrl::NotAUrl)?,
            origin: format!("{scheme}://{authority}").into(),
            shown: authority.into(),
            scheme,
            ends_in_version: prefix.rsplit('/').next().is_some_and(is_version),
            prefix,
        })
    }

    /// Host and port, as the `host` header and every message show them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The same, to be kept.
    pub(crate) fn shared_authority(&self) -> &Arc<str> {
        &self.shown
    }

    /// Scheme, host and port: all that a connection depends on.
    pub(crate) fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    pub(crate) fn host_header(&self) -> HeaderValue {
        self.host.clone()
    }

    /// The address of a request. `keep_credentials` says whether query parameters that carry a credential stay.
    pub(crate) fn join(&self, path_and_query: &str, keep_credentials: bool) -> Result<Uri, Failure> {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        if !path.starts_with('/') {
            return Err(bad_request("the request's path does not begin with '/'"));
        }
        if !self.prefix.is_empty() && leaves_its_place(path) {
            return Err(bad_request("the request's path climbs out of the provider's path with '..'"));
        }
        let mut joined = String::with_capacity(self.prefix.len() + path_and_query.len());
        joined.push_str(&self.prefix);
        joined.push_str(self.below_prefix(path));
        if let Some(query) = query {
            push_query(&mut joined, query, keep_credentials);
        }
        let path_and_query = PathAndQuery::from_maybe_shared(bytes::Bytes::from(joined))
            .map_err(|_| bad_request("the request's path has a character that a URL cannot hold"))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).map_err(|_| bad_request("the request's path cannot be put into a URL"))
    }

    fn below_prefix<'a>(&self, path: &'a str) -> &'a str {
        let Some(named) = path.strip_prefix('/').filter(|_| self.ends_in_version) else { return path };
        let version = named.find('/').map_or(named, |end| &named[..end]);
        // `/v10` is no spelling of the first version; `/v1beta` is Gemini's.
        let letters = version.strip_prefix("v1");
        let is_first =
            letters.is_some_and(|letters| !letters.starts_with(|first: char| first.is_ascii_digit()));
        if is_first && is_version(version) { &named[version.len()..] } else { path }
    }
}

/// Appends the query, bytes as they are, without the parameters that carry a credential when those are replaced.
fn push_query(joined: &mut String, query: &str, keep_credentials: bool) {
    let is_secret = |pair: &str| is_secret_parameter(pair.split_once('=').map_or(pair, |(name, _)| name));
    if keep_credentials || !query.split('&').any(is_secret) {
        joined.push('?');
        joined.push_str(query);
        return;
    }
    let mut separator = '?';
    for pair in query.split('&').filter(|pair| !is_secret(pair)) {
        joined.push(separator);
        joined.push_str(pair);
        separator = '&';
    }
}

fn is_version(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    bytes.next() == Some(b'v')
        && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
        && bytes.all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a segment of the path is `..` in any spelling that a server may undo.
fn leaves_its_place(path: &str) -> bool {
    if !path.contains('%') && !path.contains("..") {
        return false;
    }
    path.split(['/', '\\']).any(|segment| {
        segment.len() >= 2 && segment.len() <= 6 && segment.to_ascii_lowercase().replace("%2e", ".") == ".."
    }) || ["%2f", "%5c"].iter().any(|slash| path.to_ascii_lowercase().contains(slash)) && path.contains("..")
}

fn bad_request(message: &str) -> Failure {
    Failure::client(FailureKind::BadRequest, message)
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
