//! `freehold-agent man`

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;

use super::CliError;
use crate::exit::Exit;

/// What stands at the foot of each page.
const SOURCE: &str = concat!("Freehold ", env!("CARGO_PKG_VERSION"));

/// Writes the manual pages, one for each command. The package has them installed: `man
/// freehold-agent`, `man freehold-agent-enroll`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write them to; it is made when it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(&self, mut command: clap::Command) -> Result<Exit, CliError> {
        command.build();
        fs::create_dir_all(&self.folder).and_then(|()| write(&command, &self.folder)).map_err(
            |error| {
                let what = format!("cannot write to {}: {error}", self.folder.display());
                CliError::new(Exit::Failed, what, "name a folder that you may write to")
            },
        )?;
        Ok(Exit::Ok)
    }
}

fn write(command: &clap::Command, folder: &Path) -> io::Result<()> {
    let page =
        clap_mangen::Man::new(command.clone()).section("8").manual("Freehold").source(SOURCE);
    let mut text = Vec::new();
    page.render(&mut text)?;
    // A long choice of options in the synopsis cannot be spread over the width of a line.
    let text = String::from_utf8_lossy(&text).replacen("\n.SH NAME", "\n.ad l\n.SH NAME", 1);
    fs::write(folder.join(page.get_filename()), text)?;
    command.get_subcommands().try_for_each(|below| write(below, folder))
}
