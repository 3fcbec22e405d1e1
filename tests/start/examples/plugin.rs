//! A plug-in of a foreign program (a Python module, say) that would like to have a pool.

use std::ffi::{CString, c_char};

/// What `build` says in here, or an empty text if it built a pool, which it must not. The text is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn build_a_pool() -> *const c_char {
    concurrent_futures::init();
    CString::new(start::refusal().unwrap_or_default()).unwrap_or_default().into_raw()
}
