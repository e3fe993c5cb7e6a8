//! The cache as others see it: Python's `huggingface_hub`, many processes at once, a disk that is full.

mod environment;
mod fetched;
mod full_disk;
mod processes;
mod python;
mod together;
