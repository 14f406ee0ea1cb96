//! One file per step.
