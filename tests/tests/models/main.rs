//! Models, end to end: the real binary, a Hub that is as nasty as the real world, and a real model.

mod reference;
mod semantic_search;
