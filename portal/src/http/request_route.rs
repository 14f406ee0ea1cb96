//! Routes of provision requests.

use freehold_protocol::ids::{HostName, ProvisionRequestId};

use super::{
    spec::{Param, Spec},
    table::routes,
};
use crate::{
    api::{
        requests::{ApproveRequest, CreateRequest, RejectRequest, RequestView},
        schema::RequestStatusWord,
    },
    app::role::Permission,
    domain::ids::CustomerId,
};

const OF_REQUESTS: &[Param] = &[
    Param::new::<RequestStatusWord>("status", "Only those with this status."),
    Param::new::<CustomerId>("customer", "Only those of this customer."),
    Param::new::<HostName>("host", "Only those for this host."),
];

routes! {
    /// Tenants that somebody asks for and somebody else approves. What was approved may be tried again by
    /// whoever may try a job again.
    pub enum RequestRoute: Permission under "/api/v1" {
        Get ["requests"] => ListRequests, Read, "Provision requests, newest first",
            Spec::lists::<RequestView>().query(OF_REQUESTS);
        Post ["requests"] => CreateRequest, Operate, "Asks for a tenant",
            Spec::makes::<RequestView>().asks::<CreateRequest>().etag().location();
        Get ["requests", id] => GetRequest(id: ProvisionRequestId), Read,
            "A request, with its host's capacity while it is pending", Spec::gives::<RequestView>().etag();
        Post ["requests", id, "approve"] => ApproveRequest(id: ProvisionRequestId), Approve,
            "Approves what somebody else has asked for, and queues its deployment",
            Spec::queues::<RequestView>().may_ask::<ApproveRequest>().must_match().etag();
        Post ["requests", id, "reject"] => RejectRequest(id: ProvisionRequestId), Approve, "Turns a request down",
            Spec::changes::<RequestView>().asks::<RejectRequest>();
        Post ["requests", id, "withdraw"] => WithdrawRequest(id: ProvisionRequestId), Operate,
            "Takes a request back that nobody has decided on",
            Spec::gives::<RequestView>().may_match().etag().refuses(&[409]);
        Post ["requests", id, "retry"] => RetryRequest(id: ProvisionRequestId), Operate,
            "Queues what was approved again, after its job has failed",
            Spec::queues::<RequestView>().etag();
    }
}
