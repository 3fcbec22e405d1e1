//! `SECURITY.md`: its table of `unsafe` agrees with the sources.

use crate::rules::{UNSAFE, unsafe_count};
use crate::source::Source;

/// What is wrong with the table: each file that may have `unsafe` has a row with its counts.
pub(crate) fn table(text: &str, sources: &[Source]) -> Vec<String> {
    let rows: Vec<Vec<&str>> = text.lines().filter(|line| line.starts_with("| `src/")).map(cells).collect();
    let mut found = Vec::new();
    for path in UNSAFE {
        let Some(source) = sources.iter().find(|source| source.path == *path) else { continue };
        let (blocks, others) = unsafe_count(source);
        let wanted = [format!("`{path}`"), blocks.to_string(), others.to_string()];
        match rows.iter().find(|row| row.first() == Some(&wanted[0].as_str())) {
            Some(row) if row.len() == 4 && row.iter().zip(&wanted).all(|(cell, wanted)| cell == wanted) => {}
            _ => found.push(format!("SECURITY.md: wanted the row `| {} | what for |`", wanted.join(" | "))),
        }
    }
    let gone = rows.iter().filter(|row| !UNSAFE.iter().any(|path| format!("`{path}`") == row[0]));
    found.extend(gone.map(|row| format!("SECURITY.md: {} has a row and may have no `unsafe`", row[0])));
    found
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::source::Source;

    #[test]
    fn the_table_counts() {
        let text = "//! Doc.\nunsafe fn f(g: unsafe fn(u8)) {}\nfn h() { unsafe { f(i) } }\n// unsafe { }\n";
        let sources = [Source::new("src/remote/mod.rs", text)];
        assert_eq!(table("| `src/remote/mod.rs` | 1 | 1 | runs parcels |", &sources), [""; 0]);
        let wanted = "SECURITY.md: wanted the row `| `src/remote/mod.rs` | 1 | 1 | what for |`";
        assert_eq!(table("| `src/remote/mod.rs` | 2 | 1 | runs parcels |", &sources), [wanted]);
        assert_eq!(table("| `src/remote/mod.rs` | 1 | 1 |", &sources), [wanted]);
        assert_eq!(table("", &sources), [wanted]);
        let gone = table("| `src/remote/mod.rs` | 1 | 1 | runs |\n| `src/id.rs` | 0 | 0 | none |", &sources);
        assert_eq!(gone, ["SECURITY.md: `src/id.rs` has a row and may have no `unsafe`"]);
    }
}
