//! The part of the journal that still exists.

use std::path::Path;

use lunaroute_storage::journal::{Position, read_all};

use super::parity::Parity;
use super::report::Report;
use crate::codec::{self, EventReader};

/// Reads every event; tells where the journal ends.
pub(super) fn read(directory: &Path, parity: &mut Parity<'_>, report: &mut Report) -> Option<Position> {
    let place = directory.display().to_string();
    let mut frames = match read_all(directory) {
        Ok(frames) => frames,
        Err(error) => {
            parity.damage(place, "it cannot be read", error);
            return None;
        }
    };
    let mut reader = EventReader::new(directory);
    let last_segment = frames.end().segment;
    // What a crash left in a segment that was gone on from: no promise was given for it, and nothing is to come of it.
    let mut left_behind = 0;
    while let Some(frame) = frames.next() {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                parity.damage(place, "it cannot be read to its end", error);
                return None;
            }
        };
        if frame.position.segment < last_segment || frame.position.offset == 0 {
            left_behind = frames.damage().torn_bytes;
        }
        if frame.kind != codec::EVENT {
            continue;
        }
        let place = format!("journal {}", frame.position);
        match reader.events(&frame) {
            Ok(events) => {
                for item in events {
                    let place = format!("journal {}", item.position);
                    parity.event(&place, item.position, &item.event, report);
                }
            }
            Err(error) => parity.damage(place, "an entry cannot be read", error),
        }
    }
    let damage = frames.damage();
    if damage.damaged_frames > 0 {
        let found = format!("{} places with {} bytes", damage.damaged_frames, damage.damaged_bytes);
        parity.damage(place.clone(), "bytes that are no whole frame were stepped over", found);
    }
    if reader.lost_bodies() > 0 {
        let found = format!("{} bodies", reader.lost_bodies());
        parity.damage(place, "bodies that lean on what is damaged or gone are lost", found);
    }
    if frames.end().offset > 0 {
        parity.torn(damage.torn_bytes - left_behind);
    }
    Some(frames.end())
}
