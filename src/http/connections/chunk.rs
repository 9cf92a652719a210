//! The chunked transfer coding (RFC 9112, section 7.1).

use axum::body::Bytes;

/// The most bytes that one chunk has beside its data.
pub(super) const FRAMING_BYTES: usize = 20;

/// Encodes the data as one chunk.
pub(super) fn encode_chunk(data: &[Bytes]) -> Bytes {
    let length = data.iter().map(Bytes::len).sum::<usize>();
    let mut out = Vec::with_capacity(length + FRAMING_BYTES);
    out.extend_from_slice(format!("{length:x}\r\n").as_bytes());
    data.iter().for_each(|data| out.extend_from_slice(data));
    out.extend_from_slice(b"\r\n");
    out.into()
}
