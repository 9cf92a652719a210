//! How lines begin and end in a text, and how text that moves to another place is indented there. Pure.

/// What one step of indentation is where nothing says so.
const STEPS: std::ops::RangeInclusive<usize> = 2..=8;

/// The blanks at the beginning of a line.
pub fn blanks(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The indentation of the line that a place is in.
pub fn indentation_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    // A mark of the encoding is no indentation, and stands before it.
    blanks(text[start..].trim_start_matches('\u{feff}'))
}

/// How the line that a place is in ends; if it is the last, the one before it.
pub fn line_end_at(text: &str, at: usize) -> &'static str {
    let end = text[at..].find('\n').map(|end| at + end).or_else(|| text[..at].rfind('\n'));
    match end {
        Some(end) if text[..end].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Whether every line of a text ends with CRLF.
pub fn is_crlf(text: &str) -> bool {
    let ends = text.matches('\n').count();
    ends > 0 && text.matches("\r\n").count() == ends
}

/// One step of indentation in a text, as it is around a line with this indentation: a tab, or some blanks. `None` if nothing in
/// the text says.
pub fn step(text: &str, indentation: &str) -> Option<String> {
    let indented =
        || text.lines().map(|line| (blanks(line), line)).filter(|(blanks, line)| blanks.len() < line.trim_end().len());
    let (mut tabs, mut spaces) = (0, 0);
    for (blanks, _) in indented() {
        tabs += usize::from(blanks.starts_with('\t'));
        spaces += usize::from(blanks.starts_with("  "));
    }
    if indentation.contains('\t') || (indentation.is_empty() && tabs > 0 && tabs >= spaces) {
        return Some("\t".to_owned());
    }
    // Behind what begins a block stands a step more. Where nothing does, any line that is deeper than the one before says.
    let mut seen = [[0_usize; *STEPS.end() + 1]; 2];
    let mut before = (0, false);
    for (blanks, line) in indented().filter(|(blanks, _)| !blanks.contains('\t')) {
        let deeper = blanks.len().saturating_sub(before.0);
        if STEPS.contains(&deeper) {
            seen[usize::from(!before.1)][deeper] += 1;
        }
        before = (blanks.len(), line.trim_end().ends_with([':', '{', '(', '[']));
    }
    let most = |seen: &[usize]| {
        let (step, count) = seen.iter().enumerate().rev().max_by_key(|(_, count)| **count)?;
        (*count > 0).then(|| " ".repeat(step))
    };
    most(&seen[0]).or_else(|| most(&seen[1]))
}

/// The indentation of a line of somebody else's (a template) by these steps: `own` blanks are one of its steps.
pub fn converted(blanks: &str, own: usize, step: Option<&str>) -> String {
    let Some(step) = step else { return blanks.to_owned() };
    let tabs = blanks.matches('\t').count();
    let spaces = blanks.len() - tabs;
    let (steps, rest) = match own {
        0 => (tabs, spaces),
        own => (tabs + spaces / own, spaces % own),
    };
    step.repeat(steps) + &" ".repeat(rest)
}

/// How many blanks one step of a template has: the fewest that a line of it begins with.
pub fn own_step<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let spaces = lines.filter(|line| !line.trim().is_empty()).map(|line| blanks(line).matches(' ').count());
    spaces.filter(|spaces| *spaces > 0).min().unwrap_or(0)
}

/// The indentation that a line has when the text that it is in moves from a line with the indentation `from` to one with `to`: as
/// much deeper, or less deep, as it was.
pub fn moved(line: &str, from: &str, to: &str) -> String {
    let own = blanks(line);
    if let Some(deeper) = own.strip_prefix(from) {
        return format!("{to}{deeper}");
    }
    if let Some(lost) = from.strip_prefix(own) {
        // Less deep by what is lost of `from`.
        let kept = to.strip_suffix(lost).map(str::to_owned);
        return kept.unwrap_or_else(|| shorten(to, width(lost)));
    }
    // Tabs and blanks are mixed: only the width is known.
    let target = (width(to) + width(own)).saturating_sub(width(from));
    if target >= width(to) {
        format!("{to}{}", " ".repeat(target - width(to)))
    } else {
        shorten(to, width(to) - target)
    }
}

/// An indentation less deep by so many columns, as near as its tabs allow.
fn shorten(indentation: &str, columns: usize) -> String {
    let target = width(indentation).saturating_sub(columns);
    let mut kept = String::new();
    for blank in indentation.chars() {
        kept.push(blank);
        if width(&kept) > target {
            kept.pop();
            break;
        }
    }
    kept
}

/// The width of blanks in columns, with a tab at each eighth.
fn width(blanks: &str) -> usize {
    blanks.chars().fold(0, |width, blank| if blank == '\t' { width / 8 * 8 + 8 } else { width + 1 })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rewrites_keep_line_ends() {
        let text = "a\r\nb\nc\r\nd";
        let ends: Vec<&str> = [0, 3, 5, 8].map(|at| line_end_at(text, at)).to_vec();
        assert_eq!(ends, ["\r\n", "\n", "\r\n", "\r\n"]);
        assert_eq!(
            (line_end_at("x", 0), is_crlf("x"), is_crlf("x\r\n"), is_crlf("x\r\ny\n")),
            ("\n", false, true, false)
        );
    }

    #[test]
    fn steps_are_those_of_the_text() {
        let of = |text: &str| step(text, "");
        assert_eq!(of("a\nb\n"), None);
        assert_eq!(of("a\n\tb\n\t\tc\n").unwrap(), "\t");
        assert_eq!(of("a\n  b\n    c\n  d\ne\n  f\n").unwrap(), "  ");
        assert_eq!(of("a\n    b\n        c\n    d\n").unwrap(), "    ");
        assert_eq!(of("if a:\n    f(1,\n      2,\n)\n    f(3,\n      4)\n").unwrap(), "    ");
        assert_eq!(step("a\n    b\n    c\n\td\n", "\t").unwrap(), "\t");
        assert_eq!(step("a\n\tb\n\tc\n    d\n", "    ").unwrap(), "    ");
    }

    #[test]
    fn a_templates_steps_become_those_of_the_text() {
        assert_eq!(converted("        ", 4, Some("\t")), "\t\t");
        assert_eq!(converted("      ", 4, Some("\t")), "\t  ");
        assert_eq!(converted("\t", 0, Some("  ")), "  ");
        assert_eq!(converted("    ", 4, None), "    ");
    }

    #[test]
    fn mixed_blanks_keep_their_width() {
        assert_eq!(moved("\t\tx", "\t", "    "), "    \t");
        assert_eq!(moved("        x", "\t", "\t\t"), "\t\t");
        assert_eq!(moved("\tx", "\t\t", "\t"), "");
        assert_eq!(moved("x", "    ", "  "), "");
    }

    proptest! {
        /// What moves there and back is as it was, and what is deeper stays so by the same blanks.
        #[test]
        fn depth_is_kept(from in "[ \t]{0,4}", to in "[ \t]{0,4}", deeper in "[ \t]{0,3}") {
            let line = format!("{from}{deeper}x");
            let there = moved(&line, &from, &to);
            prop_assert_eq!(&there, &format!("{to}{deeper}"));
            prop_assert_eq!(moved(&format!("{there}x"), &to, &from), format!("{from}{deeper}"));
        }
    }
}
