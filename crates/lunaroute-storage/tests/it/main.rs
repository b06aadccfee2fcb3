//! What this crate promises, shown at its walls.

mod damage;
mod disk;
mod faults;
mod files;
mod full;
mod round_trip;
mod support;
mod tailing;
mod upkeep;
