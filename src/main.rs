//! The program. See `runtrail::cli`.

use std::process::ExitCode;

/// A thousand readers that connect at once need much memory for a moment. The system's allocator would keep it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtrail::cli::run()
}
