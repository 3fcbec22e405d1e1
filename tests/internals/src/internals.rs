//! The inside, opened for tests: a module of the crate, compiled in tests/internals alone, that can name what no test can.
//!
//! What tests call is `pub` here. The fuzz targets' bodies, which touch nearly all of it, stand here themselves.

pub mod codec;
pub mod fuzz;
pub mod memory;
pub mod wire;
