//! Compares declared dependencies with the law: a pure function over the crates.

use std::fmt;

use super::law::{EXTERNALS, External, Place, ROWS, Row, SIM};
use crate::workspace::{Dependency, Kind, Member};

/// One thing that a crate does against the law.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// The crate has no row in the table.
    NoRow { member: String },
    /// The crate's folder is not called as the crate is.
    Folder { member: String, folder: String },
    /// The crate does not take the workspace's lints.
    Lints { member: String },
    /// The crate names a crate of the workspace that it must not name.
    Edge { from: String, to: String, kind: Kind },
    /// The crate declares a dependency that belongs elsewhere.
    External { member: String, package: String, kind: Kind, reason: &'static str },
}

/// All breaches, crate by crate. Rows of crates that do not exist are not missed.
pub(crate) fn breaches(members: &[Member]) -> Vec<Breach> {
    members.iter().flat_map(|member| breaches_of(member, members)).collect()
}

fn breaches_of(member: &Member, members: &[Member]) -> Vec<Breach> {
    let name = || member.name.clone();
    let Some(row) = row(&member.name) else { return vec![Breach::NoRow { member: name() }] };
    let mut found = Vec::new();
    if !member.folder.ends_with(&member.name) {
        found.push(Breach::Folder { member: name(), folder: member.folder.clone() });
    }
    if !member.inherits_lints {
        found.push(Breach::Lints { member: name() });
    }
    for dependency in &member.dependencies {
        let kind = dependency.kind;
        if members.iter().any(|other| other.name == dependency.name) {
            if !may_name(row, &dependency.name, kind) {
                found.push(Breach::Edge { from: name(), to: dependency.name.clone(), kind });
            }
            continue;
        }
        found.extend(EXTERNALS.iter().filter(|rule| !allows(rule, row, dependency)).map(|rule| {
            Breach::External { member: name(), package: dependency.name.clone(), kind, reason: rule.reason }
        }));
    }
    found
}

fn short(name: &str) -> &str {
    name.strip_prefix("lunaroute-").unwrap_or(name)
}

fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == short(name))
}

fn may_name(from: &Row, to: &str, kind: Kind) -> bool {
    let lower_or_tool = |to: &Row| to.name == SIM || (to.floor < from.floor && to.floor > 0);
    from.may_name.contains(&short(to)) || (kind == Kind::Tests && row(to).is_some_and(lower_or_tool))
}

fn allows(rule: &External, row: &Row, dependency: &Dependency) -> bool {
    let concerns = rule.packages.contains(&dependency.name.as_str())
        && (rule.features.is_empty()
            || dependency.features.iter().any(|feature| rule.features.contains(&feature.as_str())));
    let place = match dependency.kind {
        Kind::Built => &rule.built,
        Kind::Tests => &rule.tests,
    };
    !concerns
        || match place {
            Place::Anywhere => true,
            Place::Only(names) => names.contains(&row.name),
            Place::Not(names) => !names.contains(&row.name),
        }
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::NoRow { member } => {
                write!(
                    out,
                    "{member} is not in the table: a new crate is a new row in xtask/src/layers/law.rs"
                )
            }
            Breach::Folder { member, folder } => {
                write!(out, "{member} stands in {folder}: a folder is called as its crate is")
            }
            Breach::Lints { member } => {
                write!(
                    out,
                    "{member} escapes the workspace's lints: add `[lints] workspace = true` to its manifest"
                )
            }
            Breach::Edge { from, to, kind } => {
                write!(out, "{from} must not name {to}{}", whose(*kind))?;
                write!(
                    out,
                    ": put what both need into lunaroute-core, or let lunaroute-server bring them together"
                )
            }
            Breach::External { member, package, kind, reason } => {
                write!(out, "{member} must not depend on {package}{}: {reason}", whose(*kind))
            }
        }
    }
}

fn whose(kind: Kind) -> &'static str {
    match kind {
        Kind::Built => "",
        Kind::Tests => " in its tests",
    }
}

#[cfg(test)]
mod tests {
    use super::{Breach, breaches};
    use crate::workspace::{Dependency, Kind, Member};

    /// A workspace in which `from` depends on `to`, with the crates that both may be.
    #[track_caller]
    fn check(from: &str, kind: Kind, to: &str, features: &[&str], allowed: bool) {
        let names = ["core", "pii", "storage", "dialect", "ingress", "egress", "routing", "session", "hooks"];
        let tops = ["sim", "server", "cli", "bench"];
        let mut members: Vec<Member> = names.iter().chain(&tops).map(|name| member(name)).collect();
        let features = features.iter().map(ToString::to_string).collect();
        let crate_of_ours = members.iter().any(|member| member.name == full(to));
        let name = if crate_of_ours { full(to) } else { to.to_owned() };
        let member = members.iter_mut().find(|member| member.name == full(from)).unwrap();
        member.dependencies.push(Dependency { name: name.clone(), kind, features });

        let found = breaches(&members);
        match found.as_slice() {
            [] => assert!(allowed, "{from} -> {to} was let through"),
            [Breach::Edge { from: found_from, to: found_to, .. }] => {
                assert!(!allowed && crate_of_ours, "{found:?}");
                assert_eq!((found_from, found_to), (&full(from), &name));
            }
            many => {
                assert!(!allowed && !many.is_empty(), "{found:?}");
                for breach in many {
                    let Breach::External { member, package, .. } = breach else { panic!("{breach:?}") };
                    assert_eq!((member, package), (&full(from), &name));
                }
            }
        }
    }

    fn full(name: &str) -> String {
        format!("lunaroute-{name}")
    }

    fn member(name: &str) -> Member {
        Member {
            name: full(name),
            folder: format!("crates/{}", full(name)),
            has_library: true,
            benches: Vec::new(),
            inherits_lints: true,
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn crates_name_what_their_row_says_and_no_sibling() {
        for (from, to, allowed) in [
            ("dialect", "core", true),
            ("storage", "core", true),
            ("session", "storage", true),
            ("hooks", "session", true),
            ("sim", "dialect", true),
            ("server", "egress", true),
            ("cli", "server", true),
            ("cli", "sim", true),
            ("core", "storage", false),
            ("core", "pii", false),
            ("ingress", "egress", false),
            ("egress", "ingress", false),
            ("egress", "dialect", false),
            ("dialect", "storage", false),
            ("session", "pii", false),
            ("session", "dialect", false),
            ("session", "ingress", false),
            ("session", "egress", false),
            ("routing", "sim", false),
            ("server", "cli", false),
            ("bench", "session", true),
            ("bench", "server", false),
            ("bench", "storage", false),
        ] {
            check(from, Kind::Built, to, &[], allowed);
        }
    }

    #[test]
    fn tests_may_name_lower_floors_and_the_simulated_provider() {
        for (from, to, allowed) in [
            ("egress", "sim", true),
            ("core", "sim", true),
            ("egress", "storage", true),
            ("sim", "dialect", true),
            ("egress", "ingress", false),
            ("session", "dialect", false),
            ("storage", "pii", false),
            ("server", "cli", false),
        ] {
            check(from, Kind::Tests, to, &[], allowed);
        }
    }

    #[test]
    fn externals_stand_where_they_belong() {
        use Kind::{Built, Tests};
        for (from, kind, package, features, allowed) in [
            ("core", Built, "tokio", &[][..], false),
            ("core", Built, "axum", &[], false),
            ("core", Built, "sqlx", &[], false),
            ("core", Built, "hyper", &[], false),
            ("core", Built, "bytes", &[], true),
            ("routing", Built, "tokio", &["time"], false),
            ("routing", Built, "hyper", &[], false),
            ("routing", Tests, "tokio", &[], true),
            ("session", Built, "tokio", &[], true),
            ("egress", Built, "axum", &[], false),
            ("ingress", Built, "axum", &[], true),
            ("server", Built, "reqwest", &[], false),
            ("server", Tests, "reqwest", &[], true),
            ("egress", Built, "reqwest", &[], true),
            ("ingress", Built, "hyper-util", &["server-auto"], true),
            ("ingress", Built, "hyper-util", &["server-auto", "client-legacy"], false),
            ("egress", Built, "hyper-util", &["client-legacy"], true),
            ("cli", Built, "hyper", &["client"], true),
            ("server", Built, "rusqlite", &[], false),
            ("server", Tests, "rusqlite", &[], false),
            ("cli", Built, "rusqlite", &[], false),
            ("cli", Tests, "rusqlite", &[], true),
            ("session", Built, "rusqlite", &[], true),
        ] {
            check(from, kind, package, features, allowed);
        }
    }

    #[test]
    fn a_crate_has_a_row_a_folder_of_its_name_and_the_lints() {
        let breach = |member| breaches(&[member]);
        let stranger = breach(member("stranger"));
        assert_eq!(stranger, [Breach::NoRow { member: full("stranger") }]);
        assert!(stranger[0].to_string().contains("a new crate is a new row"));

        let folder = "crates/heart".to_owned();
        let moved = breach(Member { folder: folder.clone(), ..member("core") });
        assert_eq!(moved, [Breach::Folder { member: full("core"), folder }]);

        let loose = breach(Member { inherits_lints: false, ..member("core") });
        assert_eq!(loose, [Breach::Lints { member: full("core") }]);
    }
}
