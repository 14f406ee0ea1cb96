//! `GET /api/v1/openapi.json`: the API as an OpenAPI 3.1 document, made of the tables of routes. What is not
//! in a table is neither served nor described.

pub mod codes;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::LazyLock};

use freehold_protocol::problem::Problem;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    respond::JSON,
    route,
    server::{Method, Response},
    spec::{Asked, Given, IfMatch},
    table::{Access, Operation, Proof, shape},
};
use crate::{
    api::schema::{IdempotencyKey, IfMatchText},
    app::role::Permission,
};

/// How long others may keep the document, in seconds.
const CACHE_SECS: u32 = 300;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // Texts, numbers and lists only: there is nothing that could fail to serialize.
    serde_json::to_vec(&document()).unwrap_or_default()
});

/// The answer, made of bytes that are rendered once.
#[must_use]
pub fn response() -> Response {
    Response::new(200)
        .with_header("content-type", JSON)
        .with_header("cache-control", format!("public, max-age={CACHE_SECS}"))
        .with_body(BYTES.as_slice())
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    let mut add = |path: &str, method: Method, operation: Value| {
        let item = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        item[method.as_str().to_ascii_lowercase()] = operation;
    };
    for operation in route::operations() {
        let described = describe(&operation, &mut generator);
        for (alias, _) in route::ALIASES.iter().filter(|(_, meant)| *meant == operation.path) {
            let mut described = described.clone();
            described["operationId"] = json!(format!("{}WhereAppsCallIt", operation.id()));
            add(alias, operation.method, described);
        }
        add(operation.path, operation.method, described);
    }
    let refusals: Map<String, Value> = codes::CODES
        .iter()
        .map(|(status, title, codes)| {
            (name_of(*status), refusal(*status, title, codes, &mut generator))
        })
        .collect();
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Freehold",
            "summary": "Runs a SaaS product as many separate tenants on servers behind NAT.",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The portal that this document comes from." }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": refusals,
            "securitySchemes": security_schemes(),
        },
    })
}

const ABOUT: &str = "\
Names are in camelCase, times are milliseconds since 1970, identifiers are UUIDs in lower case.\n\n\
**Errors** are problem documents (RFC 9457). `code` is one of the list of its status, and `type` is \
`urn:freehold:problem:` and the code; codes are only ever added. The HTTP layer itself can refuse any request with 400 (not HTTP), 408 (too slow), 413, 414, 417, \
431, 501, 503 and 505, and with 405 and `Allow` for a method that an address does not have.\n\n\
**Unknown fields and parameters are errors** in what admins send. Answers may get further fields.\n\n\
**HEAD** is answered wherever GET is.\n\n\
**Agents** sign each request with their identity key (RFC 9421, Ed25519, over method, authority, path, query and \
`content-digest`; docs/agent-protocol.md), and what they believe of an answer is inside signed envelopes.";

const TAGS: &[(&str, &str)] = &[
    ("agents", "What agents call."),
    ("apps", "What tenants' apps call."),
    ("portal", "The process, its figures, and this document."),
    ("users", "Users and sessions."),
    ("business", "Plans, customers, licenses, API keys of tenants."),
    ("fleet", "Hosts, blueprints, tenants, jobs, and the portal's keys, tokens and audit log."),
];

fn tags() -> Vec<Value> {
    TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect()
}

fn tag(operation: &Operation) -> &'static str {
    match operation.access {
        Access::Other(Proof::Signature | Proof::Body) => return "agents",
        Access::Other(Proof::ApiKey) => return "apps",
        _ => {}
    }
    let below = operation.path.strip_prefix("/api/v1/").unwrap_or(operation.path);
    match below.split('/').next().unwrap_or_default() {
        "trust" => "agents",
        "" => match below {
            "/.well-known/jwks.json" => "apps",
            _ => "portal",
        },
        "openapi.json" | "version" => "portal",
        "auth" | "me" | "users" => "users",
        "plans" | "customers" | "licenses" => "business",
        _ if below.contains("/keys") => "business",
        _ => "fleet",
    }
}

fn security_schemes() -> Value {
    json!({
        "token": {
            "type": "http", "scheme": "bearer",
            "description": "An API token (`fhk_…`), or the access token of a session (`fha_…`) from `POST /api/v1/auth/login`.",
        },
        "apiKey": {
            "type": "apiKey", "in": "header", "name": "X-API-Key",
            "description": "The API key of a tenant (`fhl_live_…`).",
        },
        "apiKeyAsBearer": {
            "type": "http", "scheme": "bearer",
            "description": "The API key of a tenant (`fhl_live_…`), where a client can send nothing else.",
        },
        "signature": {
            "type": "apiKey", "in": "header", "name": "Signature",
            "description": "HTTP message signature of the agent's identity key (RFC 9421), with `Signature-Input` and `Content-Digest`: docs/agent-protocol.md.",
        },
    })
}

fn security(access: Access) -> Value {
    match access {
        Access::Admin(Permission::Public) | Access::Other(Proof::Nothing | Proof::Body) => {
            json!([])
        }
        Access::Admin(_) => json!([{ "token": [] }]),
        Access::Other(Proof::Machine) => json!([{}, { "token": [] }]),
        Access::Other(Proof::Signature) => json!([{ "signature": [] }]),
        Access::Other(Proof::ApiKey) => json!([{ "apiKey": [] }, { "apiKeyAsBearer": [] }]),
    }
}

fn who(access: Access) -> &'static str {
    match access {
        Access::Admin(permission) => permission.who(),
        Access::Other(Proof::Nothing) => "anybody",
        Access::Other(Proof::Body) => "whoever has the token that the body proves",
        Access::Other(Proof::Signature) => "agents",
        Access::Other(Proof::ApiKey) => "apps of tenants",
        Access::Other(Proof::Machine) => {
            "whoever is on the portal's machine, and tokens that may read"
        }
    }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    shape::<T>(generator).to_value()
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let spec = &operation.spec;
    let mut described = json!({
        "operationId": operation.id(),
        "summary": operation.summary,
        "description": format!("For: {}. {}", who(operation.access), spec.more).trim_end(),
        "tags": [tag(operation)],
        "security": security(operation.access),
        "parameters": parameters(operation, generator),
        "responses": responses(operation, generator),
    });
    if let Some(body) = request_body(&spec.asked, generator) {
        described["requestBody"] = body;
    }
    described
}

fn parameters(operation: &Operation, generator: &mut SchemaGenerator) -> Vec<Value> {
    let spec = &operation.spec;
    let mut all = Vec::new();
    for part in operation.parts {
        let schema = (part.shape)(generator).to_value();
        all.push(json!({ "name": part.name, "in": "path", "required": true, "schema": schema }));
    }
    for param in spec.params() {
        let schema = (param.shape)(generator).to_value();
        all.push(json!({
            "name": param.name, "in": "query", "description": param.about, "schema": schema,
        }));
    }
    if spec.if_match != IfMatch::No {
        all.push(json!({
            "name": "If-Match", "in": "header", "required": spec.if_match == IfMatch::Must,
            "description": "The ETag that was read, or `*` to change whatever is there.",
            "schema": schema::<IfMatchText>(generator),
        }));
    }
    if spec.idempotent {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "A fresh UUID per intention. The same key within a day gets the same answer and does nothing.",
            "schema": schema::<IdempotencyKey>(generator),
        }));
    }
    all
}

fn request_body(asked: &Asked, generator: &mut SchemaGenerator) -> Option<Value> {
    let json = |shape: &super::spec::Shape, required: bool, generator: &mut SchemaGenerator| {
        let schema = shape(generator).to_value();
        json!({ "required": required, "content": { JSON: { "schema": schema } } })
    };
    match asked {
        Asked::Nothing => None,
        Asked::Json(shape) => Some(json(shape, true, generator)),
        Asked::Optional(shape) => Some(json(shape, false, generator)),
        Asked::Batch(shape) => {
            let mut body = json(shape, true, generator);
            body["description"] = json!(
                "Plain, or packed with `Content-Encoding: gzip`. As `application/x-ndjson` it is an item a line."
            );
            Some(body)
        }
    }
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let spec = &operation.spec;
    let mut all: Map<String, Value> = Map::new();
    let success = success(operation, generator);
    for status in spec.other_status.iter().chain([&spec.status]) {
        all.insert(status.to_string(), success.clone());
    }
    for status in refusals(operation) {
        let described = if is_text(operation) && status == 503 {
            json!({
                "description": "Not now; the portal's log says why.",
                "headers": { "Retry-After": { "schema": { "type": "integer" } } },
                "content": { "text/plain": { "schema": { "type": "string" } } },
            })
        } else {
            json!({ "$ref": format!("#/components/responses/{}", name_of(status)) })
        };
        all.insert(status.to_string(), described);
    }
    Value::Object(all)
}

/// Whether even refusals are text: what is asked by load balancers and people with curl.
fn is_text(operation: &Operation) -> bool {
    matches!(
        (operation.access, operation.spec.given),
        (Access::Other(Proof::Nothing), Given::Text(_))
    )
}

fn success(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let spec = &operation.spec;
    let content = match spec.given {
        Given::Nothing => None,
        Given::Json(shape) => Some(json!({ JSON: { "schema": shape(generator).to_value() } })),
        Given::JsonOrCsv(shape) => Some(json!({
            JSON: { "schema": shape(generator).to_value() },
            "text/csv": { "schema": { "type": "string" } },
        })),
        Given::Text(media) => {
            let media = media.split(';').next().unwrap_or(media);
            Some(json!({ media: { "schema": { "type": "string" } } }))
        }
    };
    let mut success =
        json!({ "description": if content.is_some() { operation.summary } else { "Done." } });
    if let Some(content) = content {
        success["content"] = content;
    }
    let header = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    let mut headers = Map::new();
    if spec.etag {
        headers.insert("ETag".into(), header("The version, for If-Match."));
    }
    if spec.location {
        headers.insert("Location".into(), header("Where it is."));
    }
    if !headers.is_empty() {
        success["headers"] = Value::Object(headers);
    }
    success
}

/// The statuses with which an operation can be refused.
fn refusals(operation: &Operation) -> BTreeSet<u16> {
    let spec = &operation.spec;
    let mut all: BTreeSet<u16> = spec.refusals.iter().copied().collect();
    if is_text(operation) {
        return all;
    }
    all.extend([429, 500, 503]);
    match operation.access {
        Access::Admin(Permission::Public) | Access::Other(Proof::Nothing) => {}
        Access::Admin(_) | Access::Other(Proof::Machine | Proof::ApiKey) => {
            all.extend([400, 401, 403])
        }
        Access::Other(Proof::Signature | Proof::Body) => all.extend([400, 401]),
    }
    if !operation.parts.is_empty() {
        all.insert(404);
    }
    if matches!(operation.method, Method::Post | Method::Patch) {
        all.extend([400, 413, 415, 422]);
    }
    if !spec.params().is_empty() {
        all.insert(400);
    }
    match spec.if_match {
        IfMatch::No => {}
        IfMatch::May => all.extend([400, 412]),
        IfMatch::Must => all.extend([400, 412, 428]),
    }
    if spec.idempotent {
        all.extend([409, 422]);
    }
    all
}

fn name_of(status: u16) -> String {
    format!("Refused{status}")
}

fn refusal(status: u16, title: &str, codes: &[&str], generator: &mut SchemaGenerator) -> Value {
    let types: Vec<String> = codes.iter().map(|code| Problem::type_of(code)).collect();
    let mut refusal = json!({
        "description": title,
        "content": {
            Problem::MEDIA_TYPE: {
                "schema": {
                    "allOf": [schema::<Problem>(generator)],
                    "properties": {
                        "status": { "const": status },
                        "code": { "enum": codes },
                        "type": { "enum": types },
                    },
                },
            },
        },
    });
    let header =
        |required: bool, kind: &str| json!({ "required": required, "schema": { "type": kind } });
    let headers = match status {
        401 => json!({ "WWW-Authenticate": header(true, "string") }),
        405 => json!({ "Allow": header(true, "string") }),
        // Failed tries are limited without a figure of what is left.
        429 => json!({
            "Retry-After": header(true, "integer"),
            "RateLimit-Policy": header(false, "string"),
            "RateLimit": header(false, "string"),
        }),
        503 => json!({ "Retry-After": header(true, "integer") }),
        _ => return refusal,
    };
    refusal["headers"] = headers;
    refusal
}
