//! The order in which a Responses client takes events.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::dispatch::Grammar;

/// What was seen of a stream.
#[derive(Default)]
pub(super) struct Order {
    sequence: u64,
    created: bool,
    /// Items that were added, and whether each is done; with their ids.
    items: Vec<(String, bool)>,
    /// What has begun within items and is not done: the item's place, and the events' name without its last word.
    open: BTreeSet<(u64, String)>,
    over: bool,
}

impl Grammar for Order {
    fn event(&mut self, name: Option<&str>, data: &[u8]) -> Result<(), String> {
        let data: Value =
            serde_json::from_slice(data).map_err(|error| format!("data is no JSON: {error}"))?;
        let kind = data["type"].as_str().unwrap_or_default();
        if name != Some(kind) {
            return Err(format!("event {name:?} holds {kind}"));
        }
        if data["sequence_number"].as_u64() != Some(self.sequence) {
            return Err(format!(
                "{kind} has sequence {} in place of {}",
                data["sequence_number"], self.sequence
            ));
        }
        self.sequence += 1;
        if self.over {
            return Err(format!("{kind} after the end"));
        }
        match kind {
            "response.created" if !self.created => self.created = true,
            _ if !self.created && kind != "response.failed" => {
                return Err(format!("{kind} before response.created"));
            }
            "response.in_progress" | "response.queued" => {}
            "response.output_item.added" => self.added(&data)?,
            "response.output_item.done" => self.done(&data)?,
            "response.completed" | "response.incomplete" => {
                self.over = true;
                if self.items.iter().any(|(_, done)| !done) {
                    return Err("an item is not done".to_owned());
                }
                let told = data["response"]["output"].as_array().map_or(0, Vec::len);
                if told != self.items.len() || !data["response"]["usage"].is_object() {
                    return Err(format!("the end tells {told} of {} items", self.items.len()));
                }
            }
            "response.failed" => self.over = true,
            _ => self.belongs(kind, &data)?,
        }
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        if self.over { Ok(()) } else { Err("no last event came".to_owned()) }
    }
}

impl Order {
    fn added(&mut self, data: &Value) -> Result<(), String> {
        let id = data["item"]["id"].as_str().unwrap_or_default().to_owned();
        if data["output_index"].as_u64() != Some(self.items.len() as u64) || id.is_empty() {
            return Err(format!("item {id:?} was added at {}", data["output_index"]));
        }
        self.items.push((id, false));
        Ok(())
    }

    fn item(&mut self, index: &Value, id: &Value) -> Result<&mut (String, bool), String> {
        let place = index.as_u64().and_then(|index| usize::try_from(index).ok());
        let item = place.and_then(|place| self.items.get_mut(place)).ok_or(format!("no item at {index}"))?;
        if id.as_str() != Some(&item.0) || item.1 {
            return Err(format!("item {id} at {index} is {item:?}"));
        }
        Ok(item)
    }

    fn done(&mut self, data: &Value) -> Result<(), String> {
        let place = data["output_index"].as_u64().unwrap_or_default();
        if let Some((_, open)) = self.open.iter().find(|(item, _)| *item == place) {
            return Err(format!("item {place} is done before its {open}"));
        }
        self.item(&data["output_index"], &data["item"]["id"])?.1 = true;
        Ok(())
    }

    fn belongs(&mut self, kind: &str, data: &Value) -> Result<(), String> {
        self.item(&data["output_index"], &data["item_id"]).map_err(|error| format!("{kind}: {error}"))?;
        let place = data["output_index"].as_u64().unwrap_or_default();
        let Some((stem, moment)) = kind.rsplit_once('.') else { return Ok(()) };
        let known = (place, stem.to_owned());
        match moment {
            // A source has no end of its own.
            "added" if stem.ends_with("annotation") => {}
            "added" if !self.open.insert(known.clone()) => {
                return Err(format!("{kind} while another is open"));
            }
            "delta" => _ = self.open.insert(known),
            // What is empty is done without having gone on; a part has to have begun.
            "done" if !self.open.remove(&known) && stem.ends_with("_part") => {
                return Err(format!("{kind} of what has not begun"));
            }
            _ => {}
        }
        Ok(())
    }
}
