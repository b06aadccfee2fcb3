//! The environment: `${env:NAME}` in files, and `LUNAROUTE_*` over them.

use lunaroute_server::config::{Environment, Overrides, Synchronisation, load};

use crate::configuration::{read, refused};

#[test]
fn a_reference_stands_for_any_kind_of_value() {
    let text = "listen: ${env:ADDRESS}\ntimeouts: { drain: '${env:SECONDS}s' }\n\
                providers: { openai: { base_url: 'http://${env:HOST}:${env:PORT}/v1', api_key: '${env:KEY}' } }\n";
    let variables = [
        ("ADDRESS", "127.0.0.1:7000"),
        ("SECONDS", "5"),
        ("HOST", "localhost"),
        ("PORT", "1234"),
        ("KEY", "k-1"),
    ];
    let config = read("yaml", text, &variables).expect("it is good");
    assert_eq!(config.listen.port(), 7000);
    assert_eq!(config.timeouts.drain.duration().as_secs(), 5);
    let openai = &config.providers["openai"];
    assert_eq!(openai.base_url.as_deref(), Some("http://localhost:1234/v1"));
    assert_eq!(openai.api_key.as_ref().map(|key| key.0.expose()), Some("k-1"));
    // What stands for a value is a value, never more of the file.
    let sly = read("yaml", "log: { level: '${env:LEVEL}' }", &[("LEVEL", "info\nlisten: 0.0.0.0:1")]);
    assert_eq!(sly.expect("a text").listen.to_string(), "127.0.0.1:8081");
}

#[test]
fn a_missing_variable_is_named_with_its_key() {
    for variables in [&[][..], &[("KEY", "")][..]] {
        let told = refused("toml", "[providers.openai]\napi_key = \"${env:KEY}\"\n", variables);
        assert!(
            told.contains("providers.openai.api_key") && told.contains("variable KEY is not set"),
            "{told}"
        );
    }
    // Beside a reference, a mistake is still the one that is told.
    let text = "listen: ${env:ADDRESS}\nlimits: { body: lots }\n";
    let told = refused("yaml", text, &[("ADDRESS", "127.0.0.1:1")]);
    assert!(told.contains("'lots' is no number of bytes"), "{told}");
    let told = refused("yaml", "listen: ${env:ADDRESS}\n", &[("ADDRESS", "here")]);
    assert!(told.contains("invalid socket address"), "{told}");
}

#[test]
fn variables_win_over_the_file_and_the_command_line_over_both() {
    let text = "listen: 127.0.0.1:1\nrecording: { sync: group, required: false }\nlog: { level: error }\n";
    let variables = [
        ("LUNAROUTE_RECORDING__SYNC", "interval"),
        ("LUNAROUTE_RECORDING__REQUIRED", "true"),
        ("LUNAROUTE_LISTEN", "127.0.0.1:2"),
        ("LUNAROUTE_LOG__LEVEL", "debug"),
        ("LUNAROUTE_LIMITS__BODY", "1MiB"),
        ("LUNAROUTE_RETRY__BUDGET", "0"),
        ("LUNAROUTE_ACCESS__ALLOWED_HOSTS", "[\"a.test\",\"b.test\"]"),
        ("LUNAROUTE_PROVIDERS__LOCAL__DIALECT", "anthropic"),
        ("LUNAROUTE_PROVIDERS__LOCAL__BASE_URL", "http://127.0.0.1:3"),
        // These have a meaning of their own.
        ("LUNAROUTE_HOME", "/somewhere"),
        ("OTHER_RECORDING__SYNC", "nonsense"),
    ];
    let config = read("yaml", text, &variables).expect("it is good");
    assert_eq!(config.recording.sync, Synchronisation::Interval);
    assert!(config.recording.required);
    assert_eq!((config.listen.port(), config.log.level.as_str()), (2, "debug"));
    assert_eq!(config.limits.body.bytes(), 1 << 20);
    assert_eq!(config.retry.budget.to_bits(), 0.0_f64.to_bits());
    assert_eq!(config.access.allowed_hosts, ["a.test", "b.test"]);
    assert_eq!(config.providers["local"].base_url.as_deref(), Some("http://127.0.0.1:3"));

    let environment: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("c.yaml");
    std::fs::write(&file, text).expect("the file");
    let overrides = Overrides {
        file: Some(file),
        listen: Some(([127, 0, 0, 1], 9).into()),
        log_level: Some("trace".to_owned()),
    };
    let config = load(&overrides, &environment).expect("it is good").config;
    assert_eq!((config.listen.port(), config.log.level.as_str()), (9, "trace"));
}

#[test]
fn a_wrong_variable_is_named() {
    let cases = [
        ("LUNAROUTE_RECORDING__SYNC", "always", "unknown variant `always`"),
        ("LUNAROUTE_RECORDING__REQUIRED", "maybe", "expected a boolean"),
        ("LUNAROUTE_RECORDIN__SYNC", "group", "did you mean 'recording'?"),
        ("LUNAROUTE_RECORDING__SNYC", "group", "did you mean 'sync'?"),
        ("LUNAROUTE_LISTEN", "8081", "invalid type: integer"),
        ("LUNAROUTE_TIMEOUTS__DRAIN", "soon", "'soon' is no length of time"),
        ("LUNAROUTE_LIMITS", "large", "expected struct Limits"),
        ("LUNAROUTE_NONSENSE", "1", "unknown field `nonsense`"),
    ];
    for (variable, value, reason) in cases {
        let told = refused("yaml", "", &[(variable, value)]);
        assert!(told.contains(&format!("environment variable {variable}: ")), "{told}");
        assert!(told.contains(reason), "{variable}: {told}");
    }
}
