//! `freehold-agent drain` and `undrain`

use super::{CliError, output};
use crate::{
    config::Config,
    executor::DRAINED,
    exit::Exit,
    socket::{CallError, Client, Request},
};

pub(super) fn run(config: &Config, on: bool) -> Result<Exit, CliError> {
    match Client::new(&config.socket).call(&Request::Drain { on }) {
        Ok(_) => {}
        // A stopped executor reads it when it starts.
        Err(CallError::Connect { .. }) => {
            super::open_journal(config)?.set_setting(DRAINED, if on { "yes" } else { "no" })?;
        }
        Err(error) => return Err(error.into()),
    }
    output::out(if on {
        "Drained: running jobs end, no further one is taken. Undo with `freehold-agent undrain`.\n"
    } else {
        "The host takes jobs again.\n"
    });
    Ok(Exit::Ok)
}
