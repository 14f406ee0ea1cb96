//! The API.

use crate::config::{Config, Fail};
use crate::db::{self, literal};
use crate::http::{self, Request, Response};
use crate::portal::Portal;
use crate::{schema, users};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

/// Serves until it is told to end.
pub(crate) fn serve(config: Config) -> Result<(), String> {
    config.fail_at_start()?;
    let portal = Portal::from_env()?.map(Arc::new);
    if let Some(portal) = &portal {
        println!("license: {}", portal.license.check(&portal.line, 0));
        portal.outbox.keep_sending(Arc::clone(portal));
    }
    http::serve(config.port.unwrap_or(3000), move |request| {
        answer(&config, portal.as_deref(), request)
    })
}

fn answer(config: &Config, portal: Option<&Portal>, request: &Request) -> Response {
    if let Some(portal) = portal
        && let Some(response) = portal.answer(request)
    {
        return response;
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET" | "HEAD", "/api/health" | "/health") => health(config),
        ("GET", "/api/whoami") => whoami(config, request),
        ("POST", "/api/login") => or_503(login(request)),
        ("GET" | "PUT", "/api/admin/features") => or_503(admin_features(request)),
        (_, "/api/health" | "/health" | "/api/whoami" | "/api/login" | "/api/admin/features") => {
            error(405, "this path does not know that method")
        }
        _ => error(404, "no such path"),
    }
}

/// Healthy means that the database answered a query just now.
fn health(config: &Config) -> Response {
    let schema = schema::version();
    let well = schema.is_ok() && config.fail != Some(Fail::Unhealthy);
    let mut body = json!({
        "status": if well { "ok" } else { "unhealthy" },
        "database": if schema.is_ok() { "ok" } else { "down" },
        "tenant": config.slug,
        "version": config.version.to_string(),
    });
    match schema {
        Ok(version) => body["schemaVersion"] = version.into(),
        Err(reason) => body["reason"] = reason.into(),
    }
    if config.fail == Some(Fail::Unhealthy) {
        body["reason"] = "SAMPLE_FAIL=unhealthy".into();
    }
    Response::json(if well { 200 } else { 503 }, &body)
}

/// What the reverse proxy told us about the request, for tests of the proxy.
fn whoami(config: &Config, request: &Request) -> Response {
    let organization = request.header("x-organization-slug");
    let headers: BTreeMap<&str, &str> = request
        .headers
        .iter()
        .filter(|(name, _)| name != "authorization" && name != "cookie")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let body = json!({
        "tenant": config.slug,
        "organizationSlug": organization,
        "host": request.header("host"),
        "headers": headers,
    });
    Response::json(200, &body).with("X-Organization-Slug", organization.unwrap_or_default())
}

fn login(request: &Request) -> Result<Response, String> {
    let credentials: users::Credentials = match serde_json::from_slice(&request.body) {
        Ok(credentials) => credentials,
        Err(reason) => return Ok(error(400, &reason.to_string())),
    };
    Ok(match users::login(&credentials)? {
        Some(token) => Response::json(200, &json!({ "token": token })),
        None => error(401, "e-mail or password is wrong"),
    })
}

fn admin_features(request: &Request) -> Result<Response, String> {
    let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let user = match token {
        Some(token) => users::who(token)?,
        None => None,
    };
    if user.is_none() {
        return Ok(error(401, "log in first and send the token as 'Authorization: Bearer TOKEN'"));
    }
    if request.method == "PUT" {
        let wanted: Features = match serde_json::from_slice(&request.body) {
            Ok(wanted) => wanted,
            Err(reason) => return Ok(error(400, &reason.to_string())),
        };
        set_features(&wanted)?;
    }
    Ok(Response::json(200, &json!({ "features": features()? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Features {
    features: BTreeMap<String, bool>,
}

/// The `features` command: sets those that are named and leaves the others.
pub(crate) fn features_from(input: impl Read) -> Result<(), String> {
    let wanted: Features = serde_json::from_reader(input.take(64 * 1024))
        .map_err(|error| format!("standard input is not the JSON of features: {error}"))?;
    set_features(&wanted)?;
    println!("{} features set", wanted.features.len());
    Ok(())
}

fn set_features(wanted: &Features) -> Result<(), String> {
    let mut sql = String::new();
    for (name, enabled) in &wanted.features {
        sql.push_str(&format!(
            "INSERT INTO features (name, enabled) VALUES ({}, {enabled}) ON CONFLICT (name) \
             DO UPDATE SET enabled = excluded.enabled, changed_at = now();\n",
            literal(name)?
        ));
    }
    db::run(&sql).map(drop)
}

fn features() -> Result<Value, String> {
    let text = db::run("SELECT coalesce(json_object_agg(name, enabled), '{}') FROM features;")?;
    serde_json::from_str(&text).map_err(|error| format!("features: {error}"))
}

fn or_503(outcome: Result<Response, String>) -> Response {
    outcome.unwrap_or_else(|reason| {
        eprintln!("{reason}");
        error(503, "the database does not answer")
    })
}

fn error(status: u16, reason: &str) -> Response {
    Response::json(status, &json!({ "error": reason }))
}
