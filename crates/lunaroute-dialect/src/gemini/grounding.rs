//! What the words of an answer are grounded on: pages that a search found, and spans of bytes of the answer's text.
//! <https://ai.google.dev/api/generate-content#GroundingMetadata>

use lunaroute_core::{Citation, Delta};
use serde_json::{Value, json};

use crate::json::Json;

/// How much of an answer's text is kept to find spans in it, in bytes. Sources of what comes later have no span.
const TEXT_LIMIT: usize = 1024 * 1024;

/// Most sources of an answer that are told.
const SOURCES: usize = 256;

/// The visible text of an answer as far as it is kept, and where its last block begins.
#[derive(Debug, Default)]
struct Visible {
    text: String,
    block: usize,
    is_cut: bool,
}

impl Visible {
    fn begin(&mut self) {
        self.block = self.text.len();
    }

    fn add(&mut self, text: &str) {
        self.is_cut |= self.text.len() + text.len() > TEXT_LIMIT;
        if !self.is_cut {
            self.text.push_str(text);
        }
    }

    /// A span of bytes of the whole text as code points of its last block; `None` when it is not in there.
    fn points(&self, start: usize, end: usize) -> Option<(u64, u64)> {
        let point = |place: usize| Some(self.text.get(self.block..place)?.chars().count() as u64);
        if self.is_cut || start >= end { None } else { point(start).zip(point(end)) }
    }

    /// Code points of the last block as a span of bytes of the whole text.
    fn bytes(&self, (start, end): (u64, u64)) -> Option<(usize, usize)> {
        let block = &self.text[self.block..];
        let ends = || block.char_indices().map(|(place, _)| place).chain([block.len()]);
        let byte = |point: u64| Some(self.block + ends().nth(usize::try_from(point).ok()?)?);
        if self.is_cut || start >= end { None } else { byte(start).zip(byte(end)) }
    }
}

/// Reads the sources of one candidate.
#[derive(Debug, Default)]
pub(super) struct Sources {
    visible: Visible,
    /// What was told: later chunks of a stream say it again.
    told: Vec<Citation>,
}

impl Sources {
    /// A block of text begins.
    pub(super) fn begin(&mut self) {
        self.visible.begin();
    }

    /// The block goes on.
    pub(super) fn add(&mut self, text: &str) {
        self.visible.add(text);
    }

    /// Takes `groundingMetadata`, whose sources are those of the block of this number. Pages without a span stand for all
    /// of it.
    pub(super) fn take(&mut self, index: u32, grounding: Json<'_>, deltas: &mut Vec<Delta>) {
        let [chunks, supports] = grounding.fields(["groundingChunks", "groundingSupports"]);
        let pages = chunks.into_iter().flat_map(|chunks| chunks.objects(["web"]));
        let pages: Vec<Option<(String, Option<String>)>> =
            pages.take(SOURCES).map(|(_, [web])| page(web?)).collect();
        let mut has_spans = false;
        for (_, [segment, places]) in
            supports.into_iter().flat_map(|supports| supports.objects(["segment", "groundingChunkIndices"]))
        {
            let place = |name| {
                let place = segment.and_then(|segment| segment.count_of(name)).unwrap_or_default();
                usize::try_from(place).unwrap_or(usize::MAX)
            };
            let range = self.visible.points(place("startIndex"), place("endIndex"));
            for page in places.into_iter().flat_map(Json::elements).filter_map(Json::count) {
                let page = usize::try_from(page).ok().and_then(|page| pages.get(page)?.clone());
                has_spans |= page.is_some();
                self.tell(index, page, range, deltas);
            }
        }
        if !has_spans {
            pages.into_iter().for_each(|page| self.tell(index, page, None, deltas));
        }
    }

    fn tell(
        &mut self,
        index: u32,
        page: Option<(String, Option<String>)>,
        range: Option<(u64, u64)>,
        deltas: &mut Vec<Delta>,
    ) {
        let Some((url, title)) = page else { return };
        let citation = Citation { url, title, range };
        if self.told.len() < SOURCES && !self.told.contains(&citation) {
            self.told.push(citation.clone());
            deltas.push(Delta::Cite { index, citation });
        }
    }
}

fn page(web: Json<'_>) -> Option<(String, Option<String>)> {
    let [uri, title] = web.fields(["uri", "title"]);
    Some((uri?.text()?.into_owned(), title.and_then(Json::text).map(Into::into)))
}

/// Writes the sources of one answer.
#[derive(Debug, Default)]
pub(super) struct Grounding {
    visible: Visible,
    pages: Vec<(String, Option<String>)>,
    supports: Vec<Value>,
}

impl Grounding {
    /// A block begins; of other kinds of blocks than text nothing is added.
    pub(super) fn begin(&mut self) {
        self.visible.begin();
    }

    /// The block goes on.
    pub(super) fn add(&mut self, text: &str) {
        self.visible.add(text);
    }

    /// Takes a source of the block.
    pub(super) fn cite(&mut self, citation: &Citation) {
        let known = self.pages.iter().position(|(url, _)| *url == citation.url);
        let Some(page) = known.or_else(|| {
            (self.pages.len() < SOURCES).then(|| {
                self.pages.push((citation.url.clone(), citation.title.clone()));
                self.pages.len() - 1
            })
        }) else {
            return;
        };
        let span = citation.range.and_then(|range| self.visible.bytes(range));
        if let Some((start, end)) = span.filter(|_| self.supports.len() < SOURCES) {
            self.supports.push(json!({
                "segment": {"startIndex": start, "endIndex": end, "text": self.visible.text[start..end]},
                "groundingChunkIndices": [page],
            }));
        }
    }

    /// `groundingMetadata`; nothing when no source was named.
    pub(super) fn told(self) -> Option<Value> {
        if self.pages.is_empty() {
            return None;
        }
        let page = |(uri, title): (String, Option<String>)| {
            let mut web = json!({"uri": uri});
            if let Some(title) = title {
                web["title"] = json!(title);
            }
            json!({"web": web})
        };
        let pages: Vec<Value> = self.pages.into_iter().map(page).collect();
        let mut told = json!({"groundingChunks": pages});
        if !self.supports.is_empty() {
            told["groundingSupports"] = Value::Array(self.supports);
        }
        Some(told)
    }
}
