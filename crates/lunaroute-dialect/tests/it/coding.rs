//! Content codings.

use std::borrow::Cow;
use std::io::Write as _;

use lunaroute_dialect::coding::{CodingError, StreamDecoder, decode_request};
use proptest::prelude::*;

/// Codes bytes, for every test that needs coded ones.
pub(crate) fn encode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    let written = "memory takes everything";
    match coding {
        "gzip" | "x-gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).expect(written);
            encoder.finish().expect(written)
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).expect(written);
            encoder.finish().expect(written)
        }
        "raw deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).expect(written);
            encoder.finish().expect(written)
        }
        "br" => {
            let mut coded = Vec::new();
            brotli::CompressorWriter::new(&mut coded, 4096, 2, 22).write_all(bytes).expect(written);
            coded
        }
        "zstd" => zstd::encode_all(bytes, 3).expect(written),
        other => panic!("no such coding: {other}"),
    }
}

const LIMIT: usize = 1 << 20;

#[test]
fn every_coding_is_undone_and_none_is_borrowed() {
    let body = "{\"model\":\"m\",\"messages\":[]}".repeat(500);
    let body = body.as_bytes();
    for coding in ["gzip", "x-gzip", "deflate", "br", "zstd"] {
        let coded = encode(coding, body);
        assert_eq!(decode_request(Some(coding), &coded, LIMIT).as_deref(), Ok(body), "{coding}");
        assert_eq!(
            decode_request(Some(&coding.to_uppercase()), &coded, LIMIT).as_deref(),
            Ok(body),
            "{coding}"
        );
        for cut in [0, 1, coded.len() / 2, coded.len() - 1] {
            let error = decode_request(Some(coding), &coded[..cut], LIMIT).expect_err("it is cut");
            assert!(matches!(error, CodingError::Cut { .. }), "{coding} cut at {cut}: {error}");
        }
        let error =
            decode_request(Some(coding), b"{\"model\": \"m\", and so on}", LIMIT).expect_err("corrupt");
        assert!(matches!(error, CodingError::Corrupt { .. } | CodingError::Cut { .. }), "{coding}: {error}");
    }
    assert_eq!(decode_request(Some("deflate"), &encode("raw deflate", body), LIMIT).as_deref(), Ok(body));
    for none in [None, Some(""), Some("identity"), Some(" , identity")] {
        assert!(matches!(decode_request(none, body, LIMIT), Ok(Cow::Borrowed(same)) if same == body));
    }
    assert_eq!(decode_request(None, body, 10), Err(CodingError::TooLarge { limit: 10 }));
}

#[test]
fn stacked_codings_are_undone_backwards_and_bounded() {
    let twice = encode("zstd", &encode("gzip", b"hello"));
    assert_eq!(decode_request(Some("gzip, zstd"), &twice, LIMIT).as_deref(), Ok(b"hello".as_slice()));
    let five = Some("gzip,gzip,gzip,gzip,gzip");
    assert_eq!(decode_request(five, b"", LIMIT), Err(CodingError::Stacked { limit: 4 }));
    let unknown = decode_request(Some("gzip, compress"), b"", LIMIT);
    assert_eq!(unknown, Err(CodingError::Unknown { coding: "compress".into() }));
}

#[test]
fn errors_have_the_status_that_clients_expect() {
    let status = |coding, body: &[u8]| {
        decode_request(Some(coding), body, 8).map_err(|error| error.failure_kind().status().as_u16()).err()
    };
    assert_eq!(status("lzma", b""), Some(415));
    assert_eq!(status("gzip", b"{}"), Some(400));
    assert_eq!(status("zstd", &encode("zstd", b"hello")[..9]), Some(400));
    assert_eq!(status("br", &encode("br", b"more than eight bytes")), Some(413));
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0_u8; 11 << 20];
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bomb = encode(coding, &zeros);
        assert!(bomb.len() < 64 << 10, "{coding} packs {} bytes", bomb.len());
        assert_eq!(decode_request(Some(coding), &bomb, LIMIT), Err(CodingError::TooLarge { limit: LIMIT }));
        let nested = encode("gzip", &bomb);
        let list = format!("{coding}, gzip");
        assert_eq!(decode_request(Some(&list), &nested, LIMIT), Err(CodingError::TooLarge { limit: LIMIT }));
        let mut decoder = StreamDecoder::with_limit(Some(coding), LIMIT).expect("known");
        let mut decoded = Vec::new();
        let results: Vec<_> = bomb.chunks(100).map(|piece| decoder.write(piece, &mut decoded)).collect();
        assert!(results.contains(&Err(CodingError::TooLarge { limit: LIMIT })), "{coding}");
        assert_eq!(decoded.len(), LIMIT, "{coding}");
        assert!(decoder.finish().is_err(), "{coding}");
    }
}

#[test]
fn a_body_beyond_what_is_held_at_first_comes_out_whole() {
    let body: Vec<u8> = (0..9_u32 << 20).map(|number| (number / 64 % 251) as u8).collect();
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let coded = encode(coding, &body);
        let decoded = decode_request(Some(coding), &coded, 16 << 20).expect("it is sound");
        assert!(*decoded == *body, "{coding}");
    }
}

#[test]
fn what_a_bomb_unpacks_to_comes_in_small_pieces() {
    for coding in ["gzip", "br", "zstd"] {
        let nested = encode("gzip", &encode(coding, &vec![0_u8; 11 << 20]));
        let mut decoder =
            StreamDecoder::with_limit(Some(&format!("{coding}, gzip")), 10 << 20).expect("known");
        let (mut largest, mut whole) = (0, 0);
        let outcome = decoder.each(&nested, |piece| {
            largest = largest.max(piece.len());
            whole += piece.len();
        });
        assert_eq!(outcome, Err(CodingError::TooLarge { limit: 10 << 20 }), "{coding}");
        assert_eq!(whole, 10 << 20, "{coding}");
        assert!(largest <= 16 << 10, "{coding}: {largest}");
    }
}

#[test]
fn frames_and_members_may_follow_each_other() {
    let gzip = [encode("gzip", b"one "), encode("gzip", b"two"), vec![0; 9]].concat();
    assert_eq!(decode_request(Some("gzip"), &gzip, LIMIT).as_deref(), Ok(b"one two".as_slice()));
    // A skippable frame: magic number, length, then that many bytes of anything.
    let skippable = [&0x184D_2A50_u32.to_le_bytes()[..], &5_u32.to_le_bytes(), b"skip!"].concat();
    let zstd = [skippable.clone(), encode("zstd", b"one "), skippable, encode("zstd", b"two")].concat();
    assert_eq!(decode_request(Some("zstd"), &zstd, LIMIT).as_deref(), Ok(b"one two".as_slice()));
    // One that claims 4 GiB and has none of them.
    let claim = [&0x184D_2A50_u32.to_le_bytes()[..], &u32::MAX.to_le_bytes()].concat();
    assert_eq!(decode_request(Some("zstd"), &claim, LIMIT), Err(CodingError::Cut { coding: "zstd" }));
    let members = encode("gzip", b"").repeat(5000);
    assert_eq!(decode_request(Some("gzip"), &members, LIMIT), Err(CodingError::Corrupt { coding: "gzip" }));
}

#[test]
fn a_window_that_asks_for_much_memory_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(27).expect("a window");
    encoder.write_all(b"small").expect("memory takes everything");
    let frame = encoder.finish().expect("memory takes everything");
    assert_eq!(decode_request(Some("zstd"), &frame, LIMIT), Err(CodingError::Corrupt { coding: "zstd" }));
}

proptest! {
    #[test]
    fn pieces_unpack_to_the_whole(
        body in prop::collection::vec(any::<u8>(), 0..3000),
        repeat in 1_usize..20,
        piece in 1_usize..200,
        which in 0_usize..4,
    ) {
        let coding = ["gzip", "deflate", "br", "zstd"][which];
        let body = body.repeat(repeat);
        let coded = encode(coding, &body);
        let mut decoder = StreamDecoder::new(Some(coding)).expect("known");
        let mut decoded = Vec::new();
        for piece in coded.chunks(piece) {
            decoder.write(piece, &mut decoded).expect("sound");
        }
        prop_assert_eq!(decoder.finish(), Ok(()));
        prop_assert_eq!(decoded, body);
    }

    #[test]
    fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), which in 0_usize..4) {
        let coding = ["gzip", "deflate", "br", "zstd"][which];
        // The outcome is the coding's; what matters is that there is one, and that it is bounded.
        if let Ok(decoded) = decode_request(Some(coding), &bytes, 4096) {
            prop_assert!(decoded.len() <= 4096);
        }
    }
}
