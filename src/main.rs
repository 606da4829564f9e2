//! The `relayscope` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    relayscope::app::run(std::env::args_os()).into()
}
