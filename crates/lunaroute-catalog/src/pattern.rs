//! Names of models, and patterns of them.

/// A model's name without what a reseller puts before it.
pub(crate) fn plain_name(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    // Bedrock: `us.anthropic.claude-...`.
    match name.find("anthropic.") {
        Some(at) => &name[at + "anthropic.".len()..],
        None => name,
    }
}

/// Whether a pattern names a model. `*` stands for any letters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(head) else { return false };
    while let Some((middle, behind)) = rest.split_once('*') {
        let Some(at) = left.find(middle) else { return false };
        (left, rest) = (&left[at + middle.len()..], behind);
    }
    left.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::{matches, plain_name};

    #[test]
    fn a_name_is_found_with_and_without_what_stands_around_it() {
        for model in ["claude-x-1", "anthropic/claude-x-1", "us.anthropic.claude-x-1", "a/b/claude-x-1"] {
            assert_eq!(plain_name(model), "claude-x-1");
        }
        for (pattern, name, expected) in [
            ("gpt", "gpt", true),
            ("gpt", "gpt-5", false),
            ("gpt*", "gpt", true),
            ("gpt-*-mini", "gpt-5-mini", true),
            ("gpt-*-mini", "gpt-mini", false),
            ("*-a*b", "x-ab-b", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
