//! libFuzzer gives its bytes to `dataflow_fuzz::peer_frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dataflow_fuzz::peer_frames(data));
