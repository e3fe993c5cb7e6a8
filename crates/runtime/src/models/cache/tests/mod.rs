//! The cache's rules, one file each.

mod admitting;
mod crashes;
mod looking;
mod removing;
