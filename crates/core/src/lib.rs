//! Decisions only: pure state machines for life cycle, drain, restart, placement and statistics.
