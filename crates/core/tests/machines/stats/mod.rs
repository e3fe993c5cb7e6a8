//! Sums agree with their members, and counters never fall, whatever happens (I-13, I-14).

#[cfg(feature = "broken-rules")]
mod broken;
mod changes;
mod collecting;
mod examples;
mod flat;
mod following;
mod gathering;
mod histories;
mod naive;
mod play;
mod rows;
