//! The bodies of the fuzz targets that read what is internal: tests/fuzz feeds them.

mod frames;
mod mad_worker;
mod messages;
mod parcels;
mod values;

/// Something that reads bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// As `cargo fuzz` and the corpus call it.
    pub name: &'static str,
    /// Reads any bytes; panics if it finds that they were not read well.
    pub body: fn(&[u8]),
    /// What its input is made of, beside bytes.
    pub words: &'static [&'static str],
    /// Good input, by those who write it: with a name each.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

/// Those of them that are here.
pub const TARGETS: [Target; 5] =
    [frames::TARGET, messages::TARGET, parcels::TARGET, values::TARGET, mad_worker::TARGET];
