//! What the agent does on its host.
