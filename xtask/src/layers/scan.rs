//! Looks in the sources for paths that belong in one place.

use anyhow::Result;

use super::law::{NAMINGS, Place};
use crate::source::{self, Source};
use crate::workspace::Workspace;

/// Every line of the product, outside tests, that names a path in the wrong place.
pub(crate) fn breaches(workspace: &Workspace) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for member in workspace.members.iter().filter(|member| member.folder.starts_with("crates/")) {
        for path in source::files(&workspace.root.join(&member.folder).join("src"))? {
            let relative = path.strip_prefix(&workspace.root).unwrap_or(&path).to_string_lossy().into_owned();
            if relative.ends_with("/tests.rs") || relative.contains("/tests/") {
                continue;
            }
            found.extend(breaches_in(&relative, &Source::read(&path)?));
        }
    }
    Ok(found)
}

fn breaches_in(file: &str, source: &Source) -> Vec<String> {
    let rules = NAMINGS.iter().filter(|rule| !allows(&rule.place, file));
    let pairs = rules.flat_map(|rule| rule.paths.iter().map(move |path| (path, rule.reason)));
    pairs
        .flat_map(|(path, reason)| {
            let lines = source.lines_naming(path).into_iter();
            lines.map(move |line| format!("{file}:{line} names {path}: {reason}"))
        })
        .collect()
}

fn allows(place: &Place, file: &str) -> bool {
    let under = |prefixes: &[&str]| prefixes.iter().any(|prefix| file.starts_with(prefix));
    match place {
        Place::Anywhere => true,
        Place::Only(prefixes) => under(prefixes),
        Place::Not(prefixes) => !under(prefixes),
    }
}

#[cfg(test)]
mod tests {
    use super::breaches_in;
    use crate::source::Source;

    #[track_caller]
    fn check(file: &str, text: &str, breaches: usize) {
        let found = breaches_in(file, &Source::parse(text).unwrap());
        assert_eq!(found.len(), breaches, "{found:?}");
        assert!(found.iter().all(|breach| breach.starts_with(file)), "{found:?}");
    }

    #[test]
    fn the_environment_is_read_in_the_servers_config_only() {
        let text = "fn a() { std::env::var_os(\"HOME\"); }";
        check("crates/lunaroute-server/src/config/read.rs", text, 0);
        check("crates/lunaroute-server/src/config.rs", text, 0);
        check("crates/lunaroute-server/src/walk.rs", text, 1);
        check("crates/lunaroute-cli/src/main.rs", text, 1);
    }

    #[test]
    fn pure_crates_do_not_read_the_clock() {
        let text = "fn a() { Instant::now(); SystemTime::now(); }";
        check("crates/lunaroute-routing/src/plan.rs", text, 2);
        check("crates/lunaroute-core/src/time.rs", text, 1);
        check("crates/lunaroute-egress/src/lib.rs", text, 0);
    }
}
