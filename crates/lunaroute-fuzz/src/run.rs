//! Runs one target: case after case, each made by its number.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::guard::{caught, peak_memory};
use crate::mutate;
use crate::reduce::reduced;
use crate::target::Target;

/// No input of these sizes may take longer.
const LONGEST: Duration = Duration::from_secs(1);
/// What takes longer than this never ends: nothing else can be tried in this process.
const NEVER: Duration = Duration::from_secs(20);
/// By this much the process may grow in one target, in bytes.
const MEMORY: u64 = 256 * 1024 * 1024;
/// After so many different findings a target has work enough.
const FINDINGS: usize = 5;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So many inputs.
    Inputs(u64),
    /// Until this time is over.
    Time(Duration),
}

/// How targets are run.
#[derive(Debug, Clone)]
pub struct Run {
    /// How much each target gets.
    pub amount: Amount,
    /// From which number all cases are made.
    pub seed: u64,
    /// The folder in which findings are saved; it is made when there is one.
    pub findings: PathBuf,
}

/// What one target came to.
#[derive(Debug)]
pub struct Outcome {
    /// Inputs tried.
    pub inputs: u64,
    /// How long that took.
    pub took: Duration,
    /// What was found, each mistake once.
    pub findings: Vec<Finding>,
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    /// The number that the check makes its own choices from, such as where bytes are cut.
    pub case: u64,
    /// Where the smallest input that shows it was saved; `None` when no single input does.
    pub input: Option<PathBuf>,
}

/// The input that is looked at now, for whoever waits for its end.
type Now = Mutex<Option<(Instant, Vec<u8>, u64)>>;

impl Run {
    /// Tries a target.
    ///
    /// # Errors
    /// When a finding cannot be saved. An input that is never done with ends the process with 1, after it was saved.
    pub fn target(&self, target: &Target) -> Result<Outcome> {
        let (now, (done, wait)) = (Now::default(), sync_channel::<()>(0));
        thread::scope(|scope| {
            // A thread of its own: it has the stack that a worker of the gateway has.
            let work = scope.spawn(|| {
                let outcome = self.cases(target, &now);
                drop(done);
                outcome
            });
            while wait.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                self.end_if_stuck(target, &now);
            }
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn cases(&self, target: &Target, now: &Now) -> Result<Outcome> {
        let (started, memory) = (Instant::now(), peak_memory());
        let (mut inputs, mut findings, mut known) = (0, Vec::new(), BTreeSet::new());
        while findings.len() < FINDINGS && !self.amount.is_reached(inputs, started) {
            let case = case(self.seed, target.name(), inputs);
            inputs += 1;
            let input = mutate::input(&mut Rng::with_seed(case), target.shape, &target.corpus, &target.pool);
            let Err(what) = tried(target, &input, case, now) else { continue };
            if known.insert(kind(&what)) {
                let same = |input: &[u8]| {
                    tried(target, input, case, now).is_err_and(|other| kind(&other) == kind(&what))
                };
                let small = reduced(&input, same);
                let what = tried(target, &small, case, now).err().unwrap_or(what);
                findings.push(Finding { what, case, input: Some(self.save(target, &small, case)?) });
            }
        }
        if let Some(grown) = peak_memory().zip(memory).map(|(peak, before)| peak - before)
            && grown > MEMORY
        {
            let what = format!("the process grew by {} MiB", grown >> 20);
            findings.push(Finding { what, case: self.seed, input: None });
        }
        Ok(Outcome { inputs, took: started.elapsed(), findings })
    }

    /// Tries one input again, such as one that was saved.
    ///
    /// # Errors
    /// What is wrong.
    pub fn again(target: &Target, input: &[u8], case: u64) -> Result<(), String> {
        tried(target, input, case, &Now::default())
    }

    fn save(&self, target: &Target, input: &[u8], case: u64) -> Result<PathBuf> {
        let path = self.findings.join(format!("{}-{case}", target.name()));
        write(&path, input)?;
        Ok(path)
    }

    fn end_if_stuck(&self, target: &Target, now: &Now) {
        let now = now.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((since, input, case)) = now.as_ref() else { return };
        if since.elapsed() > NEVER {
            let saved = self.save(target, input, *case);
            eprintln!(
                "{}: an input takes more than {} s, case {case}: {saved:?}",
                target.name(),
                NEVER.as_secs()
            );
            std::process::exit(1);
        }
    }
}

impl Amount {
    fn is_reached(self, inputs: u64, started: Instant) -> bool {
        match self {
            Self::Inputs(most) => inputs >= most,
            Self::Time(most) => started.elapsed() >= most,
        }
    }
}

fn tried(target: &Target, input: &[u8], case: u64, now: &Now) -> Result<(), String> {
    let set = |what| *now.lock().unwrap_or_else(PoisonError::into_inner) = what;
    // Slow three times in a row: on a loaded machine once says nothing.
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        set(Some((Instant::now(), input.to_vec(), case)));
        let (outcome, took) = caught(|| (target.check)(input, &mut Rng::with_seed(!case)));
        set(None);
        outcome?;
        longest = took;
        if took <= LONGEST {
            return Ok(());
        }
    }
    Err(format!("{} bytes take {longest:?}", input.len()))
}

/// The same mistake is known by its words, whatever their numbers and quotations are.
fn kind(what: &str) -> String {
    let line = what.lines().next().unwrap_or_default();
    let mut quoted = false;
    let mut kind = String::new();
    for letter in line.chars().filter(|letter| !letter.is_ascii_digit()) {
        quoted ^= matches!(letter, '"' | '\'' | '`');
        if !quoted {
            kind.push(letter);
        }
    }
    kind
}

/// The number of a case: another for each seed, target and place.
fn case(seed: u64, target: &str, number: u64) -> u64 {
    let mut mixed = target.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mixed = mixed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{case, kind};

    #[test]
    fn a_case_is_its_seed_its_target_and_its_place() {
        assert_eq!(case(1, "a", 5), case(1, "a", 5));
        let others = [case(1, "a", 6), case(2, "a", 5), case(1, "b", 5)];
        assert!(others.iter().all(|other| *other != case(1, "a", 5)));
    }

    #[test]
    fn a_mistake_is_known_whatever_its_numbers_are() {
        assert_eq!(kind("block 3 opened twice at \"x\"\nmore"), kind("block 14 opened twice at \"y\""));
        assert_ne!(kind("block 3 opened twice"), kind("block 3 closed twice"));
    }
}
