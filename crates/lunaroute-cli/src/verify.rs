//! `lunaroute verify`.

use lunaroute_server::config::{Environment, state_directory};
use lunaroute_server::{DATABASE_FILE, JOURNAL_DIRECTORY, JSONL_DIRECTORY};
use lunaroute_session::verify::{Report, VerifyInput, verify as check};

use crate::arguments::Settings;
use crate::config::load;
use crate::exit::Code;
use crate::output::{self, figure, print_json, print_table, visible};

pub(crate) fn verify(settings: &Settings) -> anyhow::Result<()> {
    let recording = load(settings)?.config.recording;
    let directory = recording.directory.unwrap_or_else(|| state_directory(&Environment::of_process()));
    let present = |name: &str| Some(directory.join(name)).filter(|path| path.exists());
    let report = check(&VerifyInput {
        // A database that the configuration keeps and that is not there is a problem; one that it does not keep is none.
        database: if recording.sqlite { Some(directory.join(DATABASE_FILE)) } else { present(DATABASE_FILE) },
        journal_directory: present(JOURNAL_DIRECTORY),
        jsonl_directory: present(JSONL_DIRECTORY),
    });
    if settings.json {
        print_json(&report)?;
    } else {
        print(&report)?;
    }
    if report.is_sound() { Ok(()) } else { Err(Code(1).into()) }
}

fn print(report: &Report) -> anyhow::Result<()> {
    println!(
        "requests: {} in the database, {} in the files, {} in the journal",
        figure(report.requests_in_database),
        figure(report.requests_in_jsonl),
        figure(report.requests_in_journal),
    );
    println!();
    let mut table = output::table(&["check", "#checked", "#pending", "#problems"]);
    for check in &report.checks {
        table.add_row([
            check.name.to_string(),
            check.checked.to_string(),
            check.pending.to_string(),
            check.problem_count.to_string(),
        ]);
    }
    print_table(&table)?;
    for problem in report.checks.iter().flat_map(|check| &check.problems) {
        println!(
            "\n{}: {}\n  expected {}\n  found    {}",
            visible(&problem.place),
            visible(&problem.what),
            visible(&problem.expected),
            visible(&problem.found)
        );
    }
    println!();
    match report.problem_count() {
        0 if report.pending() > 0 => {
            println!("sound; {} not finished yet, so run it again when they are", report.pending());
        }
        0 => println!("sound"),
        problems => println!("{problems} problems; the journal and the files are the older truth, keep them"),
    }
    Ok(())
}
