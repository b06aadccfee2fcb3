//! Bodies that are made to hurt: depth, width, and what drives a reader back again and again.

use std::time::{Duration, Instant};

use lunaroute_core::{Delta, Dialect, Interpreter as _, Operation};
use lunaroute_dialect::sse::Framer;
use lunaroute_dialect::{Dialects, EndWatch, peek};

use crate::{exchange, generation, read};

/// One large input may take as long as the small ones of the same length together, and a few times that for noise; were
/// the time its square, it would take [`TIMES`] times as long. Both sides do the same work, so that they lose the same to
/// whatever else runs on the machine.
#[track_caller]
fn check_growth(name: &str, input: impl Fn(usize) -> Vec<u8>, run: impl Fn(&[u8])) {
    const SMALL: usize = 600;
    const TIMES: usize = 24;
    let (small, large) = (input(SMALL), input(TIMES * SMALL));
    let timed = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let (whole, parts) = (|| run(&large), || (0..TIMES).for_each(|_| run(&small)));
    let (mut once, mut often, mut grown) = (Duration::MAX, Duration::MAX, f64::MAX);
    for attempt in 0..10 {
        if attempt % 2 == 0 {
            once = once.min(timed(&whole));
        }
        often = often.min(timed(&parts));
        // Each comes first in its turn: what else runs may interrupt the same place of every attempt.
        if attempt % 2 == 1 {
            once = once.min(timed(&whole));
        }
        grown = once.as_secs_f64() / often.as_secs_f64().max(1e-6);
        if grown < 6.0 {
            break;
        }
    }
    println!("{name}: {} bytes take {grown:.1} times as long as {TIMES} times {}", large.len(), small.len());
    assert!(grown < 6.0, "{name} takes {grown:.1} times as long as its length allows");
}

/// A kind of body, and how it is made so many parts large.
type Shape = (&'static str, fn(usize) -> Vec<u8>);

fn shapes() -> Vec<Shape> {
    fn of(before: &str, repeated: &str, after: &str, count: usize) -> Vec<u8> {
        format!("{before}{}{after}", repeated.repeat(count)).into_bytes()
    }
    vec![
        ("deep arrays", |n| of(r#"{"messages":"#, "[", "", n)),
        ("deep objects", |n| of(r#"{"messages":[{"content":"#, "{\"a\":", "", n)),
        ("many names", |n| of("{", r#""name":1,"#, r#""model":"m"}"#, n)),
        ("the same name", |n| of("{", r#""messages":[{"role":"user","content":"x"}],"#, r#""input":[]}"#, n)),
        ("many messages", |n| of(r#"{"messages":["#, "{\"role\":\"user\",\"content\":\"x\"},", "{}]}", n)),
        ("many parts", |n| {
            of(r#"{"messages":[{"role":"user","content":["#, "{\"type\":\"tool_result\"},", "0]}]}", n)
        }),
        ("lone surrogates", |n| of(r#"{"messages":[{"content":""#, "\\ud800", "\"}]}", n)),
        ("quotes in a string", |n| of(r#"{"messages":[{"content":""#, "\\\"", "\"}]}", n)),
        ("backslashes in a string", |n| of(r#"{"messages":[{"content":""#, "\\\\", "\"}]}", n)),
        ("backslashes in a name", |n| of(r#"{""#, "\\\\", "\":1}", n)),
        ("backslashes outside", |n| of(r#"{"messages":["#, "{\\\"a\":[1]},", "0]}", n)),
        ("broken members", |n| of(r#"{"messages":["#, r#"{"content":["x" "y"] "z"},"#, "0]}", n)),
        ("broken objects in broken objects", |n| of(r#"{"messages":[{"content":"#, r#"{"text" ["#, "", n)),
        ("unfinished strings", |n| of("{", "\"a\":\"b\",\"", "", n)),
    ]
}

#[test]
fn no_body_takes_longer_than_its_length_allows() {
    for (name, input) in shapes() {
        for dialect in Dialect::ALL {
            check_growth(&format!("peek at {name}, {dialect}"), input, |body| {
                std::hint::black_box(peek(dialect, body));
            });
            let exchange = exchange(dialect, generation(dialect), &[]);
            check_growth(&format!("reading {name}, {dialect}"), input, |body| {
                std::hint::black_box(Dialects.request(&exchange, body));
            });
        }
    }
}

#[test]
fn many_events_in_one_frame_take_as_long_as_in_many() {
    let events = |count: usize| {
        let event = "event: x\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\r\n\r\n";
        event.repeat(count / 10).into_bytes()
    };
    for dialect in Dialect::ALL {
        check_growth(&format!("a watch for the end, {dialect}"), events, |frame| {
            let mut watch = EndWatch::new(dialect, generation(dialect));
            watch.push(frame);
            assert!(!watch.ended());
        });
    }
    check_growth("events", events, |frame| {
        let mut count = 0;
        Framer::new().push(frame, |_| count += 1);
        assert!(count > 0);
    });
}

#[test]
fn depth_and_width_cost_no_stack() {
    const MANY: usize = 200_000;
    for open in ["[", "{\"a\":", "{\"messages\":[", "[{\"content\":["] {
        let body = format!(r#"{{"model":"m","messages":[{}"#, open.repeat(MANY));
        for dialect in Dialect::ALL {
            let found = peek(dialect, body.as_bytes());
            assert!(found.model.is_some() || !found.model_again.is_empty(), "{open}");
            let exchange = exchange(dialect, generation(dialect), &[]);
            assert!(Dialects.request(&exchange, body.as_bytes()).problem.is_some(), "{open}: cut short");
        }
    }
    let wide = format!("{{{}\"model\":\"m\"}}", "\"model\":1,".repeat(MANY));
    assert_eq!(
        peek(Dialect::OpenaiChat, wide.as_bytes()).model.map(|model| model.value).as_deref(),
        Some("m")
    );
    let answer = format!(r#"{{"choices":{}{}}}"#, "[".repeat(MANY), "]".repeat(MANY));
    let exchange = exchange(Dialect::OpenaiChat, Operation::Chat, &[]);
    assert_eq!(read(&exchange, 200, &[], [answer.as_bytes()]).last(), Some(&Delta::End));
}
