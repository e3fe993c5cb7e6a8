//! libFuzzer gives its bytes to `dataflow_fuzz::damaged_edge`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dataflow_fuzz::damaged_edge(data));
