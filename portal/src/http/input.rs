//! What a request says, beyond its route: body, query, conditions. Every function refuses with the
//! name of what is wrong.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use freehold_protocol::shape;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::server::{Head, Request};
use crate::{
    api::{DEFAULT_LIMIT, MAX_IDEMPOTENCY_KEY_BYTES, MAX_LIMIT, object},
    error::{AppError, Kind},
};

/// Reads a JSON body.
///
/// # Errors
/// 415 for another media type, 400 with the position for what is not JSON, 422 with the field for
/// JSON of another shape.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, AppError> {
    in_place(request)
}

/// Reads a JSON body whose texts stay where they are.
///
/// # Errors
/// As [`body`].
pub fn in_place<'r, T: Deserialize<'r>>(request: &'r Request) -> Result<T, AppError> {
    if request.body.is_empty() {
        return Err(AppError::new(Kind::BadRequest, "body_missing", "the request has no body")
            .advice("send a JSON object; docs/api.md shows its fields"));
    }
    let media = request.head.get("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media != "application/json" && media != "application/merge-patch+json" {
        return Err(AppError::new(
            Kind::UnsupportedMedia,
            "unsupported_media_type",
            format!("the body is \"{}\", not JSON", media.escape_debug()),
        )
        .advice("send JSON with the header Content-Type: application/json"));
    }
    let mut reader = serde_json::Deserializer::from_slice(&request.body);
    object(&mut reader)
        .and_then(|read| reader.end().map(|()| read))
        .map_err(|error| AppError::unreadable_json(&error))
}

/// Reads a JSON body of an agent: no list may stand for an object, at whatever depth.
///
/// # Errors
/// As [`body`].
pub fn exact_body<T: Serialize + DeserializeOwned>(request: &Request) -> Result<T, AppError> {
    let read = body(request)?;
    shape::check(&read, &request.body).map_err(|error| AppError::unreadable_json(&error))?;
    Ok(read)
}

/// Reads a JSON body that may be left out.
///
/// # Errors
/// As [`body`].
pub fn body_or_default<T: DeserializeOwned + Default>(request: &Request) -> Result<T, AppError> {
    if request.body.is_empty() { Ok(T::default()) } else { body(request) }
}

/// Refuses a body where none belongs.
///
/// # Errors
/// 400.
pub fn no_body(request: &Request) -> Result<(), AppError> {
    #[derive(serde::Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    body_or_default::<Nothing>(request).map(|_| ())
}

/// The parameters of a request's query: each known, each given once.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the query.
    ///
    /// # Errors
    /// 400 for a parameter that is not in `known`, is given twice, or is not well encoded.
    pub fn parse(head: &Head, known: &[&str]) -> Result<Self, AppError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in head.query().unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decoded(name)?;
            if !known.contains(&name.as_str()) {
                let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(refused(format!(
                    "there is no parameter \"{}\" here",
                    name.escape_debug()
                ))
                .advice(format!("known parameters: {list}")));
            }
            if pairs.iter().any(|(seen, _)| *seen == name) {
                return Err(refused(format!("the parameter {name} is given twice")));
            }
            pairs.push((name, decoded(value)?));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter as a type that parses.
    ///
    /// # Errors
    /// 400 with the type's rule.
    pub fn parsed<T>(&self, name: &'static str) -> Result<Option<T>, AppError>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        self.get(name)
            .map(|text| text.parse().map_err(|error| refused(format!("{name}: {error}"))))
            .transpose()
    }

    /// A whole number up to `max`.
    ///
    /// # Errors
    /// 400.
    pub fn number(&self, name: &'static str, default: u32, max: u32) -> Result<u32, AppError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.parse().ok().filter(|number| *number <= max).ok_or_else(|| {
            refused(format!("{name} is \"{}\"", text.escape_debug()))
                .advice(format!("use a whole number, at most {max}"))
        })
    }

    /// `limit`.
    ///
    /// # Errors
    /// 400.
    pub fn limit(&self) -> Result<u32, AppError> {
        match self.number("limit", DEFAULT_LIMIT, MAX_LIMIT)? {
            0 => Err(refused("limit is 0").advice(format!("use 1 to {MAX_LIMIT}"))),
            limit => Ok(limit),
        }
    }

    /// The key after which the page starts, from `cursor`; empty for the first page.
    ///
    /// # Errors
    /// 400 for what is not a cursor of this list.
    pub fn after(&self, list: &str) -> Result<String, AppError> {
        self.named("cursor", list).map(Option::unwrap_or_default)
    }

    /// The key that a parameter holds as a cursor of a list.
    ///
    /// # Errors
    /// 400 for what is not a cursor of this list.
    pub fn named(&self, name: &str, list: &str) -> Result<Option<String>, AppError> {
        let Some(cursor) = self.get(name) else { return Ok(None) };
        let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|b| String::from_utf8(b).ok());
        text.as_deref()
            .and_then(|text| text.strip_prefix(list))
            .and_then(|text| text.strip_prefix(':'))
            .map(|key| Some(key.to_owned()))
            .ok_or_else(not_a_cursor)
    }
}

/// The answer to a cursor that this list did not give.
pub fn not_a_cursor() -> AppError {
    refused("the cursor is not one of this list")
        .advice("use the `next` of the page before, or leave it out for the first page")
}

/// A cursor. It is opaque, so that what it holds may change.
#[must_use]
pub fn cursor(list: &str, key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}:{key}"))
}

/// Cuts the one entry too many that tells that there is a next page, and says its cursor.
pub fn next_page<T>(
    items: &mut Vec<T>,
    limit: u32,
    list: &str,
    key: impl Fn(&T) -> String,
) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if items.len() <= limit {
        return None;
    }
    items.truncate(limit);
    items.last().map(|last| cursor(list, &key(last)))
}

fn refused(message: impl Into<String>) -> AppError {
    AppError::new(Kind::BadRequest, "bad_query", message)
}

/// Undoes percent-encoding; a plus is a plus, since no browser form sends these.
fn decoded(text: &str) -> Result<String, AppError> {
    let bad = || refused(format!("\"{}\" is not well encoded", text.escape_debug()));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return Err(bad()) };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(bad()) };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| bad())?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// The generation that `If-Match` names; `None` for `*`.
///
/// # Errors
/// 428 without it, 400 for what is not one strong tag.
pub fn if_match(head: &Head) -> Result<Option<u64>, AppError> {
    let Some(text) = single(head, "if-match")? else {
        return Err(AppError::new(
            Kind::PreconditionRequired,
            "if_match_required",
            "a change must name the version that it is based on",
        )
        .advice(
            "send the ETag of the thing as If-Match, or If-Match: * to change whatever is there",
        ));
    };
    if text == "*" {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            AppError::new(Kind::BadRequest, "bad_if_match", "If-Match is not an ETag of the portal")
                .advice("send it as it was received, with its quotes")
        })
}

/// The generation that `If-Match` names, where it may be left out; `None` then and for `*`.
///
/// # Errors
/// As [`if_match`], but for the missing header.
pub fn if_match_optional(head: &Head) -> Result<Option<u64>, AppError> {
    if head.get("if-match").is_some() { if_match(head) } else { Ok(None) }
}

/// The `Idempotency-Key`.
///
/// # Errors
/// 400 when it is too long or not visible ASCII.
pub fn idempotency_key(head: &Head) -> Result<Option<String>, AppError> {
    let Some(key) = single(head, "idempotency-key")? else { return Ok(None) };
    // A structured string has quotes, and many clients send it bare: both name the same key.
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    let ok = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !ok {
        return Err(AppError::new(
            Kind::BadRequest,
            "bad_idempotency_key",
            "the Idempotency-Key is empty, too long or not plain ASCII",
        )
        .advice("use a fresh UUID per intention"));
    }
    Ok(Some(key.to_owned()))
}

/// A header that must not be given twice.
///
/// # Errors
/// 400.
pub fn single<'h>(head: &'h Head, name: &str) -> Result<Option<&'h str>, AppError> {
    head.get_single(name).map_err(|refusal| {
        AppError::new(Kind::BadRequest, "repeated_header", refusal.detail().to_owned())
    })
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
