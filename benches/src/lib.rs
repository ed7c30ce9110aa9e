//! Benchmarks of bytestreams beside its peers: see `benches/`.
