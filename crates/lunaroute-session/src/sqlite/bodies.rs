//! From a request's body to the stretches of bytes that are kept of it: what repeats an earlier body of the session is
//! named by its place, without looking at it; only what is new is hashed, compressed and stored.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lunaroute_core::{MessageSpan, RequestId, SessionId};
use rusqlite::{Connection, OptionalExtension};

use super::blobs::{self, BlobStore};
use super::cut::{Cut, Part, cut};
use super::decode::decoded;
use super::failure::StepError;
use super::pending::Pending;
use super::recipe::{Ingredient, Recipe};
use super::small::{Lean, SmallBodies};
use crate::event::{Body, Repeats, RequestRead};

/// A body below this length is kept with the request's other small content.
const SMALL: usize = 4_096;

/// Parts of recipes that are remembered: at 32 bytes each, 2 MiB.
const REMEMBERED_PARTS: usize = 65_536;

/// What a recipe takes beside its parts, in parts.
const OF_RECIPE: usize = 8;

/// What a request's row keeps of its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyReferences {
    /// Recipe of the body as it arrived.
    pub(crate) body: Option<Vec<u8>>,
    /// Recipe of the body without its content coding, when it had one that can be undone.
    pub(crate) decoded: Option<Vec<u8>>,
    /// Whether the body goes with the small content.
    pub(crate) is_inline: bool,
    /// What of it goes with the small content of another request.
    pub(crate) lean: Option<Lean>,
    /// How many bytes at the start and the end of the readable body are those of a body whose tool results are known.
    pub(crate) known: (usize, usize),
    /// What later requests may repeat.
    recipe: Option<Arc<Recipe>>,
    /// The request at which the search for a stored body ended without one, and what this body repeats of it.
    unstored: Option<Repeats>,
}

impl BodyReferences {
    /// What a row has that was written earlier.
    pub(crate) fn stored(body: Vec<u8>, decoded: Option<Vec<u8>>) -> Self {
        let recipe = Recipe::decode(&body).filter(|recipe| recipe.is_inline);
        let (is_inline, lean) = (recipe.is_some(), recipe.and_then(|recipe| recipe.lean));
        Self { body: Some(body), decoded, is_inline, lean, ..Self::default() }
    }
}

/// A stored body that a request's body repeats, or is.
#[derive(Clone)]
struct Known {
    session: SessionId,
    recipe: Arc<Recipe>,
    /// What the request's body has in common with it at its start and its end; [`WHOLE`] when it is that body.
    prefix: u64,
    suffix: u64,
}

/// More than any body has.
const WHOLE: u64 = u64::MAX;

/// The recipes of the latest requests, by request. Bounded; what it forgets is asked of the database.
///
/// Of requests that run side by side a later one may be over first. Its recipe is remembered for the one that it repeats, too,
/// so that those between them find it.
#[derive(Default)]
pub(crate) struct Recipes {
    by_request: HashMap<RequestId, Known>,
    /// Oldest first.
    order: VecDeque<RequestId>,
    parts: usize,
    pub(crate) small: SmallBodies,
}

impl Recipes {
    /// Forgets everything: somebody else has changed the database.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Remembers what a request's body is made of, once that is written.
    pub(crate) fn remember(&mut self, request: RequestId, session: &SessionId, references: &BodyReferences) {
        let Some(recipe) = &references.recipe else { return };
        let known =
            |prefix, suffix| Known { session: session.clone(), recipe: recipe.clone(), prefix, suffix };
        self.insert(request, known(WHOLE, WHOLE));
        if let Some(Repeats { of, prefix, suffix }) = references.unstored
            && !self.by_request.contains_key(&of)
        {
            self.insert(of, known(prefix, suffix));
        }
    }

    fn insert(&mut self, request: RequestId, known: Known) {
        self.parts += weight(&known.recipe);
        match self.by_request.insert(request, known) {
            Some(before) => self.parts -= weight(&before.recipe),
            None => self.order.push_back(request),
        }
        while self.parts > REMEMBERED_PARTS
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(known) = self.by_request.remove(&oldest) {
                self.parts -= weight(&known.recipe);
            }
        }
    }

    /// What is remembered of a request of the session.
    fn known(&self, session: &SessionId, request: RequestId) -> Option<&Known> {
        self.by_request.get(&request).filter(|known| known.session == *session)
    }
}

/// The recipe of an earlier request of the session, as the database has it.
fn stored(
    connection: &Connection,
    session: &SessionId,
    request: RequestId,
) -> Result<Option<Arc<Recipe>>, StepError> {
    let mut statement = connection.prepare_cached(
        "SELECT body FROM requests WHERE id = ?1 AND session_id = ?2 AND body IS NOT NULL AND decoded IS NULL",
    )?;
    let body: Option<Vec<u8>> =
        statement.query_row((request.to_string(), session.as_str()), |row| row.get(0)).optional()?;
    match body {
        None => Ok(None),
        Some(body) => Ok(blobs::measured(connection, &body)?.map(Arc::new)),
    }
}

fn weight(recipe: &Recipe) -> usize {
    OF_RECIPE + recipe.parts.len()
}

/// Gathers in `store` what is to be kept of the body of `pending`, whose session has the number `session`.
pub(crate) fn references(
    connection: &Connection,
    store: &mut BlobStore,
    earlier: (&Recipes, &HashMap<RequestId, Pending>),
    pending: &Pending,
    session: i64,
) -> Result<BodyReferences, StepError> {
    let body = &pending.body;
    if body.is_empty() {
        return Ok(BodyReferences::default());
    }
    let nothing_read = RequestRead::default();
    let read = pending.read.as_deref().unwrap_or(&nothing_read);
    let coding = read.content_encoding.as_deref().filter(|coding| !coding.eq_ignore_ascii_case("identity"));
    let is_inline = body.len() < SMALL;
    let Some(coding) = coding else {
        let cut = cut(body.len(), &read.messages);
        if is_inline {
            let recipe = Recipe { lean: earlier.0.small.find(session, &body.whole()), ..inline(&cut) };
            let encoded = Some(recipe.encode());
            return Ok(BodyReferences { body: encoded, is_inline, lean: recipe.lean, ..Default::default() });
        }
        let (repeated, unstored) = match search(connection, earlier, pending)? {
            Search::Found(repeated) => (repeated, None),
            Search::EndedAt(repeats) => (None, Some(repeats)),
        };
        // A result belongs to the request that began first, so those of a later one are not taken for known.
        let earlier = repeated.as_ref().filter(|repeated| repeated.is_earlier);
        let known = earlier.map_or((0, 0), |repeated| (repeated.prefix, repeated.suffix));
        let recipe = make(connection, store, session, body, cut, repeated.as_ref())?;
        let encoded = Some(recipe.encode());
        return Ok(BodyReferences {
            body: encoded,
            decoded: None,
            is_inline,
            lean: None,
            known,
            recipe: Some(Arc::new(recipe)),
            unstored: unstored.filter(|repeats| repeats.of != pending.request),
        });
    };
    let arrived = cut(body.len(), &[]);
    let arrived =
        if is_inline { inline(&arrived) } else { make(connection, store, session, body, arrived, None)? };
    // Of a body that could not be read nothing is kept by reference: it may be a bomb.
    let readable = !read.messages.is_empty();
    let plain = readable.then(|| decoded(body, Some(coding))).flatten();
    let decoded = match plain.filter(|plain| !plain.is_empty()) {
        Some(decoded) => {
            let cut = cut(decoded.len(), &read.messages);
            Some(make(connection, store, session, &decoded, cut, None)?.encode())
        }
        None => None,
    };
    Ok(BodyReferences { body: Some(arrived.encode()), decoded, is_inline, ..Default::default() })
}

/// Gathers in `store` what is to be kept of a body in the provider's form; gives its recipe.
pub(crate) fn of_provider(
    connection: &Connection,
    store: &mut BlobStore,
    body: &Body,
    messages: &[MessageSpan],
    session: i64,
) -> Result<Vec<u8>, StepError> {
    let cut = cut(body.len(), messages);
    Ok(make(connection, store, session, body, cut, None)?.encode())
}

fn inline(cut: &Cut) -> Recipe {
    let part = |part: &Part| Ingredient {
        blob: 0,
        length: part.range.len(),
        separator: part.separator,
        role: part.role,
    };
    Recipe { parts: cut.parts.iter().map(part).collect(), first: cut.first, is_inline: true, lean: None }
}

fn make(
    connection: &Connection,
    store: &mut BlobStore,
    session: i64,
    body: &Body,
    cut: Cut,
    repeated: Option<&Repeated>,
) -> Result<Recipe, StepError> {
    let mut parts = Vec::with_capacity(cut.parts.len());
    let mut places = Places::default();
    for part in cut.parts {
        let length = part.range.len();
        let blob = match repeated.and_then(|repeated| repeated.blob(&part, body.len(), &mut places)) {
            Some(blob) => blob,
            None => {
                let piece = body.part(part.range).expect("the parts of a cut lie within what is cut");
                store.share(connection, session, &piece)?
            }
        };
        parts.push(Ingredient { blob, length, separator: part.separator, role: part.role });
    }
    Ok(Recipe { parts, first: cut.first, is_inline: false, lean: None })
}

/// So many requests that are not over yet are looked through for one whose body is stored: agents of one session that
/// run side by side repeat each other.
const RUNNING: usize = 32;

/// What a search for a stored body came to.
enum Search {
    /// A body is stored; `None` when it is too short for what is said about it.
    Found(Option<Repeated>),
    /// None is stored of those that are repeated; the last of them, which is the request itself when it repeats none.
    EndedAt(Repeats),
}

/// Looks for a stored body that the body of `pending` repeats. Where the earlier request is not over yet, what that one
/// repeats itself is repeated, too.
fn search(
    connection: &Connection,
    (recipes, running): (&Recipes, &HashMap<RequestId, Pending>),
    pending: &Pending,
) -> Result<Search, StepError> {
    let session = &pending.session;
    let found = |repeats: &Repeats, recipe: Arc<Recipe>, is_earlier: bool| {
        let repeated = Repeated::new(repeats, recipe, pending.body.len());
        Search::Found(repeated.map(|repeated| Repeated { is_earlier, ..repeated }))
    };
    let repeats_of = |pending: &Pending| pending.started.as_ref().and_then(|started| started.repeats);
    // It is itself all that it has, and one that repeats it may be stored already.
    let mut repeats = Repeats { of: pending.request, prefix: WHOLE, suffix: WHOLE };
    let mut further = repeats_of(pending);
    for _ in 0..=RUNNING {
        if let Some(known) = recipes.known(session, repeats.of) {
            let in_common = repeats.within(known.prefix, known.suffix);
            return Ok(found(&in_common, known.recipe.clone(), known.prefix == WHOLE));
        }
        let Some(next) = further else { break };
        repeats = Repeats { of: next.of, ..repeats.within(next.prefix, next.suffix) };
        let earlier = running.get(&repeats.of).filter(|earlier| earlier.session == *session);
        // Of those in memory the database has only what is shown; what this transaction stored of them is remembered.
        if earlier.is_none_or(|earlier| earlier.shown.is_some())
            && recipes.known(session, repeats.of).is_none()
            && let Some(recipe) = stored(connection, session, repeats.of)?
        {
            return Ok(found(&repeats, recipe, true));
        }
        further = earlier.and_then(repeats_of);
    }
    Ok(Search::EndedAt(repeats))
}

/// An earlier body that a body repeats at its start and its end.
struct Repeated {
    recipe: Arc<Recipe>,
    /// Length of the earlier body.
    length: usize,
    prefix: usize,
    suffix: usize,
    /// Whether its request began before; else it only ended before.
    is_earlier: bool,
}

/// How far the earlier recipe was looked through; parts are asked for in order.
#[derive(Default)]
struct Places {
    next: usize,
    start: usize,
}

impl Repeated {
    /// `None` when the two bodies are too short for what is said about them.
    fn new(repeats: &Repeats, recipe: Arc<Recipe>, length: usize) -> Option<Self> {
        let earlier: usize = recipe.parts.iter().map(|part| part.length).sum();
        let prefix = usize::try_from(repeats.prefix).ok()?;
        let suffix = usize::try_from(repeats.suffix).ok()?;
        let fits = prefix.checked_add(suffix)? <= length.min(earlier);
        fits.then_some(Self { recipe, length: earlier, prefix, suffix, is_earlier: true })
    }

    /// The blob of a part that lies within what is repeated, when the earlier body was cut in the same way there.
    fn blob(&self, part: &Part, length: usize, places: &mut Places) -> Option<i64> {
        let start = if part.range.end <= self.prefix {
            part.range.start
        } else if part.range.start >= length - self.suffix {
            self.length - (length - part.range.start)
        } else {
            return None;
        };
        while places.start < start {
            places.start += self.recipe.parts.get(places.next)?.length;
            places.next += 1;
        }
        let earlier = self.recipe.parts.get(places.next).filter(|_| places.start == start)?;
        (earlier.length == part.range.len()).then_some(earlier.blob)
    }
}

#[cfg(test)]
mod tests {
    use lunaroute_core::Role;
    use proptest::prelude::*;

    use super::*;

    fn recipe(lengths: &[usize]) -> Arc<Recipe> {
        let part = |(blob, length): (i64, &usize)| Ingredient {
            blob,
            length: *length,
            separator: 0,
            role: Some(Role::User),
        };
        Arc::new(Recipe {
            parts: (1..).zip(lengths).map(part).collect(),
            first: 0,
            is_inline: false,
            lean: None,
        })
    }

    proptest! {
        /// Whatever is said to be repeated, a blob is only named for a part that holds the same bytes.
        #[test]
        fn a_named_part_holds_the_same_bytes(
            earlier in proptest::collection::vec(1_usize..9, 1..12),
            lengths in proptest::collection::vec(1_usize..9, 1..12),
            prefix in 0_usize..60,
            suffix in 0_usize..60,
        ) {
            let total: usize = earlier.iter().sum();
            let length: usize = lengths.iter().sum();
            let of = RequestId::from_bytes([1; 16]);
            let repeats = Repeats { of, prefix: prefix as u64, suffix: suffix as u64 };
            let Some(repeated) = Repeated::new(&repeats, recipe(&earlier), length) else {
                prop_assert!(prefix + suffix > total.min(length));
                return Ok(());
            };
            let mut places = Places::default();
            let mut start = 0;
            for part_length in lengths {
                let range = start..start + part_length;
                start = range.end;
                let part = Part { range: range.clone(), separator: 0, role: None };
                let Some(blob) = repeated.blob(&part, length, &mut places) else { continue };
                let before: usize = earlier[..blob as usize - 1].iter().sum();
                prop_assert_eq!(earlier[blob as usize - 1], part_length);
                let in_prefix = range.end <= prefix && before == range.start;
                let in_suffix = range.start >= length - suffix && total - before == length - range.start;
                prop_assert!(in_prefix || in_suffix);
            }
        }
    }
}
