//! libFuzzer gives its bytes to `dataflow_fuzz::gathered`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dataflow_fuzz::gathered(data));
