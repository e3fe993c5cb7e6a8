//! `dataflow top` at a real terminal and without one, of runtimes that these tests play.

mod agent;
mod played;
mod terminal;
mod text;
