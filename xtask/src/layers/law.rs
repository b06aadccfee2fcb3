//! The law of the house, as tables. `docs/ARCHITECTURE.md` draws the same.

/// What one crate may name.
pub(crate) struct Row {
    /// Without the prefix `lunaroute-`.
    pub(crate) name: &'static str,
    /// Higher floors stand on lower ones. A crate's tests may name any lower floor, and the simulated provider.
    pub(crate) floor: u8,
    pub(crate) may_name: &'static [&'static str],
}

/// A new crate is a new row. A row names only rows above it, so there is no way round in a circle.
pub(crate) const ROWS: &[Row] = &[
    Row { name: "core", floor: 1, may_name: &[] },
    Row { name: "pii", floor: 1, may_name: &[] },
    Row { name: "storage", floor: 1, may_name: &["core"] },
    Row { name: "dialect", floor: 2, may_name: &["core"] },
    Row { name: "ingress", floor: 2, may_name: &["core"] },
    Row { name: "egress", floor: 2, may_name: &["core"] },
    Row { name: "routing", floor: 2, may_name: &["core"] },
    Row { name: "catalog", floor: 2, may_name: &["core"] },
    Row { name: "access", floor: 2, may_name: &["core"] },
    Row { name: "observability", floor: 2, may_name: &["core"] },
    Row { name: "session", floor: 2, may_name: &["core", "storage"] },
    Row { name: "hooks", floor: 2, may_name: &["core", "storage", "session"] },
    Row { name: SIM, floor: 2, may_name: &["core", "dialect"] },
    Row { name: "admin", floor: 3, may_name: &["core", "routing", "access", "session", "hooks"] },
    Row { name: "server", floor: 3, may_name: BELOW_SERVER },
    Row { name: "cli", floor: 4, may_name: BELOW_CLI },
    // It measures the binary from outside, and the recorder alone; its own tests load the simulated provider.
    Row { name: "bench", floor: 4, may_name: &["core", "dialect", "session"] },
    // It breaks what is around the binary, and reads the record as the product's own queries do.
    Row { name: "chaos", floor: 4, may_name: &["core", "storage", "session", SIM] },
    // It throws damaged input at what reads the outside's bytes, each alone.
    Row { name: "fuzz", floor: 4, may_name: &["core", "storage", "dialect", "session"] },
    Row { name: "xtask", floor: 0, may_name: &[] },
];

/// The simulated provider: a tool that every crate's tests may use.
pub(crate) const SIM: &str = "sim";

const BELOW_SERVER: &[&str] = &[
    "core",
    "pii",
    "storage",
    "dialect",
    "ingress",
    "egress",
    "routing",
    "catalog",
    "access",
    "observability",
    "session",
    "hooks",
    SIM,
    "admin",
];

/// The server and all that the server may name.
const BELOW_CLI: &[&str] = &[
    "core",
    "pii",
    "storage",
    "dialect",
    "ingress",
    "egress",
    "routing",
    "catalog",
    "access",
    "observability",
    "session",
    "hooks",
    SIM,
    "admin",
    "server",
];

/// Where something may stand, in crate names without the prefix or in path prefixes.
pub(crate) enum Place {
    Anywhere,
    Only(&'static [&'static str]),
    Not(&'static [&'static str]),
}

/// Where a dependency from outside may be declared.
pub(crate) struct External {
    pub(crate) packages: &'static [&'static str],
    /// The rule counts only if one of these features is asked for; with none given it always counts.
    pub(crate) features: &'static [&'static str],
    pub(crate) built: Place,
    pub(crate) tests: Place,
    pub(crate) reason: &'static str,
}

/// Decide from arguments alone: no runtime, no network, no disk, no clock.
const PURE: &[&str] = &["core", "dialect", "routing", "catalog"];

/// The command line is an ordinary client of its own gateway, on the loopback (`demo`, `run`); the bench and the chaos
/// bench make load, and the bench is the bare proxy that the gateway is compared with.
const SENDERS: &[&str] = &["egress", "cli", "bench", "chaos"];

pub(crate) const EXTERNALS: &[External] = &[
    External {
        packages: &["tokio", "axum", "hyper", "hyper-util", "reqwest", "rusqlite", "sqlx"],
        features: &[],
        built: Place::Not(PURE),
        tests: Place::Anywhere,
        reason: "this crate is pure: facts and the time are arguments, and it runs without a runtime",
    },
    External {
        packages: &["axum"],
        features: &[],
        built: Place::Only(&["ingress", "admin", "server"]),
        tests: Place::Anywhere,
        reason: "HTTP comes in through ingress and admin",
    },
    External {
        packages: &["reqwest", "ureq", "hyper-rustls"],
        features: &[],
        built: Place::Only(SENDERS),
        tests: Place::Anywhere,
        reason: "HTTP goes out through egress",
    },
    External {
        packages: &["hyper", "hyper-util"],
        features: &["client", "client-legacy", "client-pool", "client-proxy", "full"],
        built: Place::Only(SENDERS),
        tests: Place::Anywhere,
        reason: "HTTP goes out through egress",
    },
    External {
        packages: &["rusqlite", "sqlx", "libsqlite3-sys", "postgres", "tokio-postgres"],
        features: &[],
        // The chaos bench locks and damages a database as a stranger would.
        built: Place::Only(&["session", "storage", "chaos"]),
        // Its tests compare what the binary printed with what the database holds.
        tests: Place::Only(&["session", "storage", "cli"]),
        reason: "SQL stands in session and storage",
    },
];

/// Where a path may be named in sources, outside tests. What may be named nowhere is in `clippy.toml`.
pub(crate) struct Naming {
    pub(crate) paths: &'static [&'static str],
    /// In path prefixes, relative to the workspace root.
    pub(crate) place: Place,
    pub(crate) reason: &'static str,
}

pub(crate) const NAMINGS: &[Naming] = &[
    Naming {
        paths: &["env::var", "env::var_os", "env::vars", "env::vars_os"],
        place: Place::Only(&["crates/lunaroute-server/src/config"]),
        reason: "only the server's config module knows the environment; elsewhere the value is an argument",
    },
    Naming {
        paths: &["Instant::now"],
        place: Place::Not(&[
            "crates/lunaroute-core/",
            "crates/lunaroute-dialect/",
            "crates/lunaroute-routing/",
            "crates/lunaroute-catalog/",
        ]),
        reason: "this crate is pure: the time is an argument",
    },
    Naming {
        paths: &["SystemTime::now", "Timestamp::now", "Zoned::now"],
        // The time module of core is where the wall clock is read for all.
        place: Place::Not(&[
            "crates/lunaroute-dialect/",
            "crates/lunaroute-routing/",
            "crates/lunaroute-catalog/",
        ]),
        reason: "this crate is pure: the time is an argument",
    },
];

#[cfg(test)]
mod tests {
    use super::ROWS;

    #[test]
    fn a_row_names_only_rows_above_it_and_no_higher_floor() {
        for (position, row) in ROWS.iter().enumerate() {
            for name in row.may_name {
                let named = ROWS[..position].iter().find(|above| above.name == *name);
                let named =
                    named.unwrap_or_else(|| panic!("{} names {name}, which is not above it", row.name));
                assert!(named.floor <= row.floor, "{} names {name} on a higher floor", row.name);
            }
        }
    }
}
