//! HTTP side of the portal: the server on threads, and what turns requests into intentions and
//! outcomes into responses.

mod admin;
pub mod agent_api;
pub mod auth;
pub mod handler;
pub mod input;
pub mod licensing_route;
pub mod respond;
pub mod route;
pub mod server;
pub mod tenant_api;
pub mod throttle;
