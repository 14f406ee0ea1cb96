//! The `freehold-agent` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    freehold_agent::cli::main()
}
