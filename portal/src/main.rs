//! `freehold`: the portal and the admin command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    freehold_portal::cli::main().into()
}
