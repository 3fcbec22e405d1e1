//! The answer of `cargo metadata`, as far as the questions need it.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use serde_json::Value;

pub(crate) struct Workspace {
    metadata: Value,
    /// The package that is asked about, by its id.
    root: String,
}

pub(crate) struct Package<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) licence: Option<&'a str>,
    pub(crate) rust_version: Option<&'a str>,
    /// A member of this workspace that is never published: nobody gets it, so it needs no licence of its own.
    pub(crate) ours_alone: bool,
}

impl Workspace {
    pub(crate) fn read(input: impl Read, package: &str) -> Result<Self, String> {
        let metadata: Value =
            serde_json::from_reader(input).map_err(|error| format!("cargo metadata: {error}"))?;
        let found =
            list(&metadata["packages"]).find(|entry| entry["name"] == package && entry["source"].is_null());
        let root = found
            .and_then(|entry| entry["id"].as_str())
            .ok_or(format!("no package {package} here"))?
            .to_owned();
        Ok(Self { metadata, root })
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = Package<'_>> {
        list(&self.metadata["packages"]).map(|entry| Package {
            id: text(&entry["id"]),
            name: text(&entry["name"]),
            version: text(&entry["version"]),
            // A crate that only points to a file states no expression that could be compared.
            licence: entry["license"].as_str(),
            rust_version: entry["rust_version"].as_str(),
            ours_alone: entry["source"].is_null() && entry["publish"].as_array().is_some_and(Vec::is_empty),
        })
    }

    /// The Rust version that the root states.
    pub(crate) fn stated(&self) -> Result<&str, String> {
        self.entry()["rust_version"].as_str().ok_or("Cargo.toml states no rust-version".to_owned())
    }

    /// The root's features but `default`, which is only a set of the others, each with what it needs.
    pub(crate) fn features(&self) -> Vec<(&str, Vec<&str>)> {
        let all = self.entry()["features"].as_object().into_iter().flatten();
        let all = all.map(|(name, needs)| (name.as_str(), list(needs).map(text).collect()));
        all.filter(|(name, _)| *name != "default").collect()
    }

    /// The root and what it needs to be built and run, without what only its tests and examples use.
    pub(crate) fn shipped(&self) -> HashSet<&str> {
        let nodes: HashMap<&str, &Value> =
            list(&self.metadata["resolve"]["nodes"]).map(|node| (text(&node["id"]), node)).collect();
        let mut seen = HashSet::new();
        let mut open = vec![self.root.as_str()];
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                let edges = nodes.get(id).into_iter().flat_map(|node| list(&node["deps"]));
                let kept = edges.filter(|edge| list(&edge["dep_kinds"]).any(|kind| kind["kind"] != "dev"));
                open.extend(kept.map(|edge| text(&edge["pkg"])));
            }
        }
        seen
    }

    fn entry(&self) -> &Value {
        list(&self.metadata["packages"])
            .find(|entry| entry["id"] == self.root.as_str())
            .unwrap_or(&Value::Null)
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{
        "packages": [
            {"id": "root 1", "name": "root", "version": "1.0.0", "source": null, "license": "MIT", "rust_version": "1.88",
             "features": {"default": ["a"], "a": [], "b": ["dep:x"]}},
            {"id": "used 1", "name": "used", "version": "1.0.0", "source": "registry", "license": "MIT", "rust_version": null},
            {"id": "tool 1", "name": "tool", "version": "1.0.0", "source": "registry", "license": null, "rust_version": null},
            {"id": "deep 1", "name": "deep", "version": "1.0.0", "source": "registry", "license": "ISC", "rust_version": null}],
        "resolve": {"nodes": [
            {"id": "root 1", "deps": [{"pkg": "used 1", "dep_kinds": [{"kind": "dev"}, {"kind": null}]},
                                      {"pkg": "tool 1", "dep_kinds": [{"kind": "dev"}]}]},
            {"id": "used 1", "deps": [{"pkg": "deep 1", "dep_kinds": [{"kind": "build"}]}]},
            {"id": "tool 1", "deps": []}, {"id": "deep 1", "deps": []}]}}"#;

    #[test]
    fn what_only_tests_use_isnt_shipped() {
        let workspace = Workspace::read(SMALL.as_bytes(), "root").expect("a package");
        let mut shipped: Vec<_> = workspace.shipped().into_iter().collect();
        shipped.sort_unstable();
        assert_eq!(shipped, ["deep 1", "root 1", "used 1"]);
        assert_eq!(workspace.stated(), Ok("1.88"));
        assert_eq!(workspace.features(), [("a", vec![]), ("b", vec!["dep:x"])]);
    }

    #[test]
    fn a_package_that_isnt_here_is_an_error() {
        assert!(Workspace::read(SMALL.as_bytes(), "used").is_err());
        assert!(Workspace::read("".as_bytes(), "root").is_err());
    }
}
