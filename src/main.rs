//! The `kakao-auth` program.

use std::process::ExitCode;

/// A tenth less CPU for a login than with glibc's allocator; `docs/performance.md` has both figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kakao_auth::cli::run()
}
