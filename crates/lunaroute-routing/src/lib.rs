//! Which provider serves a request, under which model name.
//!
//! A [`Table`] is made once from the configuration and answers [`Table::plan`] for each request without a lock. It is
//! pure: it never does I/O, knows no runtime, no HTTP and no clock, and never guesses. A request that no rule and no
//! default covers, or that asks a provider of another dialect for what cannot be translated, gets a [`NoRoute`] that says
//! what to do.

mod error;
mod plan;
mod retry_budget;
mod table;

pub use error::{NoRoute, TableError};
pub use plan::{Head, Plan, Rule, Target};
pub use retry_budget::RetryBudget;
pub use table::{DefaultProvider, Fallback, ModelRule, Provider, Table};
