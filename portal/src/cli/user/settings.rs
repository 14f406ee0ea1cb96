//! `freehold user settings`.

use serde_json::Value;

use super::find::own;
use crate::{
    api::{paths, users::Settings},
    cli::{
        context::Ctx,
        error::CliError,
        output::Fields,
        parse::{Pair, changes, pair},
    },
    exit::Exit,
};

/// Show or change what pages and programs keep for you
///
/// A value that is JSON is kept as what it is (true, 25, {"a":1}), and any other as text. An object is merged into
/// the one that is there; null takes a key away.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold user settings
  freehold user settings --set theme=dark --set pageSize=25
  freehold user settings --unset theme")]
pub(crate) struct Args {
    /// Keep a value under a key
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<Pair>,
    /// Take a key away
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
}

/// Shows them, after the changes if there are any.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let changes = changes(&args.set, &args.unset, "setting")?;
    let settings: Settings = if changes.is_empty() {
        client.get(paths::ME_SETTINGS, &Vec::new())?
    } else {
        let patch: Settings = changes.into_iter().map(|(key, value)| (key, meant(value))).collect();
        client.patch(paths::ME_SETTINGS, own(&client)?.generation, &patch)?
    };
    if settings.is_empty() && !ctx.json {
        ctx.note("nothing is kept");
        return Ok(Exit::Ok);
    }
    ctx.show(&settings, |settings| {
        let all = settings.iter();
        all.fold(Fields::new(), |fields, (key, value)| fields.add(key, value)).render()
    })?;
    Ok(Exit::Ok)
}

fn meant(value: Option<String>) -> Value {
    value.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_json_and_all_else_is_text() {
        for (text, value) in [
            ("true", json!(true)),
            ("25", json!(25)),
            ("{\"a\":1}", json!({ "a": 1 })),
            ("\"25\"", json!("25")),
            ("dark", json!("dark")),
            ("{", json!("{")),
            ("", json!("")),
        ] {
            assert_eq!(meant(Some(text.to_owned())), value, "{text}");
        }
        assert_eq!(meant(None), Value::Null);
    }
}
