//! Compiles this package, and nothing else, with the inside open.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(concurrent_futures_internals)");
    println!("cargo:rustc-cfg=concurrent_futures_internals");
    println!("cargo:rerun-if-changed=build.rs");
}
