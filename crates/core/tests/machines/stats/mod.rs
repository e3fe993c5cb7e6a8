//! Sums agree with their members, and counters never fall, whatever happens (I-13, I-14).

mod collecting;
mod examples;
