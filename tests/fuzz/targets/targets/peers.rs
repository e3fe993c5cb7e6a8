//! libFuzzer gives its bytes to `dataflow_fuzz::peers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dataflow_fuzz::peers(data));
