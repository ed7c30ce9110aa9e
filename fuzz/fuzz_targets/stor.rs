#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bytestreams_fuzz::stor(data));
