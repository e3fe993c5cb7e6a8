//! A page of metrics in the format of OpenMetrics 1.0: every family of it, and how a snapshot becomes its text.
//! `docs/METRICS.md` lists them all, and is tested equal.

mod carried;
mod classic;
mod edges;
mod family;
mod level;
mod page;
mod pages;
mod rows;
mod service;
mod text;

pub(in crate::statistics) use page::{Exporter, Format};
pub use pages::MetricsPages;
pub(crate) use rows::Facts;

#[cfg(test)]
pub(super) mod tests;
