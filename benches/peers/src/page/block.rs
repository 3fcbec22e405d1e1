//! The parts of a page that are made by the program: what stands between two marks, which stay.

const BEGIN: &str = "<!-- generated: ";
const BEGIN_ENDS: &str = " -->";
const END: &str = "<!-- end -->";

/// The page with each block's content in its place; `content` has it by the block's name. A block for which there is none
/// stays as it is: its readings were not taken.
pub(super) fn fill(
    page: &str,
    content: impl Fn(&str) -> Result<Option<String>, String>,
) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(BEGIN_ENDS).ok_or("a mark that doesn't end")?;
        let (old, after) = after.split_once(END).ok_or_else(|| format!("no end of the block {name}"))?;
        if old.contains(BEGIN) {
            return Err(format!("a block within the block {name}"));
        }
        let new = content(name)?.map(|new| format!("\n{}\n", new.trim_end()));
        filled += &format!("{before}{BEGIN}{name}{BEGIN_ENDS}{}{END}", new.as_deref().unwrap_or(old));
        rest = after;
    }
    Ok(filled + rest)
}

#[cfg(test)]
mod tests {
    use super::fill;

    const PAGE: &str =
        "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n<!-- generated: y -->\n<!-- end -->\n";

    fn upper(name: &str) -> Result<Option<String>, String> {
        Ok((name == "x").then(|| name.to_uppercase() + "\n\n"))
    }

    #[test]
    fn a_block_is_replaced_and_the_rest_stays() {
        let filled = fill(PAGE, upper);
        assert_eq!(filled.as_deref(), Ok(PAGE.replace("old", "X").as_str()));
        assert_eq!(
            fill(&filled.unwrap_or_default(), upper).as_deref(),
            Ok(PAGE.replace("old", "X").as_str())
        );
    }

    #[test]
    fn marks_that_do_not_fit_are_told() {
        let fails = |page: &str| fill(page, upper).is_err();
        assert!(fails("<!-- generated: x -->\n"));
        assert!(fails("<!-- generated: x"));
        assert!(fails("<!-- generated: x -->\n<!-- generated: y -->\n<!-- end -->"));
        assert!(fill(PAGE, |name| Err(name.to_owned())).is_err());
    }
}
