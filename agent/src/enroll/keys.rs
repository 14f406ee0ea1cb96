//! The keys of an enrollment. They are drawn into files beside the ones in force, and take their place
//! when the portal has taken them: a refused token leaves the host as it was.
//!
//! A stop at any moment is mended by the same command with the same token, which the portal answers
//! alike for the same keys: each key that was drawn is found again, beside the old one or already in
//! its place. The poller's key is found in the executor's folder alone, whatever lies in the poller's.

use std::path::{Path, PathBuf};

use freehold_protocol::{ids::Sha256Digest, wire::Receipt};

use crate::identity::{self, Account, IdentityError, Paths};

/// Where the keys of the new enrollment are, or will be drawn.
pub(super) fn drawn(paths: &Paths, former: Option<&Receipt>) -> Result<Paths, IdentityError> {
    let signing = |path: &Path| Ok(identity::read_signing_key(path)?.public().fingerprint());
    let seal = |path: &Path| Ok(identity::read_seal_key(path)?.public().fingerprint());
    let Some(former) = former else { return Ok(paths.clone()) };
    match signing(&paths.identity_next) {
        // Left over by the enrollment that is to be replaced: its key is in force, not a new one.
        Ok(found) if found == former.identity_key => identity::remove(&paths.identity_next)?,
        Ok(_) | Err(IdentityError::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(Paths {
        report: place(&paths.report, former.report_key, &signing)?,
        seal: place(&paths.seal, former.seal_key, &seal)?,
        ..paths.clone()
    })
}

/// The key in force is replaced when it is the former enrollment's, or when a new one waits beside
/// it; otherwise it is a new one that has taken its place already.
fn place(
    path: &Path,
    former: Sha256Digest,
    fingerprint: &dyn Fn(&Path) -> Result<Sha256Digest, IdentityError>,
) -> Result<PathBuf, IdentityError> {
    let next = path.with_extension("next");
    if next.exists() {
        return Ok(next);
    }
    match fingerprint(path) {
        Ok(found) if found == former => Ok(next),
        Ok(_) | Err(IdentityError::Missing { .. }) => Ok(path.to_owned()),
        // A key that is damaged or that others can read is a reason to enroll anew.
        Err(IdentityError::Damaged { .. } | IdentityError::Exposed { .. }) => Ok(next),
        Err(error) => Err(error),
    }
}

/// Puts the new keys in the places of the old ones. The poller loses its portal first: it may not
/// speak for the former enrollment with the keys of the new one.
pub(super) fn put_in_force(
    drawn: &Paths,
    paths: &Paths,
    poller: Option<Account>,
) -> Result<(), IdentityError> {
    identity::remove(&paths.portal)?;
    identity::copy_private(&drawn.identity_next, &paths.identity, poller)?;
    for (from, to) in [(&drawn.seal, &paths.seal), (&drawn.report, &paths.report)] {
        if from != to {
            identity::replace(from, to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_again_wherever_a_stop_left_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.key");
        let next = folder.path().join("report.next");
        let signing = |path: &Path| Ok(identity::read_signing_key(path)?.public().fingerprint());
        let former = identity::ensure_signing_key(&path, None).unwrap().public().fingerprint();

        // Nothing is drawn yet; then it waits beside the old one; then it is in its place.
        assert_eq!(place(&path, former, &signing).unwrap(), next);
        let drawn = identity::ensure_signing_key(&next, None).unwrap().public().fingerprint();
        assert_eq!(place(&path, former, &signing).unwrap(), next);
        assert_eq!(signing(&path).unwrap(), former);
        identity::replace(&next, &path).unwrap();
        assert_eq!(place(&path, former, &signing).unwrap(), path);
        assert_eq!(signing(&path).unwrap(), drawn);

        // The next enrollment draws again.
        assert_eq!(place(&path, drawn, &signing).unwrap(), next);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(place(&path, drawn, &signing).unwrap(), path);
    }
}
