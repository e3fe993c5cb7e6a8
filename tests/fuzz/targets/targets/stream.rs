//! libFuzzer gives its bytes to `dataflow_fuzz::stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dataflow_fuzz::stream(data));
