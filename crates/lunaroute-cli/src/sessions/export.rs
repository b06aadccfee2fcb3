//! `lunaroute sessions export`.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use lunaroute_session::query::{self, Page, SessionFilter, SessionQuery};

/// How many sessions are listed at a time.
const PAGE: u32 = 1_000;

pub(super) fn export(
    query: &dyn SessionQuery,
    sessions: &[String],
    output: Option<&Path>,
) -> anyhow::Result<()> {
    match output {
        Some(path) => {
            // Beside the target, so that it appears there whole or not at all.
            let directory =
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let file = tempfile::NamedTempFile::new_in(directory)
                .with_context(|| format!("cannot write beside {}", path.display()))?;
            let mut writer = BufWriter::new(file);
            write(query, sessions, &mut writer)?;
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(())
        }
        None => {
            let mut writer = BufWriter::new(io::stdout().lock());
            write(query, sessions, &mut writer)?;
            Ok(writer.flush()?)
        }
    }
}

fn write(query: &dyn SessionQuery, sessions: &[String], output: &mut dyn Write) -> anyhow::Result<()> {
    if !sessions.is_empty() {
        return Ok(query::export(query, sessions, output)?);
    }
    let mut offset = 0;
    loop {
        let listing = query.sessions(&SessionFilter::default(), Page::new(PAGE, offset))?;
        let names: Vec<String> = listing.items.iter().map(|session| session.id.to_string()).collect();
        query::export(query, &names, output)?;
        if !listing.more {
            return Ok(());
        }
        offset += u64::from(PAGE);
    }
}
