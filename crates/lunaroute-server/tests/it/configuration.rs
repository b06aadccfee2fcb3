//! Files: three formats, one meaning; unknown names and what cannot work.

use std::path::Path;

use lunaroute_server::config::{Config, ConfigError, Environment, Overrides, json_schema, load};
use serde_json::Value;

const YAML: &str = r#"
listen: 127.0.0.1:9090
providers:
  openai: { api_key: "${env:OPENAI_KEY}", authentication: api-key }
  local: { dialect: openai, base_url: "http://127.0.0.1:11434/v1", default: true }
models:
  - { model: "claude-*", provider: anthropic }
  - { model: fast, provider: local, upstream: "llama-3:8b" }
limits: { body: 4MiB, decoded_body: 65536, headers: 16KiB, requests: 5, bodies: 8MiB, connections: 7, streams_per_connection: 3 }
timeouts: { header_read: 1s, body_read: 2s, write_stall: 3s, connect: 4s, first_byte: 5s, idle: 6s, total: 7m, drain: 250ms }
retry: { attempts: 3, first_delay: 10ms, max_delay: 1s, max_retry_after: 5s, budget: 0.5 }
streaming: { on_disconnect: drain, keep_alive: 15s, include_usage: true }
recording: { directory: /tmp/records, required: true, sqlite: true, jsonl: true, archive_after_days: 3, sync: interval, sync_interval: 100ms, queue: 8MiB, session_idle: 1h, retention: { bodies_days: 7, rows_days: 14 } }
access: { allowed_hosts: [gateway.test], cors_origins: ["http://localhost:3000"] }
network: { extra_ca_file: ca.pem, proxy_from_environment: false, http2: true, idle_connections: 4, idle_timeout: 9s }
log: { level: "info,hyper=warn", format: json }
"#;

/// Reads a configuration from a file of this ending.
pub(crate) fn read(ending: &str, text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join(format!("lunaroute.{ending}"));
    std::fs::write(&file, text).expect("the file");
    load_file(&file, variables)
}

fn load_file(file: &Path, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let overrides = Overrides { file: Some(file.to_owned()), ..Overrides::default() };
    load(&overrides, &environment).map(|loaded| loaded.config)
}

#[track_caller]
pub(crate) fn refused(ending: &str, text: &str, variables: &[(&str, &str)]) -> String {
    match read(ending, text, variables) {
        Ok(_) => panic!("taken: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn yaml_toml_and_json_of_the_same_content_load_equally() {
    let key = [("OPENAI_KEY", "sk-test")];
    let value = |config: &Config| serde_json::to_value(config).expect("JSON");
    let from_yaml = read("yaml", YAML, &key).expect("the YAML is good");
    let tree: Value = value(&from_yaml);
    // What `config show` prints hides the key; a file needs the reference to it.
    let mut file = tree.clone();
    file["providers"]["openai"]["api_key"] = "${env:OPENAI_KEY}".into();
    let toml = toml::to_string(&file).expect("TOML");
    let json = serde_json::to_string_pretty(&file).expect("JSON");
    // People indent JSON with tabs, which YAML alone would refuse.
    let tabbed = json.replace("  ", "\t");
    let written = [("yml", YAML.to_owned()), ("toml", toml), ("json", json), ("json", tabbed)];
    for (ending, text) in written {
        let config = read(ending, &text, &key).unwrap_or_else(|error| panic!("{ending}: {error}\n{text}"));
        assert_eq!(value(&config), tree, "{ending}");
        let secret = config.providers["openai"].api_key.as_ref().expect("a key");
        assert_eq!(secret.0.expose(), "sk-test", "{ending}");
    }
    assert_eq!(from_yaml.limits.decoded_body.bytes(), 65_536);
    assert_eq!(from_yaml.models[1].upstream.as_deref(), Some("llama-3:8b"));
    assert_eq!(from_yaml.providers["local"].base_url.as_deref(), Some("http://127.0.0.1:11434/v1"));
    assert!(!format!("{from_yaml:?}{tree}").contains("sk-test"), "the key is shown");
}

#[test]
fn nothing_at_all_is_a_configuration() {
    for (ending, text) in [("yaml", ""), ("toml", ""), ("json", "{}"), ("yaml", "# nothing\n")] {
        let config = read(ending, text, &[]).unwrap_or_else(|error| panic!("{ending}: {error}"));
        assert_eq!(config.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(config.providers["openai"].base_url.as_deref(), Some("https://api.openai.com/v1"));
        assert_eq!(config.providers["anthropic"].base_url.as_deref(), Some("https://api.anthropic.com"));
    }
}

/// Section (as it stands in a TOML header), misspelt key, what was meant.
const MISSPELT: [(&str, &str, &str); 12] = [
    ("", "listne", "listen"),
    ("providers.openai", "base_ulr", "base_url"),
    ("providers.local", "dialct", "dialect"),
    ("models", "provder", "provider"),
    ("limits", "boddy", "body"),
    ("timeouts", "frist_byte", "first_byte"),
    ("retry", "attemps", "attempts"),
    ("streaming", "keepalive", "keep_alive"),
    ("recording", "sqllite", "sqlite"),
    ("access", "allowed_host", "allowed_hosts"),
    ("network", "htpp2", "http2"),
    ("log", "levle", "level"),
];

#[test]
fn unknown_keys_of_every_level_are_refused_with_the_nearest_name_and_their_place() {
    for (section, key, meant) in MISSPELT {
        let list = section == "models";
        let header = match section {
            "" => String::new(),
            "models" => "[[models]]\n".to_owned(),
            section => format!("[{section}]\n"),
        };
        let mut yaml = String::new();
        let mut json = String::new();
        for (depth, name) in section.split('.').filter(|name| !name.is_empty()).enumerate() {
            yaml.push_str(&format!("{}{name}:\n", "  ".repeat(depth)));
            json.push_str(&format!("{{\"{name}\":\n{}", if list { "[" } else { "" }));
        }
        let depth = section.split('.').filter(|name| !name.is_empty()).count();
        yaml.push_str(&format!("{}{}{key}: x\n", "  ".repeat(depth), if list { "- " } else { "" }));
        let closed = if list { "]" } else { "" };
        json.push_str(&format!("{{\"{key}\": 1}}{closed}{}", "}".repeat(depth)));
        let written = [("toml", format!("{header}{key} = 1\n")), ("yaml", yaml), ("json", json)];
        for (ending, text) in written {
            let told = refused(ending, &text, &[]);
            assert!(told.contains(&format!("unknown field `{key}`")), "{told}");
            assert!(told.contains(&format!("did you mean '{meant}'?")), "{ending}, {key}: {told}");
            let line = text.lines().position(|line| line.contains(key)).expect("it is there") + 1;
            assert!(told.contains(&format!("line {line}")) && told.contains("column"), "{ending}: {told}");
            assert!(told.contains(&format!("lunaroute.{ending}")), "{told}");
        }
    }
    println!("misspelt keys {} in 3 formats, taken 0", MISSPELT.len());
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    let provider = |name: &str, more: &str| {
        format!("  {name}: {{ dialect: openai, base_url: 'http://127.0.0.1:1/v1', {more} }}\n")
    };
    let both = |more: &str| format!("providers:\n{}{}", provider("one", more), provider("two", more));
    let models = |name: &str| format!("models:\n  - {{ model: 'gpt-*', provider: {name} }}\n");
    let cases = [
        (both("default: true"), "providers one, two are all `default: true`"),
        (models("opneai"), "did you mean 'openai'?"),
        (models("qqqqqqqqqq"), "there is no provider 'qqqqqqqqqq', only anthropic, gemini, openai"),
        ("providers: { openai: { api_key: k }, }\nlisten: 0.0.0.0:8081".to_owned(), "everybody who reaches"),
        ("providers: { openai: { api_key: k, api_key_file: f } }".to_owned(), "keep one"),
        ("providers: { openai: { authentication: bearer } }".to_owned(), "no api_key"),
        ("providers: { openai: { api_key: 'a b' } }".to_owned(), "has a space or control character"),
        ("providers: { openai: { api_key: '' } }".to_owned(), "is empty"),
        (
            "providers: { mine: { base_url: 'http://127.0.0.1:1' } }".to_owned(),
            "providers.mine.dialect is missing",
        ),
        ("providers: { mine: { dialect: openai } }".to_owned(), "providers.mine.base_url is missing"),
        ("retry: { attempts: 0 }".to_owned(), "1 to 10"),
        ("retry: { attempts: 11 }".to_owned(), "1 to 10"),
        ("retry: { budget: 1.5 }".to_owned(), "a share from 0 to 1"),
        ("network: { client_key_file: k.pem }".to_owned(), "go together"),
        ("limits: { connections: 0 }".to_owned(), "limits.connections is 0; it is at least 1"),
        ("limits: { requests: 0 }".to_owned(), "limits.requests is 0; it is at least 1"),
        ("limits: { bodies: 1MiB }".to_owned(), "(limits.body, 32MiB) has to fit into it"),
        ("limits: { body: lots }".to_owned(), "'lots' is no number of bytes"),
        ("limits: { body: -1 }".to_owned(), "-1 is negative"),
        ("limits: { body: 100MiB }".to_owned(), "limits.body is 100MiB; it is 1KiB to 60MiB"),
        ("limits: { headers: 4KiB }".to_owned(), "limits.headers is 4KiB; it is 8KiB"),
        ("recording: { queue: 0 }".to_owned(), "recording.queue is 0B; it is 1MiB"),
        ("timeouts: { header_read: 0s }".to_owned(), "timeouts.header_read is 0s; it is 1ms or more"),
        ("streaming: { keep_alive: 0s }".to_owned(), "streaming.keep_alive is 0s; it is 1ms or more"),
        ("timeouts: { idle: 5 }".to_owned(), "'5' is no length of time"),
        ("timeouts: { idle: -5s }".to_owned(), "'-5s' is negative"),
        (
            "recording: { sqlite: false, retention: { rows_days: 7 } }".to_owned(),
            "recording.retention has no effect with recording.sqlite: false",
        ),
        (
            "recording: { enabled: false, required: true }".to_owned(),
            "recording.enabled: false records nothing",
        ),
        (
            "recording: { jsonl: false, archive_after_days: 3 }".to_owned(),
            "recording.jsonl: false writes none",
        ),
        ("recording: { sync_interval: 1s }".to_owned(), "has an effect with recording.sync: interval alone"),
        ("recording: { sync: never }".to_owned(), "unknown variant `never`"),
        ("listen: here".to_owned(), "invalid socket address"),
        ("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2".to_owned(), "duplicate"),
        ("[1, 2]".to_owned(), "lunaroute.yaml"),
        ("a: b: c".to_owned(), "lunaroute.yaml"),
    ];
    for (text, reason) in &cases {
        let told = refused("yaml", text, &[]);
        assert!(told.contains(reason), "{text}: {told}");
    }
    assert!(refused("txt", "", &[]).contains("must end in .yaml, .yml, .toml or .json"));
    let missing =
        load_file(Path::new("/nowhere/lunaroute.yaml"), &[]).expect_err("there is none").to_string();
    assert!(missing.contains("cannot read the configuration /nowhere/lunaroute.yaml"), "{missing}");
    println!("configurations that cannot work {}, taken 0", cases.len() + 2);
}

#[test]
fn the_schema_is_of_draft_2020_12_and_names_every_key() {
    let schema = json_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!((&schema["type"], &schema["additionalProperties"]), (&"object".into(), &false.into()));
    let definitions = schema["$defs"].as_object().expect("definitions");
    let text = schema.to_string();
    for reference in text.split("\"#/$defs/").skip(1).filter_map(|after| after.split('"').next()) {
        assert!(definitions.contains_key(reference), "{reference} is not defined");
    }
    let config =
        serde_json::to_value(read("yaml", YAML, &[("OPENAI_KEY", "k")]).expect("good")).expect("JSON");
    let config = config.as_object().expect("an object");
    assert_eq!(schema["properties"].as_object().expect("properties").len(), config.len());
    for (section, content) in config {
        let property = &schema["properties"][section];
        assert!(
            !property["description"].as_str().unwrap_or_default().is_empty(),
            "{section} has no description"
        );
        let Some(name) = property["$ref"].as_str() else { continue };
        let definition = &definitions[name.trim_start_matches("#/$defs/")];
        assert_eq!(definition["additionalProperties"], false, "{section}");
        for key in content.as_object().expect("a section").keys() {
            let description = &definition["properties"][key]["description"];
            assert!(
                !description.as_str().unwrap_or_default().is_empty(),
                "{section}.{key} has no description"
            );
        }
    }
}
