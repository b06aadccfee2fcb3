//! What damaged input has found, each thing once.

use lunaroute_core::Dialect;
use lunaroute_dialect::cross::{Asked, translate_answer};

use crate::{exchange, generation, read};

#[test]
fn white_space_before_an_error_is_no_part_of_it_however_it_is_cut() {
    for dialect in Dialect::ALL {
        let exchange = exchange(dialect, generation(dialect), &[]);
        let whole = read(&exchange, 429, &[], [b" \n\"slow\"".as_slice()]);
        let cut = read(&exchange, 429, &[], [b" ".as_slice(), b"\n", b"\"slow\""]);
        assert_eq!(whole, cut, "{dialect}");
    }
}

#[test]
fn figures_beyond_all_bounds_are_told_as_the_most_that_there_is() {
    let answer = format!(
        r#"{{"id":"m","type":"message","model":"m","content":[],"stop_reason":"end_turn","usage":{{"input_tokens":{most},
            "cache_creation":{{"ephemeral_5m_input_tokens":{most},"ephemeral_1h_input_tokens":{most}}},"output_tokens":{most}}}}}"#,
        most = u64::MAX
    );
    for (to, details, read, written) in [
        (Dialect::OpenaiChat, "prompt_tokens_details", "prompt_tokens", "cache_write_tokens"),
        (Dialect::OpenaiResponses, "input_tokens_details", "input_tokens", "cache_write_tokens"),
    ] {
        let told = translate_answer(Dialect::Anthropic, to, answer.as_bytes(), &Asked::default())
            .expect("an answer")
            .expect("one that did not fail");
        let usage = &told["usage"];
        assert_eq!((&usage[read], &usage["total_tokens"]), (&u64::MAX.into(), &u64::MAX.into()), "{to}");
        assert_eq!(usage[details][written], u64::MAX, "{to}");
    }
}
