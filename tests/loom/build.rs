//! Compiles this package, and nothing else, against loom.

#![expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]

fn main() {
    println!("cargo:rustc-check-cfg=cfg(concurrent_futures_loom)");
    println!("cargo:rustc-cfg=concurrent_futures_loom");
    println!("cargo:rerun-if-changed=build.rs");
}
