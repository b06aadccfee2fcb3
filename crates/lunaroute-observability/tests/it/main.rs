//! Metrics, readiness and logs at their walls.

mod health;
mod log;
mod metrics;
