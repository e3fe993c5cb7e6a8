//! Actors under test: probes that record and reply, faults at the handle, a paused clock.
