//! A folder for one test.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where it is made unless `TMPDIR` names another place: on a disk. `/tmp` is in memory on many systems
/// (Debian 13), where a durable write costs nothing, and measures nothing.
const PLACE: &str = "/var/tmp";

/// A temporary folder, removed when dropped unless `FREEHOLD_KEEP` is set.
///
/// Others may pass through it (nginx's workers read the challenge folder as another user), which
/// is how the folders of a real host are.
#[derive(Debug)]
pub struct Scratch {
    // Nothing when the folder is to be kept.
    _guard: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl Scratch {
    /// Makes one whose name begins with `name`.
    pub fn new(name: &str) -> Self {
        let place = std::env::var_os("TMPDIR").unwrap_or_else(|| PLACE.into());
        let guard = tempfile::Builder::new()
            .prefix(&format!("freehold-{name}-"))
            .tempdir_in(place)
            .expect("a temporary folder can be made");
        std::fs::set_permissions(guard.path(), std::fs::Permissions::from_mode(0o711))
            .expect("its mode can be set");
        if std::env::var_os("FREEHOLD_KEEP").is_some() {
            let path = guard.keep();
            eprintln!("kept: {}", path.display());
            return Self { _guard: None, path };
        }
        let path = guard.path().to_owned();
        Self { _guard: Some(guard), path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it, made with all its parents; mode 0755.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path.join(name);
        std::fs::create_dir_all(&folder).expect("a folder in the scratch folder can be made");
        folder
    }
}
