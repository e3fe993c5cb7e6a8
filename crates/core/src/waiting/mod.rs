//! Who waits, and for whom: [`stop`] for a stop that takes time, [`why`] for people who look at each node.

pub mod stop;
pub mod why;
