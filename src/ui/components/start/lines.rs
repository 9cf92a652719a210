//! A field of several lines.

use crate::model::form::normalize_line_endings;
use crate::model::{Param, ParamKind};

/// The fewest and the most lines that a field shows at once.
const ROWS: (usize, usize) = (3, 12);

/// Whether a parameter has a field of several lines. A field of one line would take the line ends out of its value.
pub fn has_lines(param: &Param, values: [Option<&str>; 2]) -> bool {
    match param.kind {
        ParamKind::Text | ParamKind::Secret => true,
        ParamKind::String => values.into_iter().flatten().any(|value| value.contains(['\n', '\r'])),
        ParamKind::Path | ParamKind::Integer | ParamKind::Boolean | ParamKind::Choice => false,
    }
}

/// How many lines the field of this parameter shows at once.
pub fn rows(param: &Param, value: &str) -> usize {
    if param.kind == ParamKind::Secret { 1 } else { (value.split('\n').count() + 1).clamp(ROWS.0, ROWS.1) }
}

/// The text as the content of a `<textarea>`. A parser takes one line end off the beginning of what the server sends, so one is added there;
/// content that a script sets is taken as it is.
pub fn content(value: &str) -> String {
    let text = normalize_line_endings(value).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if cfg!(feature = "ssr") { format!("\n{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_area_content_keeps_line_ends_and_is_never_markup() {
        assert_eq!(content("\n</textarea><b>&amp;"), "\n\n&lt;/textarea&gt;&lt;b&gt;&amp;amp;");
        assert_eq!(content(""), "\n");
        assert_eq!(content("a\r\nb\rc\n"), "\na\nb\nc\n");
    }
}
