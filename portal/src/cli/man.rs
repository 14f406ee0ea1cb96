//! `freehold man`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// What stands at the foot of each page.
const SOURCE: &str = concat!("Freehold ", env!("CARGO_PKG_VERSION"));

/// Write the manual pages, one for each command
///
/// The package has them installed: `man freehold`, `man freehold-tenant-add`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold man ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// The folder to write them to; it is made when it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes them.
pub(crate) fn run(args: &Args, _: &mut Ctx) -> Result<Exit, CliError> {
    let mut tree = super::tree();
    tree.build();
    fs::create_dir_all(&args.folder).and_then(|()| write(&tree, &args.folder)).map_err(
        |error| {
            let shown = args.folder.display();
            CliError::new(Exit::Failed, format!("the manual pages cannot be written to {shown}"))
                .because(&error)
        },
    )?;
    Ok(Exit::Ok)
}

fn write(command: &clap::Command, folder: &Path) -> io::Result<()> {
    let page =
        clap_mangen::Man::new(command.clone()).section("1").manual("Freehold").source(SOURCE);
    let mut text = Vec::new();
    page.render(&mut text)?;
    // A long choice of options in the synopsis cannot be spread over the width of a line.
    let text = String::from_utf8_lossy(&text).replacen("\n.SH NAME", "\n.ad l\n.SH NAME", 1);
    fs::write(folder.join(page.get_filename()), text)?;
    command.get_subcommands().try_for_each(|below| write(below, folder))
}
