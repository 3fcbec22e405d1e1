//! Prints the public face of a crate, one line an item, from the JSON that rustdoc made of it.
//!
//! `ci-api FILE`. Each compiler writes one version of that format, and one is understood here. For another the exit code
//! is 3, and a line says so.
//!
//! What is left out says nothing that isn't in another line: what every type implements because it is a type, and the
//! methods of a trait where a type implements it (its associated types are listed), and what the prelude gives again.

use std::path::Path;
use std::process::ExitCode;

use public_api::{Builder, PublicItem};
use serde_json::Value;

/// What the pinned `public-api` reads.
const FORMAT: u64 = 57;

const OTHER_FORMAT: u8 = 3;

/// Traits by which nobody can bound anything on a stable compiler.
const UNSTABLE: &[&str] = &["Freeze", "StructuralPartialEq", "UnsafeUnpin"];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(file), None) = (arguments.next(), arguments.next()) else {
        eprintln!("wanted: the file that rustdoc wrote");
        return ExitCode::FAILURE;
    };
    match list(Path::new(&file)) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(Trouble::Format(other)) => {
            eprintln!("this compiler writes format {other}, and {FORMAT} is what is read");
            ExitCode::from(OTHER_FORMAT)
        }
        Err(Trouble::Other(why)) => {
            eprintln!("{}: {why}", Path::new(&file).display());
            ExitCode::FAILURE
        }
    }
}

enum Trouble {
    /// The file is of this version.
    Format(u64),
    Other(String),
}

fn list(file: &Path) -> Result<Vec<String>, Trouble> {
    let text = std::fs::read_to_string(file).map_err(|error| Trouble::Other(error.to_string()))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| Trouble::Other(error.to_string()))?;
    match json["format_version"].as_u64() {
        Some(FORMAT) => {}
        Some(other) => return Err(Trouble::Format(other)),
        None => return Err(Trouble::Other("it states no format_version".to_owned())),
    }
    let face = Builder::from_rustdoc_json(file).omit_blanket_impls(true).build();
    let face = face.map_err(|error| Trouble::Other(error.to_string()))?;
    let index = &json["index"];
    let mut lines = Vec::new();
    let mut in_prelude = false;
    for item in face.items().filter(|item| !is_told_elsewhere(item, index)) {
        let line = item.to_string();
        if !is_member(item, index) {
            in_prelude = line.contains("::prelude::");
        } else if in_prelude {
            continue;
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Whether it belongs to a type or trait, and not to a module by itself.
fn is_member(item: &PublicItem, index: &Value) -> bool {
    let inner = &index[item.id().0.to_string()]["inner"];
    let is = |kind: &str| inner[kind].is_object() || inner[kind].is_string();
    let in_type = item.parent_id().is_some_and(|id| index[id.0.to_string()]["inner"]["module"].is_null());
    ["impl", "variant", "struct_field", "assoc_type", "assoc_const"].into_iter().any(is)
        || (is("function") && in_type)
}

fn is_told_elsewhere(item: &PublicItem, index: &Value) -> bool {
    let inner = |id: u32| &index[id.to_string()]["inner"];
    let own = inner(item.id().0);
    let unstable = own["impl"]["trait"]["path"]
        .as_str()
        .is_some_and(|path| UNSTABLE.contains(&path.rsplit("::").next().unwrap_or(path)));
    let in_impl_of_trait = item.parent_id().is_some_and(|id| inner(id.0)["impl"]["trait"].is_object());
    unstable || (in_impl_of_trait && own["function"].is_object())
}
