//! The cache's rules, one file each.

mod admitting;
mod crashes;
mod hostile;
mod looking;
mod removing;
