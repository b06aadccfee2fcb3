//! What tells the sessions of clients that name none apart.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use lunaroute_core::{RequestReading, SessionId, Timestamp};
use sha2::Sha256;
use uuid::{Builder, Uuid};

/// The one tenant of this build; part of the fingerprint, so that tenants never share a session.
const TENANT: &[u8] = b"local";

/// The headers that carry a caller's credential in any of the dialects.
pub(super) const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Who asks. Not to be shown: the headers hold credentials.
#[derive(Clone, Copy)]
pub struct Caller<'request> {
    /// The headers as they arrived.
    pub headers: &'request HeaderMap,
    /// The address.
    pub address: Option<IpAddr>,
}

/// The 74 bits of a fingerprint that a UUIDv7 has room for. A session found by fingerprint carries it in its own id, so
/// it is found again after a restart without being stored anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 10]);

impl Fingerprint {
    pub(super) fn of(key: &[u8; 32], client: &str, reading: &RequestReading, caller: Caller<'_>) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        let mut take = |part: &[u8]| {
            // The length in front keeps "ab" + "c" and "a" + "bc" apart.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        };
        let texts = [&reading.system_text, &reading.first_user_text]
            .map(|text| text.as_deref().unwrap_or_default().as_bytes());
        take(TENANT);
        take(client.as_bytes());
        texts.into_iter().for_each(&mut take);
        for name in CREDENTIALS {
            for value in caller.headers.get_all(name) {
                take(name.as_bytes());
                take(value.as_bytes());
            }
        }
        let address = caller.address.filter(|_| texts.iter().all(|text| text.is_empty()));
        if let Some(address) = address {
            take(address.to_string().as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        let mut bits = [0; 10];
        bits.copy_from_slice(&digest[..10]);
        Self::masked(bits)
    }

    /// The fingerprint in an id that [`session`](Self::session) made; of any other UUIDv7 its random bits, which are
    /// nobody's fingerprint.
    pub(super) fn in_session(session: &SessionId) -> Option<Self> {
        let id = Uuid::parse_str(session.as_str()).ok().filter(|id| id.get_version_num() == 7)?;
        let mut bits = [0; 10];
        bits.copy_from_slice(&id.as_bytes()[6..]);
        Some(Self::masked(bits))
    }

    fn masked(mut bits: [u8; 10]) -> Self {
        // The places of the version and the variant.
        bits[0] &= 0x0f;
        bits[2] &= 0x3f;
        Self(bits)
    }

    pub(super) fn session(self, at: Timestamp) -> SessionId {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        let id = Builder::from_unix_timestamp_millis(millis, &self.0).into_uuid();
        SessionId::parse(&id.as_hyphenated().to_string())
            .expect("a UUID has only hexadecimal digits and hyphens")
    }
}
