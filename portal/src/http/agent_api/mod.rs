//! The agent API over HTTP.

use super::{
    route::AgentRoute,
    server::{Request, Response},
};
use crate::{
    context::Portal,
    error::{AppError, Kind},
};

/// Answers an agent.
///
/// # Errors
/// Always, until the calls are wired to `app`.
pub fn handle(
    _portal: &Portal,
    _route: &AgentRoute,
    _request: &Request,
) -> Result<Response, AppError> {
    Err(AppError::new(
        Kind::Unavailable { retry_after_secs: 60 },
        "agent_api_off",
        "this portal does not serve agents yet",
    ))
}
