//! The admin API over a real server and a real database in a temporary folder.

mod harness;

mod access;
mod blueprints;
mod hosts;
mod input;
mod jobs;
mod tenants;
