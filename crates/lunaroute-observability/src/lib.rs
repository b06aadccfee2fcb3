//! How the gateway tells how it is: metrics in the Prometheus text format, readiness, and logs.
//!
//! [`Metrics`] implements [`lunaroute_core::Observer`], so that the record, the metrics and everybody else hear of the
//! same [`Outcome`](lunaroute_core::Outcome). Every label comes from a set that is bounded when the process starts.
//!
//! It never opens a port, never reads a header or a body, never takes a label from what a client sends, and never makes
//! a request wait.

pub mod health;
pub mod log;
mod metrics;

pub use metrics::{Labels, Metrics, MetricsError, RecorderFigures, WriterFigures};
