//! Compiles this package, and nothing else, with a delay at every marked point.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(concurrent_futures_delays)");
    println!("cargo:rustc-cfg=concurrent_futures_delays");
    println!("cargo:rerun-if-changed=build.rs");
}
