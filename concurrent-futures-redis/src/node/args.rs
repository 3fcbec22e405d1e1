//! The arguments that make a program a node.

use super::{NodeError, RedisNodeBuilder};
use std::ffi::OsString;
use std::time::Duration;

/// Reads the program's arguments, without its name.
pub(super) fn read(args: impl Iterator<Item = OsString>) -> Result<Option<RedisNodeBuilder>, NodeError> {
    let wrong = |why: String| NodeError::Arguments(why);
    let mut args = args;
    if args.next().is_none_or(|first| first != "redis-node") {
        return Ok(None);
    }
    let mut args = args.map(|arg| {
        arg.into_string().map_err(|arg| wrong(format!("the argument {arg:?} is not valid Unicode")))
    });
    let url = match args.next().transpose()? {
        Some(url) if !url.starts_with("--") => url,
        _ => return Err(wrong("the URL of the server is missing".to_owned())),
    };
    let mut builder = RedisNodeBuilder::new(&url);
    while let Some(arg) = args.next().transpose()? {
        let (option, value) = match arg.split_once('=') {
            Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        if option == "--allow-plaintext" && value.is_none() {
            builder = builder.allow_plaintext();
            continue;
        }
        if !matches!(&*option, "--queue" | "--slots" | "--lease") {
            return Err(wrong(format!("the argument `{option}` is not known")));
        }
        let value = match value {
            Some(value) => value,
            None => args.next().transpose()?.ok_or_else(|| wrong(format!("`{option}` needs a value")))?,
        };
        builder = match &*option {
            "--queue" => builder.queue(value),
            "--lease" => match value.parse().map(Duration::try_from_secs_f64) {
                Ok(Ok(lease)) => builder.lease(lease),
                _ => return Err(wrong(format!("`--lease` needs a number of seconds, not `{value}`"))),
            },
            _ => match value.parse() {
                Ok(slots) if slots > 0 => builder.slots(slots),
                _ => return Err(wrong(format!("`--slots` needs a number above 0, not `{value}`"))),
            },
        };
    }
    Ok(Some(builder))
}

#[cfg(test)]
mod tests {
    use super::read;

    fn told(args: &[&str]) -> String {
        match read(args.iter().map(Into::into)) {
            Ok(None) => "none".to_owned(),
            Ok(Some(builder)) => format!("{builder:?}"),
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn other_arguments_are_the_programs_own() {
        assert_eq!(told(&[]), "none");
        assert_eq!(told(&["serve", "redis-node"]), "none");
    }

    #[test]
    fn a_node_is_asked_for() {
        let plain = told(&["redis-node", "redis://there"]);
        assert_eq!(plain, "RedisNodeBuilder { queue: \"default\", slots: None, .. }");
        let both = told(&["redis-node", "redis://there", "--slots", "4", "--queue=thumbs"]);
        assert_eq!(both, "RedisNodeBuilder { queue: \"thumbs\", slots: Some(4), .. }");
        let open = told(&["redis-node", "redis://there", "--allow-plaintext", "--queue", "thumbs"]);
        assert_eq!(open, "RedisNodeBuilder { queue: \"thumbs\", slots: None, .. }");
    }

    #[test]
    fn plaintext_to_another_machine_is_asked_for() {
        let build = |args: &[&str]| {
            let builder = read(args.iter().map(Into::into)).unwrap().unwrap();
            builder.build().map(drop).map_err(|error| error.to_string())
        };
        let refused = build(&["redis-node", "redis://192.0.2.1"]).unwrap_err();
        assert!(refused.contains("without TLS") && refused.contains("--allow-plaintext"), "{refused}");
        assert_eq!(build(&["redis-node", "redis://192.0.2.1", "--allow-plaintext"]), Ok(()));
    }

    #[test]
    fn what_can_not_be_understood_is_said() {
        for (args, expected) in [
            (&["redis-node"][..], "the URL of the server is missing"),
            (&["redis-node", "--queue", "thumbs"], "the URL of the server is missing"),
            (
                &["redis-node", "redis://there", "--allow-plaintext=1"],
                "the argument `--allow-plaintext` is not known",
            ),
            (&["redis-node", "redis://there", "--slot", "4"], "the argument `--slot` is not known"),
            (&["redis-node", "redis://there", "thumbs"], "the argument `thumbs` is not known"),
            (&["redis-node", "redis://there", "--queue"], "`--queue` needs a value"),
            (&["redis-node", "redis://there", "--slots", "0"], "`--slots` needs a number above 0, not `0`"),
            (&["redis-node", "redis://there", "--lease=-1"], "`--lease` needs a number of seconds, not `-1`"),
            (
                &["redis-node", "redis://there", "--slots=many"],
                "`--slots` needs a number above 0, not `many`",
            ),
        ] {
            assert_eq!(told(args), expected);
        }
    }
}
