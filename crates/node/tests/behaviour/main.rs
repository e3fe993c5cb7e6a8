//! How a node behaves, with a small runtime inside the test.

mod asynchronous;
mod drain;
mod faults;
mod limits;
mod messages;
mod stop;
mod timers;
mod world;
