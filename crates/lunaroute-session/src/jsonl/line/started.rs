//! How a request began: what is as it was with the request before in the file is left out.

use std::sync::Arc;

use super::json::{self, Fields};
use super::kind;
use crate::event::Started;

/// Appends the fields that differ from `before`, which becomes what was told; all of them when nothing was.
pub(super) fn append(started: &Arc<Started>, before: &mut Option<Arc<Started>>, fields: &mut Fields<'_>) {
    match before {
        Some(before) => changed(started, before, fields),
        None => all(started, fields),
    }
    *before = Some(Arc::clone(started));
}

fn changed(started: &Started, before: &Started, fields: &mut Fields<'_>) {
    let Started {
        client,
        external_id,
        session_source,
        dialect,
        operation,
        listener,
        method,
        path,
        headers,
        client_ip,
        user_agent,
        overhead_pre_us,
        repeats,
    } = started;
    fields.word("kind", "started");
    text("client", client, &before.client, fields);
    optional("external_id", external_id, &before.external_id, fields);
    text("session_source", session_source, &before.session_source, fields);
    if before.dialect != *dialect {
        fields.word("dialect", dialect.as_str());
    }
    if before.operation != *operation {
        fields.word("operation", operation.as_str());
    }
    text("listener", listener, &before.listener, fields);
    text("method", method, &before.method, fields);
    text("path", path, &before.path, fields);
    changed_headers(headers, &before.headers, fields);
    optional("client_ip", client_ip, &before.client_ip, fields);
    optional("user_agent", user_agent, &before.user_agent, fields);
    fields.number("overhead_pre_us", *overhead_pre_us);
    if let Some(repeats) = repeats {
        kind::repeats_field("repeats", *repeats, fields);
    }
}

/// All fields, those without a value too: left out would mean that they are as before.
fn all(started: &Started, fields: &mut Fields<'_>) {
    fields.word("kind", "started");
    fields.text("client", &started.client);
    nullable("external_id", started.external_id.as_deref(), fields);
    fields.text("session_source", &started.session_source);
    fields.word("dialect", started.dialect.as_str());
    fields.word("operation", started.operation.as_str());
    fields.text("listener", &started.listener);
    fields.text("method", &started.method);
    fields.text("path", &started.path);
    kind::headers_field(&started.headers, fields);
    nullable("client_ip", started.client_ip.as_deref(), fields);
    nullable("user_agent", started.user_agent.as_deref(), fields);
    fields.number("overhead_pre_us", started.overhead_pre_us);
    if let Some(repeats) = started.repeats {
        kind::repeats_field("repeats", repeats, fields);
    }
}

fn text(name: &str, value: &str, before: &str, fields: &mut Fields<'_>) {
    if before != value {
        fields.text(name, value);
    }
}

fn optional(name: &str, value: &Option<String>, before: &Option<String>, fields: &mut Fields<'_>) {
    if before != value {
        nullable(name, value.as_deref(), fields);
    }
}

fn nullable(name: &str, value: Option<&str>, fields: &mut Fields<'_>) {
    match value {
        Some(value) => fields.text(name, value),
        None => {
            fields.name(name);
            fields.0.extend_from_slice(b"null");
        }
    }
}

/// Where the names are as before, only the values that changed, each with its number.
fn changed_headers(headers: &[(String, String)], before: &[(String, String)], fields: &mut Fields<'_>) {
    let same_names = headers.len() == before.len()
        && headers.iter().zip(before).all(|((name, _), (before, _))| name == before);
    if !same_names {
        kind::headers_field(headers, fields);
        return;
    }
    let mut any = false;
    for (number, ((name, value), (_, before))) in headers.iter().zip(before).enumerate() {
        if value == before {
            continue;
        }
        if any {
            fields.0.push(b',');
        } else {
            fields.name("headers_changed");
            fields.0.push(b'[');
        }
        any = true;
        fields.0.push(b'[');
        json::number(number, fields.0);
        fields.0.push(b',');
        json::text(name, fields.0);
        fields.0.push(b',');
        json::text(value, fields.0);
        fields.0.push(b']');
    }
    if any {
        fields.0.push(b']');
    }
}
