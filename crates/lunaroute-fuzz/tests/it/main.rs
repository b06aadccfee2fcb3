//! Short runs of every target, and what a run makes of mistakes.

use std::path::Path;

use lunaroute_fuzz::{Amount, Corpus, Outcome, Run, Shape, Target, targets};

fn all() -> Vec<Target> {
    let sources = "../lunaroute-dialect/tests/fixtures/cross/sources";
    targets(&Corpus::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(sources)).expect("the fixtures"))
}

fn run(target: &Target, inputs: u64, seed: u64) -> (Outcome, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let run = Run { amount: Amount::Inputs(inputs), seed, findings: folder.path().join("findings") };
    (run.target(target).expect("runs"), folder)
}

/// Tries every target whose name begins so, and expects nothing to be found.
#[track_caller]
fn check(prefix: &str, inputs: u64, count: usize) {
    let targets: Vec<Target> = all().into_iter().filter(|target| target.name().starts_with(prefix)).collect();
    assert_eq!(targets.len(), count, "{prefix}");
    for target in targets {
        let (outcome, _folder) = run(&target, inputs, 7);
        assert_eq!(outcome.inputs, inputs);
        assert!(outcome.findings.is_empty(), "{}: {:#?}", target.name(), outcome.findings);
    }
}

#[test]
fn requests() {
    check("request:", 400, 4);
}

#[test]
fn answers() {
    check("answer:", 400, 4);
}

#[test]
fn streams() {
    check("stream:", 400, 4);
}

#[test]
fn framing_and_the_journal() {
    check("sse", 400, 1);
    check("journal", 400, 1);
}

#[test]
fn translated_requests() {
    check("translate-request:", 300, 12);
}

#[test]
fn translated_answers() {
    check("translate-answer:", 300, 12);
}

#[test]
fn translated_streams() {
    check("translate-stream:", 150, 12);
}

/// A reader that stumbles over one word.
fn stumbling() -> Target {
    let corpus = vec![br#"{"list":[{"word":"needle"},{"word":"straw"}],"more":{"deep":[1,2,3]}}"#.to_vec()];
    Target::new("stumbling", Shape::Json, corpus, |input, _| {
        let text = String::from_utf8_lossy(input);
        let Some(at) = text.find("needleneedle") else { return Ok(()) };
        assert!(at > 100_000, "the word stands at {at}");
        Ok(())
    })
}

#[test]
fn a_panic_is_found_once_and_made_small() {
    let (outcome, _folder) = run(&stumbling(), 3_000, 1);
    let [finding] = &outcome.findings[..] else { panic!("one mistake, found once: {:?}", outcome.findings) };
    assert!(finding.what.contains("the word stands at"), "{}", finding.what);
    let input = std::fs::read(finding.input.as_ref().expect("an input")).expect("it was saved");
    assert_eq!(String::from_utf8_lossy(&input), "needleneedle");
    assert!(Run::again(&stumbling(), &input, finding.case).is_err());
}

#[test]
fn a_seed_gives_the_same_findings_again() {
    let found = |seed| -> Vec<(String, u64)> {
        let (outcome, _folder) = run(&stumbling(), 3_000, seed);
        outcome.findings.into_iter().map(|finding| (finding.what, finding.case)).collect()
    };
    assert_eq!(found(1), found(1));
    assert_ne!(found(1), found(2));
}

#[test]
fn every_valid_body_passes_its_targets() {
    let targets = all();
    let names: Vec<&str> = targets.iter().map(Target::name).collect();
    let unique: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    // Every valid body passes every check of its own target, whatever is chosen by chance.
    for target in &targets {
        for case in 0..8 {
            for input in target.valid() {
                Run::again(target, input, case).unwrap_or_else(|what| panic!("{}: {what}", target.name()));
            }
        }
    }
}
