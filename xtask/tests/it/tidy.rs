//! `xtask tidy` lists what is too large, and succeeds all the same.

use crate::skeleton::Skeleton;

#[test]
fn what_is_past_the_sizes_is_listed() {
    let skeleton = Skeleton::with(&[("lunaroute-core", "")]);
    let (_, printed) = skeleton.run("tidy");
    assert!(printed.contains("files past 400 lines: 0"), "{printed}");
    assert!(printed.contains("0 of 0 functions"), "{printed}");

    let long = format!("fn short() {{}}\n\nfn long() {{\n{}}}\n", "    work();\n".repeat(99));
    skeleton.write("crates/lunaroute-core/src/long.rs", &long);
    skeleton.write("crates/lunaroute-core/src/many.rs", &"// A line.\n".repeat(4_900));
    let (succeeded, printed) = skeleton.run("tidy");
    assert!(succeeded, "{printed}");
    for line in [
        "files past 400 lines: 1\n   4900  crates/lunaroute-core/src/many.rs\n",
        "functions past 60 lines: 1\n    101  long (crates/lunaroute-core/src/long.rs:3)\n",
        "crates past 5000 lines: 1\n   5004  lunaroute-core\n",
        "1 of 2 functions are past 100 lines",
    ] {
        assert!(printed.contains(line), "{line:?} is not in {printed}");
    }
}
