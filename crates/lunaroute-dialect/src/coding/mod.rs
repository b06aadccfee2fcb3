//! Content codings (RFC 9110, section 8.4): undone to look at a body, never to change what travels.

mod stage;

use std::borrow::Cow;

use lunaroute_core::FailureKind;
use stage::{SCRATCH, Stage};

/// How much one body may unpack to for the record, in bytes.
pub const DECODED_LIMIT: usize = 64 * 1024 * 1024;

/// How much of a body is unpacked into memory before it is known how much it is.
const HELD_AT_FIRST: usize = 1024 * 1024;

/// How many codings may be stacked on one body. Nobody stacks them in earnest; a bomb does.
const STACK_LIMIT: usize = 4;

/// Why a body cannot be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// The content coding is not one of gzip, deflate, br and zstd.
    #[error("content coding {coding:?} is not known here; use gzip, deflate, br, zstd or none")]
    Unknown {
        /// The name that the header gives, cut at 64 characters.
        coding: String,
    },
    /// Too many codings are stacked.
    #[error("the body has more than {limit} content codings on top of each other; use one")]
    Stacked {
        /// How many may be stacked.
        limit: usize,
    },
    /// The bytes are not what the coding says.
    #[error("the body is no {coding} data; send what content-encoding names")]
    Corrupt {
        /// The coding.
        coding: &'static str,
    },
    /// The coded data stops before its end.
    #[error("the {coding} data of the body is cut short; send it whole")]
    Cut {
        /// The coding.
        coding: &'static str,
    },
    /// The body unpacks to more than the limit.
    #[error("the body unpacks to more than {limit} bytes; send less")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl CodingError {
    /// What kind of failure it is when the body is a request.
    #[must_use]
    pub const fn failure_kind(&self) -> FailureKind {
        match self {
            Self::Unknown { .. } | Self::Stacked { .. } => FailureKind::UnsupportedEncoding,
            Self::Corrupt { .. } | Self::Cut { .. } => FailureKind::BadRequest,
            Self::TooLarge { .. } => FailureKind::TooLarge,
        }
    }
}

/// Unpacks a request body; borrowed when it is not coded. `encoding` is the value of `content-encoding`, a comma list in
/// the order in which the codings were applied.
///
/// # Errors
/// [`CodingError`]. What unpacks to more than `limit` takes no more than 1 MiB of memory before that is known, whatever
/// the bytes claim.
pub fn decode_request<'a>(
    encoding: Option<&str>,
    body: &'a [u8],
    limit: usize,
) -> Result<Cow<'a, [u8]>, CodingError> {
    let mut decoder = StreamDecoder::with_limit(encoding, limit)?;
    if decoder.is_identity() {
        return if body.len() > limit {
            Err(CodingError::TooLarge { limit })
        } else {
            Ok(Cow::Borrowed(body))
        };
    }
    let (mut decoded, mut length) = (Vec::new(), 0);
    decoder.each(body, |piece| {
        length += piece.len();
        if length <= HELD_AT_FIRST {
            decoded.extend_from_slice(piece);
        }
    })?;
    decoder.finish()?;
    if length > HELD_AT_FIRST {
        // Only one that is no bomb is worth unpacking twice.
        decoded = Vec::with_capacity(length);
        StreamDecoder::with_limit(encoding, limit)?.each(body, |piece| decoded.extend_from_slice(piece))?;
    }
    Ok(Cow::Owned(decoded))
}

/// Unpacks a body piece by piece.
pub struct StreamDecoder {
    /// In the order of undoing: the last coding applied comes first.
    stages: Vec<Counted>,
    limit: usize,
    failed: bool,
}

struct Counted {
    stage: Stage,
    produced: usize,
}

impl StreamDecoder {
    /// A decoder for the codings of a `content-encoding` value that yields at most [`DECODED_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`CodingError::Unknown`] or [`CodingError::Stacked`].
    pub fn new(encoding: Option<&str>) -> Result<Self, CodingError> {
        Self::with_limit(encoding, DECODED_LIMIT)
    }

    /// The same with another limit, in bytes, for the output of each coding.
    ///
    /// # Errors
    /// [`CodingError::Unknown`] or [`CodingError::Stacked`].
    pub fn with_limit(encoding: Option<&str>, limit: usize) -> Result<Self, CodingError> {
        let mut stages = Vec::new();
        for name in encoding.unwrap_or_default().rsplit(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name.eq_ignore_ascii_case("identity") {
                continue;
            }
            let stage = Stage::named(name)
                .ok_or_else(|| CodingError::Unknown { coding: name.chars().take(64).collect() })?;
            if stages.len() == STACK_LIMIT {
                return Err(CodingError::Stacked { limit: STACK_LIMIT });
            }
            stages.push(Counted { stage, produced: 0 });
        }
        Ok(Self { stages, limit, failed: false })
    }

    /// Whether nothing is coded, so that bytes come out as they go in (and no limit applies).
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    /// Takes the next coded bytes and appends what they unpack to. What was unpacked before an error is appended too.
    ///
    /// # Errors
    /// [`CodingError`]; every further call does nothing.
    pub fn write(&mut self, bytes: &[u8], decoded: &mut Vec<u8>) -> Result<(), CodingError> {
        self.each(bytes, |piece| decoded.extend_from_slice(piece))
    }

    /// The same, with what they unpack to in pieces of at most 16 KiB (those of a body that is not coded come as they
    /// are), so that a bomb never lies in memory.
    ///
    /// # Errors
    /// [`CodingError`]; every further call does nothing.
    pub fn each(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), CodingError> {
        if self.failed {
            return Ok(());
        }
        let result = run(&mut self.stages, bytes, self.limit, &mut take);
        self.failed = result.is_err();
        result
    }

    /// Says whether the coded data was whole.
    ///
    /// # Errors
    /// [`CodingError::Cut`] when it was not, or when an earlier call failed.
    pub fn finish(&self) -> Result<(), CodingError> {
        match self.stages.iter().find(|counted| self.failed || !counted.stage.is_whole()) {
            Some(counted) => Err(CodingError::Cut { coding: counted.stage.name() }),
            None => Ok(()),
        }
    }
}

/// Undoes the first coding and hands each piece on to the next, so that nothing is kept between them.
fn run(
    stages: &mut [Counted],
    mut input: &[u8],
    limit: usize,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), CodingError> {
    let Some((first, rest)) = stages.split_first_mut() else {
        take(input);
        return Ok(());
    };
    let mut scratch = [0_u8; SCRATCH];
    loop {
        let (taken, given) = first
            .stage
            .step(input, &mut scratch)
            .map_err(|_| CodingError::Corrupt { coding: first.stage.name() })?;
        input = &input[taken..];
        let room = limit - first.produced;
        if given > 0 {
            run(rest, &scratch[..given.min(room)], limit, take)?;
        }
        if given > room {
            return Err(CodingError::TooLarge { limit });
        }
        first.produced += given;
        if given < SCRATCH && (input.is_empty() || taken + given == 0) {
            return Ok(());
        }
    }
}
