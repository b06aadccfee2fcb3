//! What `/readyz` says.

use lunaroute_observability::health::{PartState, Readiness};

fn down() -> PartState {
    PartState::Down { reason: "disk \"full\"".to_owned() }
}

fn degraded() -> PartState {
    PartState::Degraded { reason: "behind".to_owned() }
}

fn readiness(required: bool, journal: Option<PartState>, writer: PartState) -> Readiness {
    Readiness {
        draining: false,
        recording_required: required,
        recorder_dead: false,
        journal,
        writers: vec![("sqlite".to_owned(), writer)],
    }
}

#[test]
fn the_verdict_follows_from_the_parts() {
    use PartState::Ready;
    for (readiness, status, word) in [
        (readiness(true, Some(Ready), Ready), 200, "ready"),
        (readiness(false, None, Ready), 200, "ready"),
        (readiness(true, Some(down()), Ready), 503, "down"),
        (readiness(false, Some(down()), Ready), 200, "degraded"),
        (readiness(true, Some(degraded()), Ready), 200, "degraded"),
        (readiness(true, Some(Ready), down()), 200, "degraded"),
        (readiness(true, Some(Ready), degraded()), 200, "degraded"),
        (Readiness { recorder_dead: true, ..readiness(false, Some(down()), Ready) }, 503, "down"),
        (Readiness { draining: true, ..readiness(true, Some(Ready), Ready) }, 503, "draining"),
    ] {
        let json: serde_json::Value = serde_json::from_str(&readiness.to_json()).expect("JSON");
        assert_eq!(
            (readiness.status().as_u16(), json["status"].as_str()),
            (status, Some(word)),
            "{readiness:?}"
        );
    }
}

#[test]
fn the_body_names_every_part_and_its_reason() {
    assert_eq!(
        readiness(true, Some(down()), degraded()).to_json(),
        r#"{"status":"down","journal":{"status":"down","reason":"disk \"full\""},"writers":[{"name":"sqlite","status":"degraded","reason":"behind"}]}"#
    );
    let off = Readiness { writers: vec![], ..readiness(false, None, PartState::Ready) };
    assert_eq!(off.to_json(), r#"{"status":"ready","writers":[]}"#);
}
