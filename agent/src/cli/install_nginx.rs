//! `freehold-agent install-nginx`

use std::{fs, path::PathBuf};

use clap::Args;

use super::{CliError, output};
use crate::{
    config::Config,
    executor::build,
    exit::Exit,
    host::{certbot, nginx},
};

/// Has nginx include the folder of tenant sites: makes the folder, writes a one-line file into
/// nginx's own include folder, and checks the result with `nginx -t`.
#[derive(Debug, Args)]
pub struct InstallNginx {
    /// A folder whose *.conf nginx includes already
    #[arg(long, value_name = "DIR", default_value = "/etc/nginx/conf.d")]
    into: PathBuf,
}

impl InstallNginx {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let folder = &config.nginx.include_dir;
        let failed = |what: &str, error: std::io::Error| {
            CliError::new(
                Exit::Failed,
                format!("{what}: {error}"),
                "run it as root; is nginx installed?",
            )
        };
        fs::create_dir_all(folder)
            .map_err(|error| failed(&format!("cannot make {}", folder.display()), error))?;
        certbot::ensure_webroot(&config.certbot.webroot)
            .map_err(|error| CliError::of(Exit::Failed, &error, "run it as root"))?;
        let file = self.into.join("freehold.conf");
        let line = format!(
            "# Sites of Freehold tenants. Written by `freehold-agent install-nginx`.\ninclude {}/*.conf;\n",
            folder.display()
        );
        let before = fs::read_to_string(&file).ok();
        fs::write(&file, &line)
            .map_err(|error| failed(&format!("cannot write {}", file.display()), error))?;
        let settings = build::nginx_settings(config)?;
        let system = build::system(config)?;
        if let Err(error) =
            build::with_commands(&system, |commands| nginx::test(commands, &settings))
        {
            // As it was: a broken include would stop the next reload of somebody else's site.
            let restored = match before {
                Some(text) => fs::write(&file, text),
                None => fs::remove_file(&file),
            };
            restored
                .map_err(|error| failed(&format!("cannot restore {}", file.display()), error))?;
            return Err(CliError::of(
                Exit::Failed,
                &error,
                "mend nginx's configuration, then repeat",
            ));
        }
        output::out(&format!(
            "{} includes {}. `nginx -t` is content.\n",
            file.display(),
            folder.display()
        ));
        Ok(Exit::Ok)
    }
}
