//! Indentation and line ends of texts, and how moved text is indented at its new place. Pure.

/// The number of spaces that can be one indentation level.
const STEPS: std::ops::RangeInclusive<usize> = 2..=8;

/// The spaces and tabs at the beginning of a line.
pub fn blanks(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The indentation of the line at an offset.
pub fn indentation_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    // A byte order mark precedes the indentation.
    blanks(text[start..].trim_start_matches('\u{feff}'))
}

/// The line end of the line at an offset; that of the previous line if it is the last one.
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

/// One indentation level in a text, for a line with this indentation: a tab, or some spaces. `None` if it cannot be
/// inferred.
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
    // After a line that opens a block the indentation is one level deeper. Without such lines, any deeper line counts.
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

/// The indentation of a template's line in the file's style. `own` is the number of spaces of one level in the
/// template, `step` one level in the file.
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

/// The number of spaces of one level in a template: the smallest indentation of its lines.
pub fn own_step<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let spaces = lines.filter(|line| !line.trim().is_empty()).map(|line| blanks(line).matches(' ').count());
    spaces.filter(|spaces| *spaces > 0).min().unwrap_or(0)
}

/// The indentation of a line when its text moves from a line with the indentation `from` to one with `to`. The relative
/// depth stays the same.
pub fn moved(line: &str, from: &str, to: &str) -> String {
    let own = blanks(line);
    if let Some(deeper) = own.strip_prefix(from) {
        return format!("{to}{deeper}");
    }
    if let Some(lost) = from.strip_prefix(own) {
        // The line is less indented than `from`.
        let kept = to.strip_suffix(lost).map(str::to_owned);
        return kept.unwrap_or_else(|| shorten(to, width(lost)));
    }
    // Tabs and spaces are mixed: only the width can be compared.
    let target = (width(to) + width(own)).saturating_sub(width(from));
    if target >= width(to) {
        format!("{to}{}", " ".repeat(target - width(to)))
    } else {
        shorten(to, width(to) - target)
    }
}

/// An indentation that is shorter by so many columns, as far as its tabs allow.
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

/// The width in columns, with tab stops at every eighth.
fn width(blanks: &str) -> usize {
    blanks.chars().fold(0, |width, blank| if blank == '\t' { width / 8 * 8 + 8 } else { width + 1 })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_ends_are_inferred() {
        let text = "a\r\nb\nc\r\nd";
        let ends: Vec<&str> = [0, 3, 5, 8].map(|at| line_end_at(text, at)).to_vec();
        assert_eq!(ends, ["\r\n", "\n", "\r\n", "\r\n"]);
        assert_eq!(
            (line_end_at("x", 0), is_crlf("x"), is_crlf("x\r\n"), is_crlf("x\r\ny\n")),
            ("\n", false, true, false)
        );
    }

    #[test]
    fn indentation_levels_are_inferred() {
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
    fn template_indentation_is_converted() {
        assert_eq!(converted("        ", 4, Some("\t")), "\t\t");
        assert_eq!(converted("      ", 4, Some("\t")), "\t  ");
        assert_eq!(converted("\t", 0, Some("  ")), "  ");
        assert_eq!(converted("    ", 4, None), "    ");
    }

    #[test]
    fn mixed_indentation_keeps_its_width() {
        assert_eq!(moved("\t\tx", "\t", "    "), "    \t");
        assert_eq!(moved("        x", "\t", "\t\t"), "\t\t");
        assert_eq!(moved("\tx", "\t\t", "\t"), "");
        assert_eq!(moved("x", "    ", "  "), "");
    }

    proptest! {
        #[test]
        fn moving_there_and_back_restores_the_indentation(from in "[ \t]{0,4}", to in "[ \t]{0,4}", deeper in "[ \t]{0,3}") {
            let line = format!("{from}{deeper}x");
            let there = moved(&line, &from, &to);
            prop_assert_eq!(&there, &format!("{to}{deeper}"));
            prop_assert_eq!(moved(&format!("{there}x"), &to, &from), format!("{from}{deeper}"));
        }
    }
}
