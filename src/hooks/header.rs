//! Access to the headers of a request, without a dependency on HTTP.

/// The value of a header by its name in lower case, if the request has exactly one and it is text.
pub type Header<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
