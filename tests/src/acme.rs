//! A certificate authority of a test's own: Pebble, and a DNS server that says of every name that
//! it is this machine.

use crate::process::Daemon;
use crate::{curl, ports, scratch::Scratch, tls::Authority};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const START: Duration = Duration::from_secs(90);

/// What a test may want to be different.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How many of a hundred good nonces are refused; a client must try again. Pebble's own
    /// default is 5.
    pub nonce_reject_percent: u8,
    /// Key id and base64url HMAC key without which no account can be made.
    pub external_account: Option<(String, String)>,
}

/// A running authority. In the agent's configuration it is:
///
/// ```toml
/// [certbot]
/// server = "https://127.0.0.1:20003/dir"   # directory_url()
/// ca_file = "FOLDER/server-ca.pem"         # server_ca()
/// [probe]
/// ca_file = "FOLDER/issuer.pem"            # issuer_ca()
/// ```
#[derive(Debug)]
pub struct Acme {
    // Ended in this order.
    pebble: Daemon,
    dns: Daemon,
    folder: PathBuf,
    port: u16,
    dns_management: u16,
}

impl Acme {
    /// Starts one in `scratch`'s folder `acme`. It fetches challenges from `http_port` of
    /// whatever name it is asked for (a public authority uses port 80).
    pub fn start(scratch: &Scratch, http_port: u16) -> Self {
        Self::start_with(scratch, http_port, &Options::default())
    }

    /// The same with other options.
    pub fn start_with(scratch: &Scratch, http_port: u16, options: &Options) -> Self {
        let folder = scratch.folder("acme");
        let (port, management) = (ports::free(), ports::free());
        let (dns_port, dns_management) = (ports::free(), ports::free());
        write_server_certificate(&folder);
        let configuration = configuration(&folder, port, management, http_port, options);
        std::fs::write(folder.join("pebble.json"), configuration.to_string()).expect("pebble.json");

        let mut command = Command::new("pebble-challtestsrv");
        command
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &format!("127.0.0.1:{dns_port}")])
            .args(["-management", &format!("127.0.0.1:{dns_management}")]);
        let mut dns = Daemon::start("pebble-challtestsrv", &command, &folder.join("dns.log"));
        dns.wait_for_port(dns_management, START);

        let mut command = Command::new("pebble");
        command
            .args(["-strict", "-dnsserver", &format!("127.0.0.1:{dns_port}")])
            .arg("-config")
            .arg(folder.join("pebble.json"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject_percent.to_string())
            // An authorization that was used before would hide a broken challenge.
            .env("PEBBLE_AUTHZREUSE", "0");
        let mut pebble = Daemon::start("pebble", &command, &folder.join("pebble.log"));
        pebble.wait_for_port(port, START);
        pebble.wait_for_port(management, START);

        let acme = Self { pebble, dns, folder, port, dns_management };
        let root =
            curl::get(&format!("https://127.0.0.1:{management}/roots/0"), Some(&acme.server_ca()))
                .unwrap_or_else(|error| panic!("Pebble's root: {error}\n{}", acme.log()));
        assert_eq!(root.status, 200, "Pebble's root: {}", root.body);
        std::fs::write(acme.issuer_ca(), root.body).expect("issuer.pem");
        acme
    }

    /// Where an ACME client begins.
    pub fn directory_url(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// PEM of the authority of the ACME server's own TLS certificate.
    pub fn server_ca(&self) -> PathBuf {
        self.folder.join("server-ca.pem")
    }

    /// PEM of the root that issued certificates lead to. New with every start.
    pub fn issuer_ca(&self) -> PathBuf {
        self.folder.join("issuer.pem")
    }

    /// A certbot with folders of its own under `home`, talking to this authority: for tests that
    /// call it themselves.
    pub fn certbot(&self, home: &Path) -> Command {
        let mut command = Command::new("certbot");
        command
            .arg("--non-interactive")
            .arg("--config-dir")
            .arg(home.join("config"))
            .arg("--work-dir")
            .arg(home.join("work"))
            .arg("--logs-dir")
            .arg(home.join("logs"))
            .args(["--server", &self.directory_url()])
            .env("REQUESTS_CA_BUNDLE", self.server_ca());
        command
    }

    /// Makes `name` a name that cannot be resolved, as for a customer who has not set up DNS.
    pub fn break_dns(&self, name: &str) {
        self.dns_call("set-servfail", name);
    }

    /// Undoes `break_dns`.
    pub fn mend_dns(&self, name: &str) {
        self.dns_call("clear-servfail", name);
    }

    fn dns_call(&self, what: &str, name: &str) {
        let url = format!("http://127.0.0.1:{}/{what}", self.dns_management);
        let body = serde_json::json!({ "host": format!("{name}.") }).to_string();
        let answer = curl::send(&url, None, ["--data", &body]).expect("the DNS server answers");
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    }

    /// What Pebble and the DNS server wrote.
    pub fn log(&self) -> String {
        self.pebble.log() + &self.dns.log()
    }

    /// Pebble itself, for tests that take it away.
    pub fn pebble(&mut self) -> &mut Daemon {
        &mut self.pebble
    }
}

fn configuration(
    folder: &Path,
    port: u16,
    management: u16,
    http_port: u16,
    options: &Options,
) -> serde_json::Value {
    let mut pebble = serde_json::json!({
        "listenAddress": format!("127.0.0.1:{port}"),
        "managementListenAddress": format!("127.0.0.1:{management}"),
        "certificate": folder.join("server.pem"),
        "privateKey": folder.join("server.key"),
        "httpPort": http_port,
        // TLS-ALPN-01 is never asked for.
        "tlsPort": ports::free(),
        "ocspResponderURL": "",
        "externalAccountBindingRequired": options.external_account.is_some(),
    });
    if let Some((key_id, key)) = &options.external_account {
        pebble["externalAccountMACKeys"] = serde_json::json!({ key_id: key });
    }
    serde_json::json!({ "pebble": pebble })
}

/// A small authority and a certificate for 127.0.0.1, for Pebble's own listeners.
fn write_server_certificate(folder: &Path) {
    let authority = Authority::new("Authority of a test's ACME server");
    std::fs::write(folder.join("server-ca.pem"), authority.pem()).expect("a file for Pebble");
    let certificate = authority.certificate(&["localhost", "127.0.0.1"]);
    certificate.write(&folder.join("server.pem"), &folder.join("server.key"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nginx::Nginx;

    fn site(nginx: &Nginx, webroot: &Path, tls: &str) {
        let (http, webroot) = (nginx.http_port(), webroot.display());
        let text = format!(
            "server {{ listen 127.0.0.1:{http}; server_name acme.test; \
             location /.well-known/acme-challenge/ {{ root {webroot}; }} }}\n{tls}"
        );
        std::fs::write(nginx.sites().join("acme.conf"), text).unwrap();
        nginx.reload().unwrap();
        // A reload is done by new workers a moment later, and later still on a busy machine.
        std::thread::sleep(Duration::from_secs(1));
    }

    /// The whole road by hand: certbot, a challenge through nginx, a site with the certificate.
    #[test]
    fn certbot_gets_a_certificate_through_nginx() {
        let scratch = Scratch::new("acme");
        let nginx = Nginx::start(&scratch);
        let options = Options { nonce_reject_percent: 5, ..Options::default() };
        let acme = Acme::start_with(&scratch, nginx.http_port(), &options);
        let (webroot, home) = (scratch.folder("webroot"), scratch.folder("certbot"));
        site(&nginx, &webroot, "");

        let request = || {
            let mut certbot = acme.certbot(&home);
            certbot.args(["certonly", "--webroot", "--agree-tos"]);
            certbot.args(["--register-unsafely-without-email", "--cert-name", "acme"]);
            certbot.args(["--domain", "acme.test"]).arg("--webroot-path").arg(&webroot);
            certbot.output().expect("certbot runs (script/bootstrap --test)")
        };
        acme.break_dns("acme.test");
        let refused = request();
        assert!(!refused.status.success(), "a name without DNS got a certificate");
        acme.mend_dns("acme.test");
        // A refused nonce ends certbot, as the agent knows, too: `host::certbot` has the same bound.
        let mut output = request();
        for _ in 1..4 {
            if output.status.success() {
                break;
            }
            output = request();
        }
        assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            acme.log()
        );

        let live = home.join("config/live/acme");
        let tls = format!(
            "server {{ listen 127.0.0.1:{} ssl; server_name acme.test; \
             ssl_certificate {live}/fullchain.pem; ssl_certificate_key {live}/privkey.pem; \
             return 200 secure; }}",
            nginx.https_port(),
            live = live.display()
        );
        site(&nginx, &webroot, &tls);
        let url = format!("https://acme.test:{}/", nginx.https_port());
        let answer = curl::get(&url, Some(&acme.issuer_ca())).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "secure"));
        let other = format!("https://other.test:{}/", nginx.https_port());
        assert!(curl::get(&other, Some(&acme.issuer_ca())).is_err(), "a stranger's site answered");
    }
}
