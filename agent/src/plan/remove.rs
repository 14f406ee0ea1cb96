//! The steps of a removal.

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::job::{CertificateSource, DataOnRemove, RemoveTenant};

use crate::journal::tenants::TenantRecord;
use crate::saga::step::Step;

pub(super) fn steps(
    removal: &RemoveTenant,
    previous: Option<&TenantRecord>,
) -> Result<Vec<Step>, Failure> {
    let Some(previous) = previous else {
        return Err(Failure::new(
            FailureClass::Request,
            format!("there is no tenant {} on this host", removal.slug),
            "check the host of the tenant; `freehold-agent tenants` lists those of this one",
        ));
    };
    let mut steps = vec![Step::CheckRemoval, Step::SiteOff, Step::StopStack, Step::RemoveFiles];
    if removal.data == DataOnRemove::Delete {
        // The data goes last: as long as anything before it fails, it is still there.
        if previous.certificate == CertificateSource::Acme {
            steps.push(Step::DeleteCertificate);
        }
        steps.push(Step::DeleteVolumes);
    }
    Ok(steps)
}
