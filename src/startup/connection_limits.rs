//! How many connections the server takes: as many as the limit of open files leaves room for.

use super::open_files;
use crate::config::ServeArgs;
use crate::http::ConnectionLimits;

/// The limits of connections. To be called after the limit of open files was raised.
pub fn of(args: &ServeArgs) -> ConnectionLimits {
    let possible = open_files::available_for_connections(args.workers).unwrap_or(usize::MAX);
    let total = args.max_connections.map_or(possible, |requested| {
        if requested.get() > possible {
            tracing::warn!(
                requested,
                possible,
                "--max-connections is more than the open file limit allows; raise that limit, too (ulimit -n, LimitNOFILE)"
            );
        }
        requested.get().min(possible)
    });
    ConnectionLimits { total: total.max(1), per_client: args.connections_per_client.get() }
}
