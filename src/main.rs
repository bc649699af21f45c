//! The `kakao-auth` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    kakao_auth::cli::run()
}
