//! Rows of text under heads.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Columns of even width.
    Plain,
    /// As Markdown has tables.
    Markdown,
}

impl Style {
    /// Rows under these heads; a head that begins with `#` holds figures.
    pub(crate) fn table<const N: usize>(
        self,
        heads: &[&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) -> String {
        match self {
            Self::Plain => plain(heads, rows),
            Self::Markdown => markdown(heads, rows),
        }
    }
}

fn plain<const N: usize>(heads: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.trim_start_matches('#')));
    for row in rows {
        table.add_row(row);
    }
    for (number, head) in heads.iter().enumerate() {
        if let Some(column) = table.column_mut(number) {
            column.set_padding((0, 2));
            if head.starts_with('#') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn markdown<const N: usize>(heads: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(heads.iter().map(|head| head.trim_start_matches('#').to_owned()).collect());
    let rule = |head: &&str| (if head.starts_with('#') { "---:" } else { "---" }).to_owned();
    text.push_str(&line(heads.iter().map(rule).collect()));
    for row in rows {
        // A bar would end the cell.
        text.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|")).collect()));
    }
    text
}

/// Three digits that count.
pub(crate) fn figure(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.is_nan() => "unknown".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) if value.abs() >= 0.1 || value == 0.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Style, figure};

    #[test]
    fn both_styles_hold_the_same_cells() {
        let rows = || [["one".to_owned(), "1|2".to_owned()]].into_iter();
        assert_eq!(
            Style::Markdown.table(&["row", "#value"], rows()),
            "| row | value |\n| --- | ---: |\n| one | 1\\|2 |\n"
        );
        assert_eq!(Style::Plain.table(&["row", "#value"], rows()), "row  value\none    1|2\n");
    }

    #[test]
    fn figures_have_three_digits_that_count() {
        let shown = [Some(5482.4), Some(31.54), Some(1.2), Some(0.0123), Some(f64::NAN), None].map(figure);
        assert_eq!(shown, ["5482", "31.5", "1.20", "0.0123", "unknown", ""]);
    }
}
