//! Blueprints: the Compose stacks that Freehold deploys for tenants.
//!
//! An author writes a Compose file with an `x-freehold` section. The portal reads its YAML into a
//! [`Blueprint`]; jobs carry that; the agent checks it again and writes the host's files from it.
//! YAML itself never travels, so no two parsers can disagree about it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`names`] | names inside a blueprint |
//! | [`template`] | values with variables in them |
//! | [`model`] | the types |
//! | [`delivered`] | variables whose values the portal delivers |
//! | [`limits`] | every maximum and default |
//! | [`check`] | rules that span fields |
//! | [`values`] | what settings accept, how secrets are drawn |
//! | [`render`] | blueprint and allocation → `compose.yaml` and `.env` |

pub mod check;
pub mod delivered;
pub mod limits;
pub mod model;
pub mod names;
pub mod render;
pub mod template;
pub mod values;

pub use check::Problem;
pub use model::Blueprint;
pub use render::{Allocation, Marks, RenderError, Rendered, expectations, project_name, render};
