//! Small plans for unit tests of the journal and the engine.

use freehold_protocol::ids::TenantId;
use freehold_protocol::job::{CheckTenant, DataOnRemove, RemoveTenant, Work};

use super::{Order, Plan};
use crate::saga::step::Step;

fn id<T: std::str::FromStr>(kind: u8, n: u8) -> T
where
    T::Err: std::fmt::Debug,
{
    format!("0190b1c2-0000-7000-8{kind:03x}-0000000000{n:02x}").parse().unwrap()
}

/// The tenant of this number.
pub(crate) fn tenant_id(n: u8) -> TenantId {
    id(1, n)
}

/// An order for a tenant that removes it.
pub(crate) fn order_of(tenant: u8, job: u8) -> Order {
    Order {
        portal: id(2, 1),
        agent: id(3, 1),
        job: id(4, job),
        attempt: 1,
        actor: "ann".to_owned(),
        timeout_secs: 600,
        seal_to: None,
        work: Work::RemoveTenant(RemoveTenant {
            tenant: tenant_id(tenant),
            slug: format!("tenant{tenant}").parse().unwrap(),
            data: DataOnRemove::Delete,
        }),
        app_env: None,
    }
}

/// An order that only looks.
pub(crate) fn check_of(tenant: u8, job: u8) -> Order {
    let order = order_of(tenant, job);
    let slug = order.work.slug().unwrap().clone();
    Order { work: Work::CheckTenant(CheckTenant { tenant: tenant_id(tenant), slug }), ..order }
}

/// A plan of five steps: one that looks, two that change, and two past the point of no return.
pub(crate) fn plan_of(tenant: u8, job: u8) -> Plan {
    let order = order_of(tenant, job);
    Plan {
        mark: order.job,
        order,
        previous: None,
        steps: vec![
            Step::CheckRemoval,
            Step::SiteOff,
            Step::StopStack,
            Step::DeleteCertificate,
            Step::DeleteVolumes,
        ],
    }
}
