//! What a log line looks like.

use std::io;
use std::sync::{Arc, Mutex};

use lunaroute_observability::log::{Format, LogError, subscriber};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Page {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn lines(format: Format, filter: &str, colour: bool, speak: impl FnOnce()) -> String {
    let page = Page::default();
    let subscriber = subscriber(format, filter, colour, page.clone()).expect("a filter");
    tracing::subscriber::with_default(subscriber, speak);
    let bytes = page.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn json_lines_are_one_object_each_whatever_a_field_holds() {
    let text = lines(Format::Json, "info", true, || {
        tracing::info!(provider = "a\nb\u{1b}[31m", status = 200, "answered");
        tracing::warn!("second");
        tracing::debug!("not asked for");
    });
    let objects: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("one object on each line")).collect();
    assert_eq!(objects.len(), 2, "{text}");
    assert_eq!(objects[0]["level"], "INFO");
    assert_eq!(objects[0]["message"], "answered");
    assert_eq!(objects[0]["provider"], "a\nb\u{1b}[31m");
    assert_eq!(objects[0]["status"], 200);
    assert!(objects[0]["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{text}");
    assert!(!text.contains('\u{1b}'), "no control character reaches a terminal");
}

#[test]
fn text_lines_have_colour_only_when_asked() {
    let speak = || tracing::info!("hello {}", "\u{1b}[31m");
    let coloured = lines(Format::Text, "info", true, speak);
    let plain = lines(Format::Text, "info", false, speak);
    assert!(coloured.contains("\u{1b}[32m"), "{coloured:?}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.contains("INFO") && plain.contains("hello"), "{plain:?}");
}

#[test]
fn levels_go_by_module_and_a_bad_filter_is_named() {
    let speak = || {
        tracing::info!(target: "other", "unwanted");
        tracing::debug!(target: "wanted::deep", "wanted");
    };
    let text = lines(Format::Text, "warn,wanted=debug", false, speak);
    assert!(text.contains("wanted::deep") && !text.contains("unwanted"), "{text}");
    let error = subscriber(Format::Text, "a=b=c=!!", false, io::stderr).err().expect("no filter");
    assert!(matches!(&error, LogError::Filter { filter, .. } if filter == "a=b=c=!!"), "{error}");
    assert!(error.to_string().contains("write a level such as 'info'"), "{error}");
}
