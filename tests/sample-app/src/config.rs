//! What the environment says, read once.

/// A way in which a test wants the app to misbehave: the value of `SAMPLE_FAIL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fail {
    /// `migrate` exits 1 after its first statement.
    Migrate,
    /// `onboard` exits 1.
    Onboard,
    /// The server runs but its health endpoint answers 503.
    Unhealthy,
    /// The server exits 1 as soon as it is started.
    Crash,
    /// The server begins to listen only after `SAMPLE_SLOW_SECONDS` (20 by default).
    Slow,
}

/// The app's settings.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// `PORT`, or nothing for the command's own default.
    pub(crate) port: Option<u16>,
    /// `TENANT_SLUG`.
    pub(crate) slug: String,
    /// `TENANT_NAME`; the slug when it is not set.
    pub(crate) name: String,
    /// `TENANT_COLOR`, a CSS colour such as `#0a7d55`.
    pub(crate) color: String,
    /// `APP_VERSION`, a whole number: which release of the app this image is.
    pub(crate) version: u32,
    /// `SAMPLE_FAIL`.
    pub(crate) fail: Option<Fail>,
    /// `SAMPLE_SLOW_SECONDS`.
    pub(crate) slow_seconds: u64,
}

impl Config {
    /// Reads the process's environment.
    pub(crate) fn from_env() -> Result<Self, String> {
        Self::read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let slug = var("TENANT_SLUG").unwrap_or_else(|| "unnamed".to_owned());
        let color = var("TENANT_COLOR").unwrap_or_else(|| "#0a5c8a".to_owned());
        if !is_css_color(&color) {
            return Err(format!("TENANT_COLOR: '{color}' is not a colour like #0a5c8a"));
        }
        let fail = match var("SAMPLE_FAIL").as_deref() {
            None => None,
            Some("migrate") => Some(Fail::Migrate),
            Some("onboard") => Some(Fail::Onboard),
            Some("unhealthy") => Some(Fail::Unhealthy),
            Some("crash") => Some(Fail::Crash),
            Some("slow") => Some(Fail::Slow),
            Some(other) => {
                return Err(format!(
                    "SAMPLE_FAIL: '{other}' is none of migrate, onboard, unhealthy, crash, slow"
                ));
            }
        };
        Ok(Self {
            port: number(&var, "PORT")?,
            name: var("TENANT_NAME").unwrap_or_else(|| slug.clone()),
            slug,
            color,
            version: number(&var, "APP_VERSION")?.unwrap_or(1),
            fail,
            slow_seconds: number(&var, "SAMPLE_SLOW_SECONDS")?.unwrap_or(20),
        })
    }

    /// Does what `SAMPLE_FAIL` asks of a server that starts.
    pub(crate) fn fail_at_start(&self) -> Result<(), String> {
        match self.fail {
            Some(Fail::Crash) => Err("SAMPLE_FAIL=crash: exiting at start".to_owned()),
            Some(Fail::Slow) => {
                println!("SAMPLE_FAIL=slow: starting in {} s", self.slow_seconds);
                std::thread::sleep(std::time::Duration::from_secs(self.slow_seconds));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn number<T: std::str::FromStr>(
    var: &impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<T>, String> {
    var(name)
        .map(|text| text.parse().map_err(|_| format!("{name}: '{text}' is not a number in range")))
        .transpose()
}

fn is_css_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|hex| {
        matches!(hex.len(), 3 | 6) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_need_no_variable() {
        let config = read(&[]).unwrap();
        assert_eq!(config.version, 1);
        assert_eq!(config.name, "unnamed");
        assert_eq!(config.fail, None);
    }

    #[test]
    fn a_misspelt_failure_is_refused() {
        assert!(read(&[("SAMPLE_FAIL", "unhelthy")]).unwrap_err().contains("unhelthy"));
    }

    #[test]
    fn a_color_cannot_carry_css() {
        assert!(read(&[("TENANT_COLOR", "red;}body{display:none")]).is_err());
        assert!(read(&[("TENANT_COLOR", "#Ab12cd")]).is_ok());
    }

    #[test]
    fn a_port_out_of_range_is_named() {
        assert!(read(&[("PORT", "70000")]).unwrap_err().starts_with("PORT"));
    }
}
