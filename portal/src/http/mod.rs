//! HTTP side of the portal: the server on threads, and what turns requests into intentions and
//! outcomes into responses.

pub mod account_route;
mod admin;
pub mod admin_route;
pub mod agent_api;
pub mod auth;
pub mod cors;
pub mod handler;
pub mod input;
pub mod licensing_route;
pub mod login_guard;
pub mod openapi;
pub mod outer_route;
pub mod rate;
pub mod request_route;
pub mod respond;
pub mod route;
pub mod scope;
pub mod server;
pub mod spec;
pub mod table;
pub mod tally;
pub mod tenant_api;
pub mod throttle;
