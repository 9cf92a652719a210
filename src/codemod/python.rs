//! Checks the indentation of Python code like Python's tokenizer: tree-sitter's grammar accepts much that Python
//! rejects. Pure.
//!
//! See the language reference, "Indentation": lines inside brackets and strings, blank lines and comments do not count.
//! Tabs count up to the next eighth column and, to find inconsistent lines, as one column.

/// The number of badly indented lines: deeper without an opened block, not deeper after one, back to a depth that does
/// not exist, or with tabs and spaces that cannot be compared.
pub fn indentation_faults(text: &str) -> usize {
    let mut faults = 0;
    let mut depths = vec![(0, 0)];
    let mut begins_block = false;
    for line in logical_lines(text) {
        let depth @ (column, other) = width(line.blanks);
        let (top, top_other) = depths.last().copied().unwrap_or_default();
        if column == top {
            faults += usize::from(other != top_other || begins_block);
        } else if column > top {
            faults += usize::from(other <= top_other || !begins_block);
            depths.push(depth);
        } else {
            faults += usize::from(begins_block);
            while depths.last().is_some_and(|(top, _)| column < *top) {
                depths.pop();
            }
            if depths.last() != Some(&depth) {
                faults += 1;
                depths.push(depth);
            }
        }
        begins_block = line.ends_with_colon;
    }
    faults + usize::from(begins_block)
}

/// A statement, or the first line of a block.
struct LogicalLine<'a> {
    blanks: &'a str,
    ends_with_colon: bool,
}

/// The columns with tabs up to the next eighth, and with tabs as one column.
fn width(blanks: &str) -> (usize, usize) {
    blanks.chars().fold((0, 0), |(column, other), blank| match blank {
        '\t' => (column / 8 * 8 + 8, other + 1),
        // A form feed resets the column.
        '\u{c}' => (0, 0),
        _ => (column + 1, other + 1),
    })
}

fn logical_lines(text: &str) -> Vec<LogicalLine<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let bytes = text.as_bytes();
    let (mut lines, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        while matches!(bytes.get(at), Some(b' ' | b'\t' | 0x0c)) {
            at += 1;
        }
        let blanks = &text[start..at];
        let (end, last) = end_of_line(bytes, at);
        if let Some(last) = last {
            lines.push(LogicalLine { blanks, ends_with_colon: last == b':' });
        }
        at = end;
    }
    lines
}

/// The end of the logical line that begins here, and its last byte of code; `None` without code.
fn end_of_line(bytes: &[u8], mut at: usize) -> (usize, Option<u8>) {
    let (mut brackets, mut last) = (0_usize, None);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\n' | b'\r' if brackets == 0 => return (after_line_end(bytes, at), last),
            b'#' => {
                while !matches!(bytes.get(at), None | Some(b'\n' | b'\r')) {
                    at += 1;
                }
                continue;
            }
            // A line continuation.
            b'\\' if matches!(bytes.get(at + 1), Some(b'\n' | b'\r')) => {
                at = after_line_end(bytes, at + 1);
                continue;
            }
            b'"' | b'\'' => {
                at = end_of_string(bytes, at, has_fields(bytes, at));
                last = Some(byte);
                continue;
            }
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = Some(byte);
        }
        at += 1;
    }
    (at, last)
}

fn after_line_end(bytes: &[u8], at: usize) -> usize {
    if bytes[at..].starts_with(b"\r\n") { at + 2 } else { at + 1 }
}

/// Whether the string with this first quote has replacement fields, according to its prefix.
fn has_fields(bytes: &[u8], quote: usize) -> bool {
    let letters = bytes[..quote].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let letters: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    letters.len() <= 2 && (letters.contains(&b'f') || letters.contains(&b't'))
}

/// The end of the string with this first quote. An unterminated one ends with its line, or with the text if it is
/// triple-quoted.
fn end_of_string(bytes: &[u8], start: usize, has_fields: bool) -> usize {
    let quote = bytes[start];
    let is_triple = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if is_triple { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            // A backslash escapes a quote in raw strings as well.
            b'\\' => at += if bytes[at + 1..].starts_with(b"\r\n") { 3 } else { 2 },
            _ if byte == quote && !is_triple => return at + 1,
            _ if byte == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            b'\n' | b'\r' if !is_triple => return at,
            b'{' if has_fields && bytes.get(at + 1) == Some(&b'{') => at += 2,
            b'{' if has_fields => at = end_of_field(bytes, at, quote, is_triple),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of the replacement field with this `{`. Strings inside may have the quotes of the outer string (PEP 701); if
/// that yields no end, such quotes end the string, like in older versions.
fn end_of_field(bytes: &[u8], start: usize, quote: u8, is_triple: bool) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b'\n' | b'\r' if !is_triple => return start + 1,
            b'"' | b'\'' => {
                if byte == quote && is_triple && bytes[at..].starts_with(&[quote; 3]) {
                    return start + 1;
                }
                at = end_of_string(bytes, at, has_fields(bytes, at));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    start + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_indentation_has_no_faults() {
        for text in [
            "",
            "\n\n# only\n",
            "a = 1\nif a:\n    b()\n    if c:\n        d()\n    e()\nf()\n",
            "class A:\n\tdef f(self):\n\t\treturn [\n1,\n      2]\n",
            "x = '''\n  a\n b:\n'''\ny = 1\n",
            "f(a,\n  b,\nc)\n",
            "if a: b()\nelse: c()\n",
            "if a:  # why\n    b()\n\n  # odd\n    c()\n",
            "x = a \\\n      + b\ny = 1\n",
            "s = f'{x!r:>{w}} {{ {d[\"k\"]}'\nt = 1\n",
            "s = f\"{d[\"k\"]}:\"\nt = 1\n",
            "s = rf'\\{x}'\nt = r'\\'\nu = 1\n",
            "if a:\r\n    b()\r\nc()\r\n",
            "\u{feff}if a:\n  b()\n",
            "def f():\n        if x:\n            y()\n        z()\n",
            "match a:\n    case 1:\n        b()\n    case _: c()\n",
        ] {
            assert_eq!(indentation_faults(text), 0, "{text:?}");
        }
    }

    #[test]
    fn invalid_indentation_is_counted() {
        for (text, faults) in [
            ("class A:\n\tdef f(self):\n\t\tone(self)\ntwo(self)\n\t\treturn 1\n", 1),
            ("if a:\nb()\n", 1),
            ("a()\n  b()\n", 1),
            ("if a:\n        b()\n    c()\n", 1),
            ("def f():\n    '''x'''\n   a()\n", 1),
            ("if a:\n", 1),
            ("if a:\n        b()\n\tc()\n", 1),
        ] {
            assert_eq!(indentation_faults(text), faults, "{text:?}");
        }
    }
}
