//! The small tenant app that Freehold's end-to-end tests and the demo deploy.
//!
//! It stands in for a customer's product: a backend over PostgreSQL with migrations, onboarding
//! and a login, and a frontend. It is honest where the tests look (its health is a real query,
//! its login checks a stored hash, its license is asked for and its lease verified) and plain
//! everywhere else: one thread per connection, `psql` for the database. Do not build a product on it.
//!
//! Environment: `PORT`, `TENANT_SLUG`, `TENANT_NAME`, `TENANT_COLOR`, `APP_VERSION`, the `PG*`
//! variables that `psql` itself reads, `SAMPLE_FAIL`, by which a test makes it misbehave, and for the
//! portal `PORTAL_URL`, `PORTAL_KEY`, `PORTAL_JWKS`, `PORTAL_CA`, `LICENSE_KEY`, `ORGANIZATION_ID` and
//! `LICENSED_PRODUCT`; without the first two it does without a portal.

// A command line program: what it prints is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod backend;
mod config;
mod db;
mod frontend;
mod http;
// The client of docs/licenses.md, which a test of the portal compares with the page.
#[path = "../../../portal/tests/admin_api/lease_client.rs"]
mod lease;
mod license;
mod outbox;
mod password;
mod portal;
mod probe;
mod schema;
mod users;

use std::process::ExitCode;

const USAGE: &str = "usage: freehold-sample-app COMMAND

  backend      serve the API (PORT, 3000 by default)
  frontend     serve the page (PORT, 5173 by default)
  migrate      bring the database's tables to this version
  onboard      create the first admin; JSON {\"email\",\"name\",\"password\"} on standard input
  features     set features; JSON {\"features\":{NAME:true|false}} on standard input
  logout-all   end every session
  probe URL    exit 0 when URL answers 2xx, 1 when not";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = config::Config::from_env().and_then(|config| match words.as_slice() {
        ["backend"] => backend::serve(config),
        ["frontend"] => frontend::serve(config),
        ["migrate"] => schema::migrate(&config),
        ["onboard"] => users::onboard(&config, std::io::stdin().lock()),
        ["features"] => backend::features_from(std::io::stdin().lock()),
        ["logout-all"] => users::logout_all(),
        ["probe", url] => probe::probe(url),
        _ => Err(USAGE.to_owned()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("freehold-sample-app: {reason}");
            if reason == USAGE { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
