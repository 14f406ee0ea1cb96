//! Reads a batch of logs. Pure: bytes in, lines and refusals out.

use freehold_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::batch::{Format, Refusal, Refusals, Said, each_item, object, refuse, text, time};
use crate::{
    db::ingest::logs::NewLine,
    domain::ingest::{
        Level, MAX_CONTEXT_BYTES, MAX_CONTEXT_DEPTH, MAX_IP_BYTES, MAX_MESSAGE_BYTES,
        MAX_USER_BYTES, Reason, depth,
    },
    error::AppError,
};

/// A batch that was read.
#[derive(Debug, Default)]
pub struct Batch {
    /// What it says about itself.
    pub said: Said,
    /// Its good lines.
    pub lines: Vec<NewLine>,
    /// Its bad ones.
    pub refusals: Refusals,
    /// Good lines that were said to be in the future.
    pub clamped: u64,
}

/// A line as it comes. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow, default)]
    level: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "msg")]
    message: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "time")]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "user_id")]
    user_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ip: Option<&'a RawValue>,
}

/// Reads a batch.
///
/// # Errors
/// When the whole of it is none; single lines are refused in what is returned.
pub fn read(
    format: Format,
    body: &[u8],
    now: Timestamp,
    keep_days: u32,
) -> Result<Batch, AppError> {
    let mut batch = Batch::default();
    let missing = ("/logs", "a list of lines");
    let add = |index: usize, item: &[u8]| match object(item)
        .and_then(|line: Line<'_>| read_line(&line, now, keep_days))
    {
        Ok((line, clamped)) => {
            batch.clamped += u64::from(clamped);
            batch.lines.push(line);
        }
        Err(refusal) => batch.refusals.add(index, refusal),
    };
    let said = each_item(format, body, |envelope| envelope.logs.as_ref(), missing, add)?;
    batch.said = said;
    Ok(batch)
}

fn read_line(line: &Line<'_>, now: Timestamp, keep_days: u32) -> Result<(NewLine, bool), Refusal> {
    let missing = |field| refuse(field, Reason::Missing, "it is missing");
    let level = level(line.level.ok_or_else(|| missing("level"))?)?;
    let message = line.message.ok_or_else(|| missing("message"))?;
    let message = text("message", message, MAX_MESSAGE_BYTES)?.into_owned();
    let (at, clamped) = time(line.timestamp, now, keep_days)?;
    let context = line.context.map(context).transpose()?;
    let user_id = line.user_id.map(user).transpose()?;
    let ip = line.ip.map(|raw| text("ip", raw, MAX_IP_BYTES)).transpose()?;
    let ip = ip.map(std::borrow::Cow::into_owned);
    Ok((NewLine { at, level, message, context, user_id, ip }, clamped))
}

fn level(raw: &RawValue) -> Result<Level, Refusal> {
    let bad = |why: &str| refuse("level", Reason::BadValue, why);
    if raw.get().starts_with('"') {
        return text("level", raw, 20)?.trim().parse().map_err(bad);
    }
    let number: u64 = serde_json::from_str(raw.get())
        .map_err(|_| refuse("level", Reason::WrongType, "use a text, such as info"))?;
    Level::of_number(number).ok_or_else(|| bad("use 10, 20, 30, 40, 50 or 60, or a name"))
}

fn context(raw: &RawValue) -> Result<String, Refusal> {
    let json = raw.get();
    if json.len() > MAX_CONTEXT_BYTES {
        let detail = format!("{} bytes of JSON; at most {MAX_CONTEXT_BYTES}", json.len());
        return Err(refuse("context", Reason::TooLong, detail));
    }
    if depth(json) > MAX_CONTEXT_DEPTH {
        let detail = format!("at most {MAX_CONTEXT_DEPTH} objects and lists inside each other");
        return Err(refuse("context", Reason::TooDeep, detail));
    }
    Ok(json.to_owned())
}

/// A user id is a text or a whole number.
fn user(raw: &RawValue) -> Result<String, Refusal> {
    if raw.get().starts_with('"') {
        return text("userId", raw, MAX_USER_BYTES).map(std::borrow::Cow::into_owned);
    }
    serde_json::from_str::<i64>(raw.get())
        .map(|number| number.to_string())
        .map_err(|_| refuse("userId", Reason::WrongType, "use a text or a whole number"))
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
