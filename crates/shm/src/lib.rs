//! The data plane: memfd segments, edges and wake-ups. The only room with unsafe code.
