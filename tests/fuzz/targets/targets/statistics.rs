//! libFuzzer gives its bytes to `dataflow_fuzz::statistics`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dataflow_fuzz::statistics(data));
