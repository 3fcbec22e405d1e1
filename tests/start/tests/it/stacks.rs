//! Where a task crashed or hung, in this build; ci/long/start.sh asks every other kind.

use crate::program::{limit, lines};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn a_crash_and_a_time_limit_name_the_function() {
    limit(|| assert_eq!(lines(&["stacks"]), ["named"]));
}
