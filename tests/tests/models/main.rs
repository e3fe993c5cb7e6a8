//! Models, end to end: the real binary, a Hub that is as nasty as the real world, and a real model.

mod ends;
mod full_disk;
mod killed;
mod limit_rate;
mod many_files;
mod mute;
mod offline;
mod pins;
mod reference;
mod semantic_search;
mod sharing;
mod shown;
mod starting;
mod watch;
mod world;
