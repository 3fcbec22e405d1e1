//! Python's `concurrent.futures` for Rust.
