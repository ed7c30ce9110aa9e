#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bytestreams_fuzz::socks5_client(data));
