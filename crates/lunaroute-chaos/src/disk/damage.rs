//! A journal that is cut at every byte, and in which every bit is flipped.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result};
use lunaroute_storage::journal::{
    Damage, Frame, Journal, JournalConfig, JournalReader, Position, Record, SegmentInfo,
};

use crate::report::{Promise, Report};
use crate::stage::client::noise;

/// A reader looks at the damaged segment and the next one; short segments keep that cheap.
const SEGMENT_BYTES: u64 = 8 << 10;
const LONGEST: usize = 1_200;

/// What was found over all damage.
#[derive(Debug, Default)]
struct Found {
    cuts: usize,
    flips: usize,
    panics: usize,
    lost: usize,
    invented: usize,
    uncounted: usize,
}

/// Damages a journal of so many KiB everywhere, on as many threads as there are processors.
pub(super) fn run(kibibytes: usize) -> Result<Report> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let found = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..workers).map(|worker| scope.spawn(move || damage(kibibytes, worker, workers))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>>>()
    })?;
    let sum = |figure: fn(&Found) -> usize| found.iter().map(figure).sum::<usize>();
    let none = Promise::Exactly(0.0);
    let mut report = Report::new(format!("a journal of {kibibytes} KiB"));
    report.count("cuts, one at every byte", sum(|found| found.cuts), Promise::Told);
    report.count("flips, one of every bit", sum(|found| found.flips), Promise::Told);
    report.count("panics", sum(|found| found.panics), none);
    report.count("whole frames lost", sum(|found| found.lost), none);
    report.count("invented frames", sum(|found| found.invented), none);
    report.count("damage that was not counted", sum(|found| found.uncounted), none);
    Ok(report)
}

/// Damages every `workers`th segment of a journal of its own.
fn damage(kibibytes: usize, worker: usize, workers: usize) -> Result<Found> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let segments = write(folder.path(), kibibytes)?;
    let mut found = Found::default();
    for index in (worker..segments.len()).step_by(workers) {
        // By themselves: a reader lists the directory, and it reads millions of times.
        let apart = tempfile::tempdir_in(folder.path()).context("no temporary folder")?;
        let hood = &segments[index..segments.len().min(index + 2)];
        for segment in hood {
            let name = file_name(segment);
            fs::copy(folder.path().join(&name), apart.path().join(&name))
                .with_context(|| format!("cannot copy {name}"))?;
        }
        let hood = Neighbourhood::new(apart.path(), hood)?;
        hood.cut(&mut found)?;
        hood.flip(&mut found)?;
    }
    Ok(found)
}

/// A journal that is a little longer than asked for.
fn write(directory: &Path, kibibytes: usize) -> Result<Vec<SegmentInfo>> {
    let config =
        JournalConfig { segment_bytes: SEGMENT_BYTES, ballast_bytes: 0, ..JournalConfig::new(directory) };
    let (mut journal, _) = Journal::open(config).context("a journal cannot be made")?;
    let (mut bytes, mut number) = (0, 0_usize);
    while bytes < kibibytes << 10 {
        let payload = noise(&number.to_string(), number * 7_919 % LONGEST);
        bytes += payload.len();
        number += 1;
        journal
            .append(&[Record { kind: 1, parts: &[payload.as_bytes()] }])
            .context("a journal cannot grow")?;
    }
    journal.sync().context("a journal cannot be synced")?;
    journal.segments().context("a journal cannot be listed")
}

fn file_name(segment: &SegmentInfo) -> String {
    format!("{:020}.journal", segment.number)
}

/// One segment and the next.
struct Neighbourhood<'a> {
    directory: &'a Path,
    path: std::path::PathBuf,
    bytes: Vec<u8>,
    start: Position,
    end: Position,
    /// What both hold, and how many of that is in the first.
    frames: Vec<Frame>,
    own: usize,
}

impl<'a> Neighbourhood<'a> {
    fn new(directory: &'a Path, segments: &[SegmentInfo]) -> Result<Self> {
        let (first, last) = (segments[0], segments[segments.len() - 1]);
        let path = directory.join(file_name(&first));
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let start = Position { segment: first.number, offset: 0 };
        let end = Position { segment: last.number, offset: last.bytes };
        let mut whole = Self { directory, path, bytes, start, end, frames: Vec::new(), own: 0 };
        whole.frames = whole.read()?.0;
        whole.own = whole.frames.iter().filter(|frame| frame.position.segment == first.number).count();
        Ok(whole)
    }

    fn read(&self) -> Result<(Vec<Frame>, Damage)> {
        let mut reader =
            JournalReader::open(self.directory, self.start).context("a journal cannot be read")?;
        let mut frames = Vec::new();
        while let Some(frame) = reader.next(self.end).context("a journal cannot be read")? {
            frames.push(frame);
        }
        Ok((frames, reader.damage()))
    }

    /// Ends the segment after every number of bytes, the longest first.
    fn cut(&self, found: &mut Found) -> Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let mut whole = self.own;
        for length in (0..self.bytes.len() as u64).rev() {
            file.set_len(length)?;
            while whole > 0 && self.frames[whole - 1].next.offset > length {
                whole -= 1;
            }
            let torn = length - whole.checked_sub(1).map_or(0, |last| self.frames[last].next.offset);
            self.judge(&[&self.frames[..whole], &self.frames[self.own..]], torn, found);
            found.cuts += 1;
        }
        file.write_all_at(&self.bytes, 0)?;
        Ok(())
    }

    /// Flips every bit of the segment, one at a time.
    fn flip(&self, found: &mut Found) -> Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let mut hit = 0;
        for (index, byte) in self.bytes.iter().enumerate() {
            while self.frames[hit].next.offset <= index as u64 {
                hit += 1;
            }
            let lost = self.frames[hit].next.offset - self.frames[hit].position.offset;
            for bit in 0..8 {
                file.write_all_at(&[byte ^ 1 << bit], index as u64)?;
                self.judge(&[&self.frames[..hit], &self.frames[hit + 1..]], lost, found);
                found.flips += 1;
            }
            file.write_all_at(&[*byte], index as u64)?;
        }
        Ok(())
    }

    /// Reads, and compares with what has to be there and with the bytes that have to be counted as damaged.
    fn judge(&self, expected: &[&[Frame]; 2], damaged: u64, found: &mut Found) {
        let Ok(Ok((frames, damage))) = catch_unwind(AssertUnwindSafe(|| self.read())) else {
            found.panics += 1;
            return;
        };
        let count = expected[0].len() + expected[1].len();
        if !frames.iter().eq(expected.iter().copied().flatten()) {
            let known = |frame: &&Frame| expected.iter().any(|part| part.contains(frame));
            let kept = frames.iter().filter(known).count();
            found.lost += count.saturating_sub(kept);
            found.invented += frames.len() - kept;
        }
        found.uncounted += usize::from(damage.damaged_bytes + damage.torn_bytes != damaged);
    }
}
