//! Statistics over real sockets: whoever watches knows in the end what there was to know, and costs nobody else anything.

mod collecting;
mod hostile;
mod support;
mod watching;
