//! Holes in the firewall that the engine keeps between its networks.

use std::process::Command;

/// A firewall that lets packets through to a network of the engine. The rules name that network's
/// bridge alone, which no other network is ever called; they go with this.
#[derive(Debug)]
pub struct Hole {
    mark: String,
}

impl Hole {
    /// One that is not open yet, told apart by a world's tag.
    pub fn new(tag: &str) -> Self {
        Self { mark: format!("freehold-e2e-{tag}") }
    }

    /// Shell commands that open it, once the network is there. Packets that it does not let through, and
    /// those to any other network, meet the engine's own rules as before.
    pub fn script(&self, network: &str) -> String {
        format!(
            "PATH=$PATH:/usr/sbin\n\
             bridge=br-$(docker network ls --quiet --filter 'name=^{network}$')\n\
             comment='-m comment --comment {mark}'\n\
             iptables -w -I DOCKER-USER -o \"$bridge\" $comment -j ACCEPT || exit 99\n\
             iptables -w -I DOCKER-USER -i \"$bridge\" -m conntrack --ctstate ESTABLISHED $comment \\\n\
             \x20 -j ACCEPT || exit 99",
            mark = self.mark
        )
    }

    /// Its rules, as `iptables` shows them.
    pub fn rules(&self) -> Vec<String> {
        let text = iptables(&["-S", "DOCKER-USER"]).unwrap_or_else(|error| {
            eprintln!("the firewall cannot be looked at: {error}");
            String::new()
        });
        text.lines().filter(|line| line.contains(&self.mark)).map(str::to_owned).collect()
    }

    /// Takes the rules away; says how many there were.
    pub fn close(&self) -> usize {
        let rules = self.rules();
        for rule in &rules {
            let words: Vec<&str> =
                rule.split(' ').map(|w| if w == "-A" { "-D" } else { w }).collect();
            if let Err(error) = iptables(&words) {
                eprintln!("left behind in the firewall: {rule}: {error}");
            }
        }
        rules.len()
    }
}

impl Drop for Hole {
    fn drop(&mut self) {
        self.close();
    }
}

fn iptables(args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("iptables");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin")).arg("-w").args(args);
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
