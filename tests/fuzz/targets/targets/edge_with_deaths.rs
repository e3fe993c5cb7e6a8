//! libFuzzer gives its bytes to `dataflow_fuzz::edge_with_deaths`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dataflow_fuzz::edge_with_deaths(data));
