//! Compiles this package, and nothing else, against loom.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(concurrent_futures_loom)");
    // The features that this package doesn't have: the root's sources ask for them.
    println!("cargo:rustc-check-cfg=cfg(feature, values(\"process\", \"json\"))");
    println!("cargo:rustc-cfg=concurrent_futures_loom");
    println!("cargo:rerun-if-changed=build.rs");
}
