//! A library that is loaded before all others, into the parent and into its workers.

use crate::program::{Folder, START, limit, run, skip};
use std::process::Command;

/// It prints before `main`, opens a descriptor and never closes it, and stands before the allocator.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long calls;

void *malloc(size_t size) {
    static void *(*next)(size_t);
    if (!next) next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    return next(size);
}

__attribute__((constructor)) static void begin(void) {
    open("/dev/null", O_RDONLY);
    printf("preloaded\n");
    fflush(stdout);
}
"#;

#[test]
fn a_preloaded_library() {
    limit(|| {
        let folder = Folder::new("preload");
        let (source, library) = (folder.0.join("library.c"), folder.0.join("library.so"));
        std::fs::write(&source, LIBRARY).expect("a file");
        let mut compiler = Command::new("cc");
        let compiled =
            compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").output();
        if !compiled.is_ok_and(|compiled| compiled.status.success()) {
            return skip("no C compiler here, so no preloaded library was tried");
        }
        let said = run(Command::new(START).arg("check").env("LD_PRELOAD", library));
        let mut lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.pop(), Some("checked"));
        // In the parent and in at least one worker.
        assert!(lines.len() >= 2 && lines.iter().all(|line| *line == "preloaded"), "{said}");
    });
}
