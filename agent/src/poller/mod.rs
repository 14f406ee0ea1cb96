//! placeholder
pub mod address;
pub mod backoff;
pub mod portal;
