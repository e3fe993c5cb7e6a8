//! An edge, and a script of what its sender, its receiver and the runtime do on it.

mod damage;
mod honest;
mod rig;
mod words;

pub use damage::damaged_edge;
pub use honest::edge_with_deaths;
