//! Which function: how one process names it to another run of the same executable.
//!
//! An address means nothing elsewhere, since each process is loaded at a place of its own. The distance from where the
//! main executable was loaded means the same in every process that runs the very same file, and the
//! [`Fingerprint`](super::fingerprint::Fingerprint) says whether it does. Both ends check that the function lies in the executable's code: one in a shared library lies
//! elsewhere in each process.
//!
//! An address is never a key: the linker may fold two functions with the same body into one.

use super::executable::IMAGE;

/// A function's distance from the place where the main executable is loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offset(u64);

/// A function that isn't part of the main executable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elsewhere;

impl Offset {
    pub(crate) fn of(function: *const ()) -> Result<Self, Elsewhere> {
        let address = function.addr();
        if !IMAGE.code.contains(&address) {
            return Err(Elsewhere);
        }
        Ok(Offset(address.wrapping_sub(IMAGE.base) as u64))
    }

    /// The function here, if there can be one.
    pub(crate) fn resolve(self) -> Result<*const (), Elsewhere> {
        let address = IMAGE.base.wrapping_add(self.0 as usize);
        if !IMAGE.code.contains(&address) {
            return Err(Elsewhere);
        }
        Ok(std::ptr::with_exposed_provenance(address))
    }

    pub(crate) fn to_raw(self) -> u64 {
        self.0
    }

    pub(crate) fn from_raw(raw: u64) -> Self {
        Offset(raw)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Offset;
    use crate::remote::executable::is_in_executable;

    fn double(n: u32) -> u32 {
        2 * n
    }

    #[test]
    fn there_and_back() {
        let address = double as fn(u32) -> u32 as *const ();
        let offset = Offset::of(address).expect("our own");
        assert_eq!(Offset::from_raw(offset.to_raw()).resolve().expect("our own"), address);
        assert!(is_in_executable(address));
    }

    #[test]
    fn what_is_elsewhere_has_no_offset() {
        let heap = Box::new(1);
        assert!(Offset::of((&raw const *heap).cast()).is_err());
        assert!(Offset::from_raw(u64::MAX).resolve().is_err());
        assert!(Offset::from_raw(1 << 40).resolve().is_err());
    }
}
