//! An nginx of a test's own, set up as a host's is: an include folder for tenant sites, and a
//! default site that belongs to nobody.

use crate::process::Daemon;
use crate::{ports, scratch::Scratch};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(90);

/// A running nginx. In the agent's configuration it is:
///
/// ```toml
/// [nginx]
/// args = ["-p", "FOLDER", "-c", "FOLDER/nginx.conf"]   # args()
/// include_dir = "FOLDER/freehold.d"                    # sites()
/// listen = "127.0.0.1"                                 # LISTEN
/// http_port = 20001                                    # http_port()
/// https_port = 20002                                   # https_port()
/// reload = "nginx"
/// ```
#[derive(Debug)]
pub struct Nginx {
    daemon: Daemon,
    folder: PathBuf,
    http_port: u16,
    https_port: u16,
}

impl Nginx {
    /// The address that sites must listen on: nginx prefers a site that names the address over
    /// one that does not, so a site that listened on all of them would never be reached here.
    pub const LISTEN: &str = "127.0.0.1";

    /// Starts one in `scratch`'s folder `nginx`, on free ports.
    pub fn start(scratch: &Scratch) -> Self {
        let folder = scratch.folder("nginx");
        for name in ["freehold.d", "temp", "logs"] {
            std::fs::create_dir_all(folder.join(name)).expect("a folder for nginx");
        }
        let (http_port, https_port) = (ports::free(), ports::free());
        let conf = folder.join("nginx.conf");
        std::fs::write(&conf, configuration(&folder, http_port, https_port)).expect("nginx.conf");

        let mut command = Command::new(program());
        command.args(arguments(&folder)).args(["-g", "daemon off;"]);
        let mut daemon = Daemon::start("nginx", &command, &folder.join("logs/output.log"));
        daemon.wait_for_port(http_port, START);
        daemon.wait_for_port(https_port, START);
        Self { daemon, folder, http_port, https_port }
    }

    /// The arguments that every call of this nginx needs.
    pub fn args(&self) -> Vec<String> {
        arguments(&self.folder)
    }

    /// The folder whose `*.conf` are the sites.
    pub fn sites(&self) -> PathBuf {
        self.folder.join("freehold.d")
    }

    /// The plain port.
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// The TLS port.
    pub fn https_port(&self) -> u16 {
        self.https_port
    }

    /// Reads the configuration again, after a check; the error is nginx's own text.
    pub fn reload(&self) -> Result<(), String> {
        self.call(&["-t"])?;
        self.call(&["-s", "reload"])
    }

    fn call(&self, extra: &[&str]) -> Result<(), String> {
        let output = Command::new(program())
            .args(self.args())
            .args(extra)
            .output()
            .map_err(|error| format!("nginx cannot run: {error}"))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// The log of requests.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.folder.join("logs/access.log")).unwrap_or_default()
    }

    /// The log of errors, and what nginx said at its start.
    pub fn error_log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("logs/error.log")).unwrap_or_default();
        log + &self.daemon.log()
    }

    /// The process, for tests that end it.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

fn program() -> &'static str {
    // Not on a plain user's path.
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

fn arguments(folder: &Path) -> Vec<String> {
    let folder = folder.display();
    vec!["-p".to_owned(), format!("{folder}"), "-c".to_owned(), format!("{folder}/nginx.conf")]
}

fn configuration(folder: &Path, http_port: u16, https_port: u16) -> String {
    let folder = folder.display();
    let listen = Nginx::LISTEN;
    format!(
        "# Workers are www-data, as on a host: a challenge folder that they may not read fails here too.
user www-data;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/logs/error.log notice;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/logs/access.log;
    client_body_temp_path {folder}/temp/body;
    proxy_temp_path {folder}/temp/proxy;
    fastcgi_temp_path {folder}/temp/fastcgi;
    uwsgi_temp_path {folder}/temp/uwsgi;
    scgi_temp_path {folder}/temp/scgi;
    server_names_hash_bucket_size 128;
    server {{
        listen {listen}:{http_port} default_server;
        server_name _;
        return 404;
    }}
    server {{
        listen {listen}:{https_port} ssl default_server;
        server_name _;
        ssl_reject_handshake on;
    }}
    include {folder}/freehold.d/*.conf;
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curl;

    #[test]
    fn serves_sites_and_refuses_bad_ones() {
        let scratch = Scratch::new("nginx");
        let nginx = Nginx::start(&scratch);
        let url = format!("http://acme.test:{}/", nginx.http_port());
        assert_eq!(curl::get(&url, None).unwrap().status, 404);

        let site = format!(
            "server {{ listen 127.0.0.1:{}; server_name acme.test; return 200 hello; }}",
            nginx.http_port()
        );
        std::fs::write(nginx.sites().join("acme.conf"), site).unwrap();
        nginx.reload().unwrap();
        // A reload is done by new workers a moment later.
        let began = std::time::Instant::now();
        while curl::get(&url, None).unwrap().body != "hello" {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", nginx.error_log());
        }
        assert!(nginx.access_log().contains("GET / "));

        std::fs::write(nginx.sites().join("bad.conf"), "server { listen nonsense; }").unwrap();
        assert!(nginx.reload().unwrap_err().contains("nonsense"));
    }
}
