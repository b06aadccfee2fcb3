//! What the pages say about the configuration is what the program has.

use lunaroute_server::config::json_schema;
use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/CONFIGURATION.md");

/// Every key that the schema has, as the page writes it.
fn keys(schema: &Value, at: &Value, path: &str, found: &mut Vec<String>) {
    let at = resolve(schema, at);
    for (name, inner) in at["properties"].as_object().into_iter().flatten() {
        let inner = resolve(schema, inner);
        let key = format!("{path}{name}");
        if inner["properties"].is_object() {
            keys(schema, inner, &format!("{key}."), found);
            continue;
        }
        found.push(key.clone());
        keys(schema, &inner["items"], &format!("{key}[]."), found);
        keys(schema, &inner["additionalProperties"], &format!("{key}.NAME."), found);
    }
}

fn resolve<'a>(schema: &'a Value, at: &'a Value) -> &'a Value {
    let reference =
        |value: &Value| value["$ref"].as_str().map(|name| name.trim_start_matches('#').to_owned());
    let in_choice = || at["anyOf"].as_array().into_iter().flatten().find_map(reference);
    match reference(at).or_else(in_choice) {
        Some(pointer) => schema.pointer(&pointer).expect("the reference leads somewhere"),
        None => at,
    }
}

#[test]
fn the_configuration_page_has_every_key_and_no_other() {
    let schema = json_schema();
    let mut found = Vec::new();
    keys(&schema, &schema, "", &mut found);
    assert!(found.len() > 40, "{found:?}");
    let told: Vec<&str> =
        PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for key in &found {
        assert!(told.contains(&key.as_str()), "docs/CONFIGURATION.md does not tell of {key}");
    }
    for key in told {
        assert!(
            found.iter().any(|known| known == key),
            "docs/CONFIGURATION.md tells of {key}, which does not exist"
        );
    }
}
