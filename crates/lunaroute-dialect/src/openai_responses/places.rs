//! Where the items of a streamed response stand. Some hosts (llama.cpp) leave `output_index` out of their events; there an
//! item is known by its ids.

use crate::json::Json;

/// Most items that are known by their ids.
const LIMIT: usize = 4096;

/// What an item is called; empty where its host says nothing.
#[derive(Default)]
struct Name {
    id: String,
    call_id: String,
}

impl Name {
    fn of(item: Json<'_>) -> Self {
        let [id, call_id] = item.fields(["id", "call_id"]);
        let word = |value: Option<Json<'_>>| value.and_then(Json::text).unwrap_or_default().into_owned();
        Self { id: word(id), call_id: word(call_id) }
    }

    /// Whether the two name one item.
    fn is(&self, other: &Self) -> bool {
        match self.call_id.is_empty() || other.call_id.is_empty() {
            true => !self.id.is_empty() && self.id == other.id,
            false => self.call_id == other.call_id,
        }
    }

    /// Whether nothing says that they are two.
    fn may_be(&self, other: &Self) -> bool {
        self.call_id == other.call_id && (self.id.is_empty() || other.id.is_empty() || self.id == other.id)
    }
}

struct Item {
    place: u64,
    name: Name,
    is_done: bool,
}

/// The items of one response.
#[derive(Default)]
pub(super) struct Places {
    items: Vec<Item>,
    /// Events tell their items' places.
    are_numbered: bool,
    /// The place behind all others.
    next: u64,
}

impl Places {
    /// The place of an item that begins.
    pub(super) fn begin(&mut self, index: Option<u64>, item: Json<'_>) -> u64 {
        let name = Name::of(item);
        self.are_numbered |= index.is_some();
        self.add(index, name, false)
    }

    /// The place of an item that is done, whether its beginning was told or not.
    pub(super) fn end(&mut self, index: Option<u64>, item: Json<'_>) -> u64 {
        let name = Name::of(item);
        self.are_numbered |= index.is_some();
        let newest = |wanted: &dyn Fn(&Item) -> bool| self.items.iter().rposition(wanted);
        let found = match index {
            Some(index) => newest(&|item| item.place == index),
            None => newest(&|item| !item.is_done && item.name.is(&name))
                .or_else(|| newest(&|item| item.name.is(&name)))
                .or_else(|| newest(&|item| !item.is_done && item.name.may_be(&name))),
        };
        match found.and_then(|found| self.items.get_mut(found)) {
            Some(item) => {
                item.is_done = true;
                item.place
            }
            None => self.add(index, name, true),
        }
    }

    /// The place of the item that goes on; without a number and an id that is known the newest does.
    pub(super) fn of(&mut self, index: Option<u64>, id: Option<Json<'_>>) -> u64 {
        if let Some(index) = index {
            self.are_numbered = true;
            return index;
        }
        let id = id.and_then(Json::text).filter(|id| !id.is_empty());
        let named = id.and_then(|id| self.items.iter().rev().find(|item| item.name.id == id));
        named.or(self.items.last()).map_or(0, |item| item.place)
    }

    /// The place of the item at a position of the whole output.
    pub(super) fn told(&mut self, position: u64, item: Json<'_>) -> u64 {
        if self.items.is_empty() {
            return position;
        }
        let name = Name::of(item);
        let there = self.items.iter().find(|item| item.place == position);
        if there.is_some_and(|item| item.name.is(&name)) {
            return position;
        }
        if let Some(item) = self.items.iter().rev().find(|item| item.name.is(&name)) {
            return item.place;
        }
        if self.are_numbered || there.is_some_and(|item| item.name.may_be(&name)) {
            return position;
        }
        self.add(None, name, true)
    }

    fn add(&mut self, index: Option<u64>, name: Name, is_done: bool) -> u64 {
        let place = index.unwrap_or(self.next);
        self.next = self.next.max(place.saturating_add(1));
        if self.items.len() < LIMIT {
            self.items.push(Item { place, name, is_done });
        }
        place
    }
}
