//! What a gateway says about itself: figures for Prometheus, whether it is ready, and its log.
//!
//! This crate never sees a body, a header or a credential, never does network I/O, and never lets a caller's text become
//! a label: every label's set of values is bounded.

pub mod health;
pub mod log;
mod metrics;
mod recorder;

pub use metrics::{Metrics, MetricsError};
pub use recorder::{RecorderFigures, WriterFigures};
