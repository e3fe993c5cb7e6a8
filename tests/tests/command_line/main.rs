//! What the commands print, for people and for programs, and their exit codes.

mod describe;
mod environment;
mod full_disk;
mod help;
mod logs;
mod one_node;
mod peers_file;
mod running;
