//! The actors, and what they drive: processes, sockets, edges, logs.
