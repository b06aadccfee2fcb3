//! `xtask layers` lets a lawful workspace through and fails on each kind of breach, naming it.

use crate::skeleton::Skeleton;

const CORE: &str = "lunaroute-core = { path = \"../lunaroute-core\" }";

fn lawful() -> Skeleton {
    Skeleton::with(&[("lunaroute-core", ""), ("lunaroute-ingress", CORE), ("lunaroute-egress", CORE)])
}

#[track_caller]
fn check_fails(skeleton: &Skeleton, message: &str) {
    let (succeeded, printed) = skeleton.run("layers");
    assert!(!succeeded, "{printed}");
    assert!(printed.contains(message), "{printed}");
}

#[test]
fn a_lawful_workspace_passes() {
    let (succeeded, printed) = lawful().run("layers");
    assert!(succeeded, "{printed}");
    assert!(printed.contains("3 crates keep the law"), "{printed}");
}

#[test]
fn a_sibling_is_refused() {
    let sibling =
        format!("{CORE}\nother = {{ package = \"lunaroute-egress\", path = \"../lunaroute-egress\" }}");
    let skeleton = Skeleton::with(&[
        ("lunaroute-core", ""),
        ("lunaroute-egress", CORE),
        ("lunaroute-ingress", &sibling),
    ]);
    check_fails(&skeleton, "lunaroute-ingress must not name lunaroute-egress");
}

#[test]
fn a_dependency_that_belongs_elsewhere_is_refused() {
    let skeleton = Skeleton::with(&[("lunaroute-core", "tokio = \"1\"")]);
    check_fails(&skeleton, "lunaroute-core must not depend on tokio");
}

#[test]
fn a_client_switched_on_by_a_feature_is_refused() {
    let manifest = "[package]\nname = \"lunaroute-ingress\"\nedition = \"2024\"\n\
                    [dependencies]\nhyper = \"1\"\n[features]\nout = [\"hyper/client\"]\n[lints]\nworkspace = true\n";
    let skeleton = lawful();
    skeleton.write("crates/lunaroute-ingress/Cargo.toml", manifest);
    check_fails(&skeleton, "lunaroute-ingress must not depend on hyper: HTTP goes out through egress");
}

#[test]
fn a_crate_without_a_row_is_refused() {
    let skeleton = Skeleton::with(&[("lunaroute-core", ""), ("lunaroute-stranger", "")]);
    check_fails(&skeleton, "lunaroute-stranger is not in the table");
}

#[test]
fn a_read_of_the_environment_is_refused_with_its_place() {
    let skeleton = lawful();
    skeleton.write(
        "crates/lunaroute-egress/src/pool.rs",
        "//! Pool.\n\nfn proxy() {\n    std::env::var(\"P\");\n}\n",
    );
    check_fails(&skeleton, "crates/lunaroute-egress/src/pool.rs:4 names env::var");
}
