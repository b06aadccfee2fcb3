//! What the clients of a test saw, and the comparison of that and the provider's ledger with the record.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lunaroute_session::query::{Page, RequestDetail, RequestFilter, SessionQuery, SqliteQuery};
use lunaroute_sim::Ledger;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::Call;
use super::gateway;
use super::stage::query;

/// The header by which a request is known on all sides.
pub(crate) const MARK: &str = "x-test-id";

/// Longest life of one observed request.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one client saw of its request, whatever became of the gateway.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) mark: String,
    /// All bytes of the answer as they came, head and framing included.
    raw: Vec<u8>,
}

/// Sends a request on a connection of its own and watches what comes until either side is gone; `alive` counts pieces.
pub(crate) async fn watch(address: SocketAddr, mark: String, call: Call, alive: &AtomicUsize) -> Seen {
    let call = call.header(MARK, &mark);
    let mut seen = Seen { mark, ..Seen::default() };
    let reading = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        socket.write_all(&call.bytes()).await?;
        while !seen.is_whole() && socket.read_buf(&mut seen.raw).await? > 0 {
            alive.fetch_add(1, Ordering::Relaxed);
        }
        std::io::Result::Ok(())
    };
    // A gateway that is killed is what these tests are about: what was seen until then counts.
    let _gone = tokio::time::timeout(PATIENCE, reading).await.expect("a request ends in time");
    seen
}

impl Seen {
    pub(crate) fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.raw.get(9..12)?).ok()?.parse().ok()
    }

    /// Whether the body came to the end that its framing declares.
    pub(crate) fn is_whole(&self) -> bool {
        match self.head_end() {
            None => false,
            Some(end) if self.chunked() => self.raw[end..].ends_with(b"0\r\n\r\n"),
            Some(end) => self.length().is_some_and(|length| self.raw.len() - end >= length),
        }
    }

    /// The body as far as it came, without its framing.
    pub(crate) fn body(&self) -> Vec<u8> {
        self.pieces().iter().flat_map(|piece| self.raw[piece.clone()].to_vec()).collect()
    }

    fn head_end(&self) -> Option<usize> {
        self.raw.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
    }

    fn head(&self) -> String {
        String::from_utf8_lossy(&self.raw[..self.head_end().unwrap_or(0)]).to_ascii_lowercase()
    }

    fn chunked(&self) -> bool {
        self.head().contains("transfer-encoding: chunked")
    }

    fn length(&self) -> Option<usize> {
        let head = self.head();
        head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()
    }

    /// Where in `raw` the body's bytes are.
    fn pieces(&self) -> Vec<Range<usize>> {
        let Some(mut at) = self.head_end() else { return Vec::new() };
        if !self.chunked() {
            return std::iter::once(at..self.raw.len()).collect();
        }
        let mut pieces = Vec::new();
        while let Some(line) = self.raw[at..].windows(2).position(|window| window == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[at..at + line]).expect("a chunk's length is text");
            let size = usize::from_str_radix(size, 16).expect("a chunk's length is hexadecimal");
            let start = at + line + 2;
            if size == 0 || start >= self.raw.len() {
                break;
            }
            pieces.push(start..(start + size).min(self.raw.len()));
            at = start + size + 2;
            if at > self.raw.len() {
                break;
            }
        }
        pieces
    }
}

/// The requests of the database by their marks.
pub(crate) struct Recorded {
    pub(crate) query: SqliteQuery,
    by_mark: HashMap<String, Vec<RequestDetail>>,
}

impl Recorded {
    pub(crate) fn read(home: &Path) -> Self {
        let query = query(home);
        let mut by_mark: HashMap<String, Vec<RequestDetail>> = HashMap::new();
        for offset in (0..).step_by(1_000) {
            let page = query.requests(&RequestFilter::default(), Page::new(1_000, offset)).expect("the list");
            for request in &page.items {
                let detail = query.request(request.id).expect("a listed request");
                let mark = detail.request_headers.iter().find(|(name, _)| name == MARK);
                let mark = mark.map(|(_, mark)| mark.clone()).unwrap_or_default();
                by_mark.entry(mark).or_default().push(detail);
            }
            if !page.more {
                break;
            }
        }
        Self { query, by_mark }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &RequestDetail> {
        self.by_mark.values().flatten()
    }

    #[track_caller]
    pub(crate) fn of(&self, mark: &str) -> &RequestDetail {
        self.by_mark
            .get(mark)
            .and_then(|found| found.first())
            .unwrap_or_else(|| panic!("{mark} is not recorded"))
    }
}

/// The first row of every report.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parity {
    /// Requests that a client or the provider knows.
    pub(crate) accepted: usize,
    /// Of them, those that the database or the files do not have.
    pub(crate) lost: usize,
    /// Rows and lines beyond the first of one request.
    pub(crate) duplicated: usize,
    /// Requests and sessions that are not over, though nothing runs.
    pub(crate) stuck: usize,
    /// Requests that neither a client nor the provider knows.
    pub(crate) unaccounted: usize,
}

/// Lays the union of what the clients and the provider saw beside the database and the files.
pub(crate) fn compare(home: &Path, seen: &[Seen], ledger: &Ledger, recorded: &Recorded) -> Parity {
    let (files, repeated_lines) = files(home);
    let told = seen.iter().filter(|seen| seen.status().is_some()).map(|seen| seen.mark.as_str());
    let reached = ledger.entries.iter().filter_map(|entry| entry.test_id.as_deref());
    let accepted: HashSet<&str> = told.chain(reached).collect();
    let sent: HashSet<&str> = seen.iter().map(|seen| seen.mark.as_str()).collect();
    let in_both = |mark: &&&str| {
        let rows = recorded.by_mark.get(**mark);
        rows.is_some_and(|rows| rows.iter().all(|row| files.get(&row.request.id.to_string()) == Some(&1)))
    };
    let repeated_rows: usize = recorded.by_mark.values().map(|rows| rows.len() - 1).sum();
    let open = recorded.all().filter(|detail| detail.request.ending.is_none()).count();
    let unfinished = files.values().filter(|ends| **ends == 0).count();
    Parity {
        accepted: accepted.len(),
        lost: accepted.iter().filter(|mark| !in_both(mark)).count(),
        duplicated: repeated_rows + repeated_lines,
        stuck: open + unfinished + running_sessions(recorded),
        unaccounted: recorded.by_mark.keys().filter(|mark| !sent.contains(mark.as_str())).count(),
    }
}

fn running_sessions(recorded: &Recorded) -> usize {
    recorded.query.active_sessions(Page::new(1_000, 0)).expect("the sessions").items.len()
}

/// Ends of each request in the JSON Lines files; and how many lines say what another said.
fn files(home: &Path) -> (HashMap<String, usize>, usize) {
    let (mut ends, mut events, mut repeated) = (HashMap::new(), HashSet::new(), 0);
    for file in jsonl_files(home) {
        for line in std::fs::read_to_string(&file).expect("a file of lines").lines() {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            let request = line["request"].as_str().expect("a request").to_owned();
            let ended = usize::from(line["kind"] == "completed");
            repeated += usize::from(!events.insert((request.clone(), line["seq"].as_u64())));
            *ends.entry(request).or_default() += ended;
        }
    }
    (ends, repeated)
}

/// The session files of all days.
pub(crate) fn jsonl_files(home: &Path) -> Vec<std::path::PathBuf> {
    let days = std::fs::read_dir(home.join("sessions")).expect("the files' directory");
    let days = days.map(|day| day.expect("a day").path()).filter(|path| path.is_dir());
    let mut files: Vec<_> = days
        .flat_map(|day| std::fs::read_dir(day).expect("a day's directory"))
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    files
}

/// `lunaroute verify --json`: the exit code and the report.
pub(crate) fn verify(home: &Path) -> (Option<i32>, Value) {
    let output = gateway::run(home, &["verify", "--json"]);
    let told = String::from_utf8_lossy(&output.stderr);
    let report =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no report ({error}): {told}"));
    (output.status.code(), report)
}

/// Asserts that `lunaroute verify` finds nothing wrong and nothing unfinished.
#[track_caller]
pub(crate) fn assert_sound(home: &Path) -> Value {
    let (code, report) = verify(home);
    assert_eq!(code, Some(0), "{report:#}");
    let checks = report["checks"].as_array().expect("checks");
    assert!(checks.iter().all(|check| check["pending"] == 0 && check["problem_count"] == 0), "{report:#}");
    assert_eq!(report["requests_in_database"], report["requests_in_jsonl"], "{report:#}");
    report
}
