//! What a provider's error means, so that another dialect can say the same.

use http::StatusCode;

use crate::error::ProviderError;

/// What an error means, whatever a vendor calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The request cannot be understood.
    BadRequest,
    /// The request comes at a time when it cannot be taken.
    Conflict,
    /// The request is understood and cannot be carried out.
    Unprocessable,
    /// The conversation is longer than the model reads.
    ContextTooLong,
    /// The caller's credential is not taken.
    BadKey,
    /// The gateway's own credential is not taken.
    OwnKey,
    /// Nothing is left to pay with.
    NoCredit,
    /// The credential may not do this.
    Forbidden,
    /// No such model or path.
    NotFound,
    /// The body is too large.
    TooLarge,
    /// Too many requests.
    RateLimit,
    /// The provider is overloaded.
    Overloaded,
    /// The provider failed.
    Upstream,
    /// The provider did not answer in time.
    Timeout,
    /// The provider could not be reached, or broke off.
    Connect,
    /// The model's answer is none that can be used.
    Unusable,
}

/// Codes and types that say what the status does not. The first match counts.
const WORDS: [(&str, Meaning); 23] = [
    ("context_length_exceeded", Meaning::ContextTooLong),
    ("insufficient_quota", Meaning::NoCredit),
    ("credit_balance_exhausted", Meaning::NoCredit),
    ("organization_spend_limit_exceeded", Meaning::NoCredit),
    ("project_spend_limit_exceeded", Meaning::NoCredit),
    ("organization_usage_limit_exceeded", Meaning::NoCredit),
    ("billing_error", Meaning::NoCredit),
    ("invalid_api_key", Meaning::BadKey),
    ("authentication_error", Meaning::BadKey),
    ("model_not_found", Meaning::NotFound),
    ("rate_limit_exceeded", Meaning::RateLimit),
    ("slow_down", Meaning::RateLimit),
    ("rate_limit_error", Meaning::RateLimit),
    ("RESOURCE_EXHAUSTED", Meaning::RateLimit),
    ("server_is_overloaded", Meaning::Overloaded),
    ("overloaded_error", Meaning::Overloaded),
    ("UNAVAILABLE", Meaning::Overloaded),
    ("timeout_error", Meaning::Timeout),
    ("DEADLINE_EXCEEDED", Meaning::Timeout),
    ("MALFORMED_FUNCTION_CALL", Meaning::Unusable),
    ("UNEXPECTED_TOOL_CALL", Meaning::Unusable),
    ("MALFORMED_RESPONSE", Meaning::Unusable),
    ("MISSING_THOUGHT_SIGNATURE", Meaning::Unusable),
];

/// Types that stand for many things in a plain answer, whose status says which, and for one inside of a stream; and codes of
/// an OpenAI response that failed for what was asked (the image codes are told by [`is_of_image`]). Whoever asked may not
/// take them for a failure that passes.
const STREAMED: [(&str, Meaning); 9] = [
    ("invalid_request_error", Meaning::BadRequest),
    ("permission_error", Meaning::Forbidden),
    ("not_found_error", Meaning::NotFound),
    ("request_too_large", Meaning::TooLarge),
    ("INVALID_ARGUMENT", Meaning::BadRequest),
    ("invalid_prompt", Meaning::BadRequest),
    ("data_residency_mismatch", Meaning::BadRequest),
    ("bio_policy", Meaning::BadRequest),
    ("misalignment_policy_violation", Meaning::BadRequest),
];

/// Whether a code of OpenAI's says that an image of the request is at fault: `invalid_image_format`,
/// `image_content_policy_violation`, `failed_to_download_image` and their like (`openai` 3.52, `ResponseError`).
fn is_of_image(code: &str) -> bool {
    const FAMILIES: [&str; 2] = ["image_", "invalid_image"];
    const OTHERS: [&str; 4] = [
        "invalid_base64_image",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
    ];
    OTHERS.contains(&code) || FAMILIES.iter().any(|family| code.starts_with(family))
}

/// How providers say that a conversation is too long, where they have no code for it.
const TOO_LONG: [&str; 5] = [
    "prompt is too long",
    "maximum context length",
    "context window",
    "exceeds the maximum number of tokens",
    "input token count",
];

impl Meaning {
    /// What an error means. `status` is `None` for an error inside a stream, and that of a success says as little;
    /// `own_key` says that the gateway's own credential was sent.
    #[must_use]
    pub fn of(status: Option<StatusCode>, error: &ProviderError, own_key: bool) -> Self {
        let status = status.filter(|status| !status.is_success());
        let words = || [error.code.as_deref(), Some(error.kind.as_str())].into_iter().flatten();
        let find = |list: &[(&str, Self)]| {
            words()
                .find_map(|word| list.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning))
        };
        // Some hosts tell as a code what would have been the status.
        let number =
            || words().filter_map(|word| word.parse().ok()).find(|number| (400..600).contains(number));
        let of_image = || words().any(is_of_image).then_some(Self::BadRequest);
        let streamed = || if status.is_none() { find(&STREAMED).or_else(of_image) } else { None };
        let meaning = find(&WORDS)
            .or_else(streamed)
            .unwrap_or_else(|| Self::of_status(status.map(|status| status.as_u16()).or_else(number)));
        let message = error.message.to_ascii_lowercase();
        match meaning {
            Self::BadRequest | Self::Unprocessable
                if TOO_LONG.iter().any(|words| message.contains(words)) =>
            {
                Self::ContextTooLong
            }
            Self::BadRequest if message.contains("api key not valid") && own_key => Self::OwnKey,
            Self::BadKey if own_key => Self::OwnKey,
            meaning => meaning,
        }
    }

    fn of_status(status: Option<u16>) -> Self {
        match status {
            Some(401) => Self::BadKey,
            Some(402) => Self::NoCredit,
            Some(403) => Self::Forbidden,
            Some(404) => Self::NotFound,
            Some(409) => Self::Conflict,
            Some(413) => Self::TooLarge,
            Some(422) => Self::Unprocessable,
            Some(429) => Self::RateLimit,
            Some(408 | 504) => Self::Timeout,
            Some(502) => Self::Connect,
            Some(503 | 529) => Self::Overloaded,
            Some(400..=499) => Self::BadRequest,
            _ => Self::Upstream,
        }
    }
}
