//! Reading a request's body, bounded in size and in time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::model::{Code, Problem};

/// The largest body a valid request can have, with room to spare.
const MAX_BODY: usize = 256 * 1024;

/// How much of a body that is too large is read and forgotten.
const MOST_READ: usize = 8 << 20;

/// How long a body may take that arrives at less than [`MIN_RATE`].
const FIRST: Duration = Duration::from_secs(15);

/// The least number of bytes per second that a longer body has to keep up.
const MIN_RATE: u64 = 4096;

/// How long any body may take.
const LONGEST: Duration = Duration::from_secs(120);

/// The whole body of a call.
///
/// # Errors
/// As [`read_up_to`].
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    read_up_to(body, MAX_BODY).await
}

/// The whole body, if it has at most so many bytes. One that is larger is read on all the same for [`MOST_READ`]: a client that
/// is cut off while it still sends never sees the answer.
///
/// # Errors
/// [`Code::BodyTooLarge`]; [`Code::InvalidBody`] if it did not arrive whole; [`Code::RequestTimeout`] if it came too slowly.
pub async fn read_up_to(body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    let mut size = 0;
    let mut pieces = body.into_data_stream();
    let begun = Instant::now();
    while let Some(piece) = timeout_at(begun + time_limit(size), pieces.next()).await.map_err(|_| too_slow(size))? {
        let piece = piece.map_err(|_| Problem::new(Code::InvalidBody, "The body did not arrive whole."))?;
        size += piece.len();
        if size <= most {
            bytes.extend_from_slice(&piece);
        } else if size - most > MOST_READ {
            break;
        }
    }
    if size > most {
        return Err(Problem::new(Code::BodyTooLarge, format!("A body has at most {most} bytes.")));
    }
    Ok(bytes.into())
}

/// How long after its begin a body may take of which so many bytes have arrived.
fn time_limit(size: usize) -> Duration {
    (FIRST + Duration::from_secs(size as u64 / MIN_RATE)).min(LONGEST)
}

fn too_slow(size: usize) -> Problem {
    let (first, longest) = (FIRST.as_secs(), LONGEST.as_secs());
    let detail = format!(
        "The body came too slowly: {size} bytes had arrived. Send it whole within {first} s, or at {MIN_RATE} bytes per second and \
         within {longest} s."
    );
    Problem::new(Code::RequestTimeout, detail)
}

/// The body as a JSON object; `None` if there is nothing in it.
///
/// # Errors
/// As [`read`]; [`Code::InvalidBody`] if it is no JSON object, or not the one that the call takes.
pub async fn read_json<T: DeserializeOwned>(body: Body) -> Result<Option<T>, Problem> {
    let bytes = read(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let fault = |error| Problem::new(Code::InvalidBody, format!("The body is not what this call takes: {error}."));
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(fault)?;
    if !value.is_object() {
        return Err(Problem::new(Code::InvalidBody, "The body is not a JSON object."));
    }
    serde_json::from_value(value).map(Some).map_err(fault)
}

/// Bounds the bodies of the server functions, which read them without asking.
pub async fn bounded(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read(body).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream::unfold;
    use proptest::prelude::*;

    use super::*;

    /// A body of pieces of one size, one after each pause, that never ends if `pieces` is not given.
    fn dripping(piece: usize, pause_ms: u64, pieces: Option<usize>) -> Body {
        Body::from_stream(unfold(0, move |sent| async move {
            if pieces.is_some_and(|pieces| sent >= pieces) {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Some((Ok::<_, Infallible>(vec![b'x'; piece]), sent + 1))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_in_time() {
        // Nothing at all; a byte now and then; just above the least rate, but without an end and below the size limit.
        for (body, limit) in [
            (Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()), FIRST),
            (dripping(1, 1000, None), FIRST + Duration::from_secs(1)),
            (dripping(300, 100, None), FIRST * 4),
        ] {
            let begun = Instant::now();
            let problem = read(body).await.expect_err("it is not waited for");
            assert_eq!((problem.code, problem.status, problem.retryable), (Code::RequestTimeout, 408, true));
            assert!(begun.elapsed() <= limit, "{:?}", begun.elapsed());
        }
        // Faster than that it is too large before it is too slow.
        assert_eq!(read(dripping(65_536, 100, None)).await.map_err(|problem| problem.code), Err(Code::BodyTooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_the_pace_is_read() {
        for (piece, pause_ms, pieces) in [(1, 1000, 14), (4096, 999, 60), (MAX_BODY, 14_000, 1)] {
            let bytes = read(dripping(piece, pause_ms, Some(pieces))).await.unwrap();
            assert_eq!(bytes.len(), piece * pieces);
        }
    }

    proptest! {
        #[test]
        fn no_body_takes_longer_than_the_longest(size: usize) {
            prop_assert!((FIRST..=LONGEST).contains(&time_limit(size)));
        }
    }
}
