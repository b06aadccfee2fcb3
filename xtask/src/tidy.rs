//! `cargo xtask tidy`: what is larger than good houses of this kind keep. It informs and never fails for a size.

use std::path::Path;

use anyhow::Result;

use crate::source::{self, Source};
use crate::workspace::Workspace;

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;
/// Functions past this length should be fewer than one in a hundred.
const LONG_FUNCTION_LINES: usize = 100;
/// Of the crate's `src`; tests outside it do not count.
const CRATE_LINES: usize = 5_000;

#[derive(Default)]
struct Sizes {
    files: Vec<Entry>,
    functions: Vec<Entry>,
    crates: Vec<Entry>,
    /// How many functions there are, and how many of them are long.
    functions_seen: usize,
    functions_long: usize,
}

struct Entry {
    lines: usize,
    what: String,
}

/// Prints the lists.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut sizes = Sizes::default();
    for member in &workspace.members {
        let folder = workspace.root.join(&member.folder);
        let mut crate_lines = 0;
        for path in source::files(&folder)? {
            let lines = sizes.take(&workspace.root, &path)?;
            crate_lines += if path.starts_with(folder.join("src")) { lines } else { 0 };
        }
        if crate_lines > CRATE_LINES {
            sizes.crates.push(Entry { lines: crate_lines, what: member.name.clone() });
        }
    }
    sizes.print();
    Ok(())
}

impl Sizes {
    /// Measures one file and gives its number of lines.
    fn take(&mut self, root: &Path, path: &Path) -> Result<usize> {
        let source = Source::read(path)?;
        let shown = path.strip_prefix(root).unwrap_or(path).display();
        if source.lines > FILE_LINES {
            self.files.push(Entry { lines: source.lines, what: shown.to_string() });
        }
        for function in source.functions() {
            self.functions_seen += 1;
            self.functions_long += usize::from(function.lines > LONG_FUNCTION_LINES);
            if function.lines > FUNCTION_LINES {
                let what = format!("{} ({shown}:{})", function.name, function.line);
                self.functions.push(Entry { lines: function.lines, what });
            }
        }
        Ok(source.lines)
    }

    fn print(mut self) {
        print_list(&format!("files past {FILE_LINES} lines"), &mut self.files);
        print_list(&format!("functions past {FUNCTION_LINES} lines"), &mut self.functions);
        print_list(&format!("crates past {CRATE_LINES} lines"), &mut self.crates);
        println!(
            "{} of {} functions are past {LONG_FUNCTION_LINES} lines",
            self.functions_long, self.functions_seen
        );
    }
}

fn print_list(title: &str, entries: &mut [Entry]) {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.lines));
    println!("{title}: {}", entries.len());
    for entry in entries {
        println!("{:>7}  {}", entry.lines, entry.what);
    }
}
