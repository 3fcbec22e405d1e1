//! Compiles this package, and nothing else, against loom.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(concurrent_futures_loom)");
    println!("cargo:rustc-cfg=concurrent_futures_loom");
    println!("cargo:rerun-if-changed=build.rs");
}
