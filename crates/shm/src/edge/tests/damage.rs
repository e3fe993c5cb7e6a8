//! Damaged edges (I-3): whatever stands in the words, nobody panics, hangs, or reads outside.
