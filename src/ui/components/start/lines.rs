//! Multi-line fields.

use crate::model::form::normalize_line_endings;
use crate::model::{Param, ParamKind};

/// The minimum and maximum height in lines.
const HEIGHT_ROWS: (usize, usize) = (3, 12);

/// Whether a parameter needs a multi-line field. A single-line field would strip the line breaks of its value.
pub fn has_lines(param: &Param, values: [Option<&str>; 2]) -> bool {
    match param.kind {
        ParamKind::Text | ParamKind::Secret => true,
        ParamKind::String => values.into_iter().flatten().any(|value| value.contains(['\n', '\r'])),
        ParamKind::Path | ParamKind::Integer | ParamKind::Boolean | ParamKind::Choice => false,
    }
}

/// The height of the field in lines.
pub fn rows(param: &Param, value: &str) -> usize {
    if param.kind == ParamKind::Secret {
        1
    } else {
        (value.split('\n').count() + 1).clamp(HEIGHT_ROWS.0, HEIGHT_ROWS.1)
    }
}

/// The content of a `<textarea>`. The HTML parser drops a line break at its beginning, so the server adds one; content
/// that is set in the browser is taken as it is.
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
