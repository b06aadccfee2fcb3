//! `lunaroute verify`: sound after real traffic, and loud about every kind of damage.

use std::path::{Path, PathBuf};

use lunaroute_core::RequestId;
use lunaroute_sim::Script;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::support::gateway::run;
use crate::support::ledger::{assert_sound, jsonl_files, verify};
use crate::support::stage::{GENERATIONS, Stage, ask};

/// Damages the records in a directory where they speak of a request; tells what `verify` has to name.
type Damage = fn(&Path, RequestId) -> String;

/// Records of real traffic, the gateway stopped, and the id of one of the requests.
async fn records() -> (TempDir, RequestId) {
    let stage = Stage::open("").await;
    let mut last = None;
    for path in GENERATIONS {
        for (stream, script) in
            [(false, Script::text(20)), (true, Script::text(40)), (true, Script::error_event(4))]
        {
            let call = ask(path, "a-model", stream).script(&script);
            last = Some(stage.exchange(&call).await.head.request_id());
        }
    }
    let Stage { gateway, home, .. } = stage;
    assert_eq!(block_in_place(|| gateway.stop()), Some(0));
    (home, last.expect("there were requests"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_records_are_sound_and_damage_is_named() {
    let (home, id) = records().await;
    let report = assert_sound(home.path());
    assert_eq!(report["requests_in_database"], 12);
    let told = run(home.path(), &["verify"]);
    let text = String::from_utf8(told.stdout).expect("text");
    assert_eq!(told.status.code(), Some(0));
    assert!(
        text.contains("12 in the database, 12 in the files") && text.trim_end().ends_with("sound"),
        "{text}"
    );

    let damages: [(&str, Damage); 6] = [
        ("a token figure", change_tokens),
        ("an ending", change_ending),
        ("a byte of a body", change_blob),
        ("a request", delete_request),
        ("a line of a file", change_line),
        ("a byte of the journal", change_journal),
    ];
    for (what, damage) in damages {
        let copy = copied(home.path());
        let name = damage(copy.path(), id);
        let (code, report) = verify(copy.path());
        assert_eq!(code, Some(1), "{what}: {report:#}");
        let problems = report["checks"].as_array().expect("checks").iter().flat_map(|check| {
            check["problems"].as_array().expect("problems").iter().map(ToString::to_string)
        });
        let problems: Vec<String> = problems.collect();
        assert!(
            problems.iter().any(|problem| problem.contains(&name)),
            "{what}: {name} is not named in {problems:#?}"
        );
        let told = run(copy.path(), &["verify"]);
        assert_eq!(told.status.code(), Some(1));
        let told = String::from_utf8(told.stdout).expect("text");
        assert!(told.contains(&name) && told.contains(" problems; "), "{what}: {told}");
        println!("damaged {what}: {} problems told", problems.len());
    }
    assert_sound(home.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_live_gateway_what_is_under_way_is_pending() {
    let stage = Stage::open("").await;
    let endless = Script { endless: true, event_delay_ms: 10, ..Script::default() };
    let path = GENERATIONS[0];
    let mut open = stage.connect().await;
    open.send(&ask(path, "a-model", true).script(&endless)).await;
    let id = open.head().await.request_id();
    let done = stage.exchange(&ask(path, "a-model", false)).await;
    stage.record(done.head.request_id()).await;
    let (code, report) = verify(stage.home.path());
    assert_eq!(code, Some(0), "{report:#}");
    let checks = report["checks"].as_array().expect("checks");
    let pending: u64 = checks.iter().filter_map(|check| check["pending"].as_u64()).sum();
    assert!(pending > 0, "{report:#}");
    drop(open);
    assert_eq!(stage.record(id).await.request.ending.as_deref(), Some("cancelled"));
    println!("verify beside a live gateway: sound, pending {pending}");
}

#[test]
fn nothing_to_verify_is_no_sound_record() {
    let home = tempfile::tempdir().expect("a directory");
    let (code, report) = verify(home.path());
    assert_eq!(code, Some(1), "{report:#}");
}

fn database(home: &Path) -> Connection {
    Connection::open(home.join("lunaroute.sqlite")).expect("the database")
}

fn change(home: &Path, statement: &str, id: RequestId) -> String {
    let changed = database(home).execute(statement, [id.to_string()]).expect("the statement");
    assert_eq!(changed, 1);
    id.to_string()
}

fn change_tokens(home: &Path, id: RequestId) -> String {
    change(home, "UPDATE requests SET output_tokens = coalesce(output_tokens, 0) + 1 WHERE id = ?", id)
}

fn change_ending(home: &Path, id: RequestId) -> String {
    change(home, "UPDATE requests SET ending = 'completed', status = 'success' WHERE id = ?", id)
}

fn delete_request(home: &Path, id: RequestId) -> String {
    let connection = database(home);
    connection.pragma_update(None, "foreign_keys", false).expect("the pragma");
    assert_eq!(
        connection.execute("DELETE FROM requests WHERE id = ?", [id.to_string()]).expect("it goes"),
        1
    );
    id.to_string()
}

fn change_blob(home: &Path, id: RequestId) -> String {
    let connection = database(home);
    let (blob, mut data): (i64, Vec<u8>) = connection
        .query_row(
            "SELECT id, data FROM blobs WHERE id = (SELECT coalesce(answer, content) FROM requests WHERE id = ?)",
            [id.to_string()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("the answer's body");
    let middle = data.len() / 2;
    data[middle] ^= 1;
    connection.execute("UPDATE blobs SET data = ? WHERE id = ?", (data, blob)).expect("the update");
    format!("blobs {blob}")
}

/// Changes a word in the line that ends the request.
fn change_line(home: &Path, id: RequestId) -> String {
    for file in jsonl_files(home) {
        let text = std::fs::read_to_string(&file).expect("lines");
        let ends = |line: &&str| line.contains(&id.to_string()) && line.contains(r#""kind":"completed""#);
        let Some(line) = text.lines().find(ends) else { continue };
        let changed = line.replace(r#""ending":"upstream_error""#, r#""ending":"cancelled""#);
        assert_ne!(line, changed);
        std::fs::write(&file, text.replace(line, &changed)).expect("the file");
        let number = text.lines().position(|known| known == line).expect("it is there") + 1;
        return format!("{}:{number}", file.file_name().and_then(|name| name.to_str()).expect("a name"));
    }
    panic!("no line of {id}");
}

fn change_journal(home: &Path, _: RequestId) -> String {
    let directory = home.join("journal");
    let segments =
        std::fs::read_dir(&directory).expect("the journal").map(|file| file.expect("a file").path());
    let mut segments: Vec<PathBuf> =
        segments.filter(|path| path.extension().is_some_and(|ending| ending == "journal")).collect();
    segments.sort();
    let segment = segments.first().expect("a segment");
    let mut bytes = std::fs::read(segment).expect("the segment");
    let written = bytes.iter().rposition(|byte| *byte != 0).expect("bytes that were written");
    bytes[written / 2] ^= 1;
    std::fs::write(segment, bytes).expect("the segment");
    directory.display().to_string()
}

fn copied(home: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    copy_into(home, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let (source, target) =
            entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("an entry");
        if source.is_dir() {
            std::fs::create_dir(&target).expect("a directory");
            copy_into(&source, &target);
        } else {
            std::fs::copy(&source, &target).expect("a file");
        }
    }
}
