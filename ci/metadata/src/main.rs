//! Reads `cargo metadata` from standard input and answers one question about a package:
//!
//! - `licences P`: is every crate's licence on our lists? (what P's users get, and what our tools use)
//! - `rust-version P`: the version that P states
//! - `dependency-rust-versions P`: does a crate that P's users get need a newer Rust than P states?
//! - `features P`: no feature of P, each alone, all but each, and all; a set a line, all at the end

mod licence;
mod workspace;

use std::collections::HashSet;
use std::process::ExitCode;

use workspace::Workspace;

fn main() -> ExitCode {
    match answer(std::env::args().skip(1).collect()) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(troubles) => {
            troubles.iter().for_each(|trouble| eprintln!("{trouble}"));
            ExitCode::FAILURE
        }
    }
}

type Answer = Result<Vec<String>, Vec<String>>;

fn answer(arguments: Vec<String>) -> Answer {
    let [question, package] = arguments.as_slice() else {
        return Err(vec!["wanted: a question and a package; see ci/metadata/src/main.rs".to_owned()]);
    };
    let workspace = Workspace::read(std::io::stdin(), package).map_err(|error| vec![error])?;
    match question.as_str() {
        "licences" => licences(&workspace),
        "rust-version" => {
            workspace.stated().map(|stated| vec![stated.to_owned()]).map_err(|error| vec![error])
        }
        "dependency-rust-versions" => rust_versions(&workspace),
        "features" => Ok(feature_sets(&workspace.features())),
        other => Err(vec![format!("no such question: {other}")]),
    }
}

fn licences(workspace: &Workspace) -> Answer {
    let shipped = workspace.shipped();
    let tools: Vec<_> = licence::SHIPPED.iter().chain(licence::TOOLS).copied().collect();
    let mut troubles = Vec::new();
    for package in workspace.packages().filter(|package| !package.ours_alone) {
        let (listed, place) = if shipped.contains(package.id) {
            (licence::SHIPPED, "SHIPPED")
        } else {
            (tools.as_slice(), "TOOLS")
        };
        let trouble = match package.licence {
            None => Some("states no licence".to_owned()),
            Some(expression) => match licence::accepts(expression, listed) {
                Ok(true) => None,
                Ok(false) => Some(format!("`{expression}` needs a licence that isn't in {place}")),
                Err(error) => Some(format!("`{expression}`: {error}")),
            },
        };
        troubles.extend(trouble.map(|trouble| format!("{} {}: {trouble}", package.name, package.version)));
    }
    let all = workspace.packages().filter(|package| !package.ours_alone).count();
    let summary = format!("{all} crates looked at, {} of them reach the library's users", shipped.len());
    if troubles.is_empty() { Ok(vec![summary]) } else { Err(troubles) }
}

fn rust_versions(workspace: &Workspace) -> Answer {
    let stated = workspace.stated().map_err(|error| vec![error])?;
    let shipped = workspace.shipped();
    let newer: Vec<_> = workspace
        .packages()
        .filter(|package| shipped.contains(package.id))
        .filter_map(|package| package.rust_version.map(|needs| (package, needs)))
        .filter(|(_, needs)| parts(needs) > parts(stated))
        .map(|(package, needs)| {
            format!("{} {} needs Rust {needs}, we state {stated}", package.name, package.version)
        })
        .collect();
    let summary =
        format!("{} crates reach the library's users, none states more than Rust {stated}", shipped.len());
    if newer.is_empty() { Ok(vec![summary]) } else { Err(newer) }
}

/// `1.88` and `1.88.0` are the same.
fn parts(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// None, each alone, all but each, and all. Whatever three features do together shows, those that are off included: as many
/// of three may be on as of none, of one, of all but one, and of all. Their number is twice that of the features.
///
/// A feature comes with those it needs: all but one are without those that need it.
fn feature_sets(features: &[(&str, Vec<&str>)]) -> Vec<String> {
    let mut sets = vec![String::new()];
    sets.extend(features.iter().map(|(name, _)| (*name).to_owned()));
    let but = |left_out: &str| {
        let kept = features.iter().filter(|(name, _)| !closure(features, name).contains(&left_out));
        kept.map(|(name, _)| *name).collect::<Vec<_>>().join(",")
    };
    sets.extend(features.iter().map(|(name, _)| but(name)));
    sets.push(but(""));
    let mut seen = HashSet::new();
    sets.retain(|set| seen.insert(set.clone()));
    sets
}

/// A feature and those it needs.
fn closure<'a>(features: &[(&'a str, Vec<&'a str>)], name: &'a str) -> HashSet<&'a str> {
    let (mut seen, mut open) = (HashSet::new(), vec![name]);
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(features.iter().filter(|(other, _)| *other == name).flat_map(|(_, needs)| needs));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parts("1.100") > parts("1.88"));
        assert_eq!(parts("1.88"), parts("1.88.0"));
        assert!(parts("1.88.1") > parts("1.88"));
    }

    #[test]
    fn three_features_are_on_and_off_in_every_way() {
        let free = |names: &[&'static str]| names.iter().map(|name| (*name, Vec::new())).collect::<Vec<_>>();
        assert_eq!(feature_sets(&[]), [""]);
        assert_eq!(feature_sets(&free(&["a", "b"])), ["", "a", "b", "a,b"]);
        let names = ["a", "b", "c", "d", "e"];
        let sets = feature_sets(&free(&names));
        assert_eq!(sets.len(), 2 + 2 * names.len());
        assert_eq!(sets.last().map(String::as_str), Some("a,b,c,d,e"));
        for three in [["a", "b", "c"], ["a", "c", "e"], ["b", "d", "e"]] {
            let ways: HashSet<[bool; 3]> =
                sets.iter().map(|set| three.map(|name| set.split(',').any(|on| on == name))).collect();
            assert_eq!(ways.len(), 8);
        }
        // `b` needs `a`: without `a` there is no `b`.
        let sets = feature_sets(&[("a", vec![]), ("b", vec!["a"]), ("c", vec![]), ("d", vec![])]);
        assert_eq!(sets, ["", "a", "b", "c", "d", "c,d", "a,c,d", "a,b,d", "a,b,c", "a,b,c,d"]);
    }
}
