//! Puts `memory.x` where the linker looks for it.

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-search={root}");
    println!("cargo:rerun-if-changed=memory.x");
}
