//! Tests of the agent API.
