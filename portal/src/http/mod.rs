//! HTTP side of the portal: the server on threads, and what turns requests into intentions and
//! outcomes into responses.

pub mod server;
