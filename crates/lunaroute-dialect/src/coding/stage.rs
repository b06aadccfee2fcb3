//! One content coding being undone, in steps of bounded output.

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// Most bytes that one step gives.
pub(super) const SCRATCH: usize = 16 * 1024;

/// The largest window that a zstd frame may ask memory for, as a power of two: 8 MiB, the most that RFC 9659 lets a
/// sender use on the web.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How many gzip members one body may have. Each costs a fresh decoder, so empty ones by the million would cost time.
const MEMBER_LIMIT: u32 = 1024;

/// The bytes are not what the coding says.
pub(super) struct Broken;

type Brotli = BrotliState<HeapAlloc<u8>, HeapAlloc<u32>, HeapAlloc<HuffmanCode>>;

pub(super) enum Stage {
    Gzip { inflate: Decompress, ended: bool, members: u32 },
    Deflate { inflate: Option<Decompress>, ended: bool },
    Brotli { state: Box<Brotli>, ended: bool },
    Zstd { decoder: Decoder<'static>, ended: bool },
}

impl Stage {
    /// The decoder for a coding by its registered name; `None` for an unknown one.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip { inflate: Decompress::new_gzip(15), ended: false, members: 1 },
            "deflate" => Self::Deflate { inflate: None, ended: false },
            // Strict: the "large window" variant, which is no web coding, may ask for 1 GiB.
            "br" => Self::Brotli {
                state: Box::new(BrotliState::new_strict(
                    HeapAlloc::new(0),
                    HeapAlloc::new(0),
                    HeapAlloc::new(HuffmanCode::default()),
                )),
                ended: false,
            },
            "zstd" => {
                let mut decoder = Decoder::new().ok()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
                Self::Zstd { decoder, ended: false }
            }
            _ => return None,
        })
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Gzip { .. } => "gzip",
            Self::Deflate { .. } => "deflate",
            Self::Brotli { .. } => "br",
            Self::Zstd { .. } => "zstd",
        }
    }

    /// Whether the bytes so far end where the coded data ends.
    pub(super) const fn is_whole(&self) -> bool {
        match self {
            Self::Gzip { ended, .. }
            | Self::Deflate { ended, .. }
            | Self::Brotli { ended, .. }
            | Self::Zstd { ended, .. } => *ended,
        }
    }

    /// Takes some of `input`, gives some of the output: the two counts. Neither moves when there is nothing to do.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Broken> {
        match self {
            Self::Gzip { inflate, ended, members } => {
                if *ended {
                    // Another member may follow (RFC 1952, section 2.2); padding behind the last one is let go.
                    if input.first() != Some(&0x1f) {
                        return Ok((input.len(), 0));
                    }
                    *members += 1;
                    if *members > MEMBER_LIMIT {
                        return Err(Broken);
                    }
                    (*inflate, *ended) = (Decompress::new_gzip(15), false);
                }
                inflate_step(inflate, ended, input, output)
            }
            Self::Deflate { inflate, ended } => {
                let Some(&first) = input.first() else { return flush(inflate.as_mut(), ended, output) };
                if *ended {
                    return Ok((input.len(), 0));
                }
                // The name means zlib, but raw deflate is sent under it too; a zlib header's first nibble is 8, which
                // no encoder of raw deflate begins with.
                let inflate = inflate.get_or_insert_with(|| Decompress::new(first & 0x0f == 8));
                inflate_step(inflate, ended, input, output)
            }
            Self::Brotli { state, ended } => {
                if *ended {
                    return Ok((input.len(), 0));
                }
                brotli_step(state, ended, input, output)
            }
            Self::Zstd { decoder, ended } => {
                let status = decoder.run_on_buffers(input, output).map_err(|_| Broken)?;
                if status.bytes_read + status.bytes_written > 0 {
                    *ended = status.remaining == 0;
                }
                Ok((status.bytes_read, status.bytes_written))
            }
        }
    }
}

fn flush(
    inflate: Option<&mut Decompress>,
    ended: &mut bool,
    output: &mut [u8],
) -> Result<(usize, usize), Broken> {
    match inflate {
        Some(inflate) if !*ended => inflate_step(inflate, ended, &[], output),
        _ => Ok((0, 0)),
    }
}

fn inflate_step(
    inflate: &mut Decompress,
    ended: &mut bool,
    input: &[u8],
    output: &mut [u8],
) -> Result<(usize, usize), Broken> {
    let before = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, output, FlushDecompress::None).map_err(|_| Broken)?;
    *ended = status == Status::StreamEnd;
    // Both differences are at most the lengths of the slices above.
    let taken = usize::try_from(inflate.total_in() - before.0).map_err(|_| Broken)?;
    let given = usize::try_from(inflate.total_out() - before.1).map_err(|_| Broken)?;
    Ok((taken, given))
}

fn brotli_step(
    state: &mut Brotli,
    ended: &mut bool,
    input: &[u8],
    output: &mut [u8],
) -> Result<(usize, usize), Broken> {
    let (mut available_in, mut taken) = (input.len(), 0);
    let (mut available_out, mut given, mut total) = (output.len(), 0, 0);
    let result = BrotliDecompressStream(
        &mut available_in,
        &mut taken,
        input,
        &mut available_out,
        &mut given,
        output,
        &mut total,
        state,
    );
    match result {
        BrotliResult::ResultFailure => return Err(Broken),
        BrotliResult::ResultSuccess => *ended = true,
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
    }
    Ok((taken, given))
}
