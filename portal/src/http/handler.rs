//! What the server calls for every request: finds the route, lets in who may, asks the handler, and
//! turns whatever comes of it into a response.

use std::{cell::Cell, sync::Arc, time::Instant};

use freehold_protocol::wire::MAX_AGENT_BODY_BYTES;

use super::{
    account_route::AccountRoute,
    admin::{self, Context, Parts, sessions::Door},
    agent_api, auth, cors,
    login_guard::LoginGuard,
    openapi,
    rate::{Left, Rates, with_left},
    respond::{self, Answer},
    route,
    route::{AdminRoute, AgentRoute, PortalRoute, Route},
    scope::{self, Guard},
    server::{Handler, Head, Request, Response, ServerStats},
    tally::Tally,
    tenant_api,
    throttle::Throttle,
};
use crate::{
    api::{MAX_ADMIN_BODY_BYTES, users::MAX_ACCOUNT_BODY_BYTES},
    app::role::Permission,
    context::Portal,
    error::{AppError, Kind, chain},
    metrics,
};

/// Largest body where none belongs: enough to read a mistaken one and say so.
const MAX_STRAY_BODY_BYTES: u64 = 16 * 1024;

/// The portal as the server sees it.
#[derive(Debug)]
pub struct PortalHandler {
    portal: Arc<Portal>,
    stats: Arc<ServerStats>,
    throttle: Throttle,
    tenant_limits: tenant_api::Limits,
    logins: LoginGuard,
    rates: Rates,
    tally: Tally,
    /// Whether browsers reach the portal over TLS.
    over_tls: bool,
}

impl PortalHandler {
    /// For this portal; `stats` are those of the server that will call it.
    #[must_use]
    pub fn new(portal: Arc<Portal>, stats: Arc<ServerStats>) -> Self {
        let config = &portal.config;
        Self {
            throttle: Throttle::per_minute(config.failures_per_minute),
            tenant_limits: tenant_api::Limits::new(config),
            logins: LoginGuard::default(),
            rates: Rates::new(config),
            tally: Tally::default(),
            over_tls: config.public_url().starts_with("https://"),
            portal,
            stats,
        }
    }

    // Agents' polls wait below this, as `agent_api` says: nothing that does not wait is made a part of it.
    fn answer(
        &self,
        route: Route,
        request: &Request,
        left: &Cell<Option<Left>>,
    ) -> Result<Response, AppError> {
        let now = self.portal.db.now();
        if is_for_strangers(&route) {
            self.rates.stranger(request.peer, now, left)?;
        }
        match route {
            Route::Portal(route) => self.portal(&route, request),
            Route::Agent(route) => {
                agent_api::handle(&self.portal, &route, request).inspect_err(|error| {
                    // Who has proved to be an agent does not count for its address; who has not, does. It is
                    // told all the same why it was refused: its hint is what the host's admin needs.
                    if matches!(error.kind, Kind::Unauthenticated | Kind::Gone) {
                        self.rates.unproven_agent(request.peer, now, left);
                    }
                })
            }
            Route::Tenant(route) => tenant_api::handle(
                &self.portal,
                &self.tenant_limits,
                &self.rates.key,
                &route,
                request,
            ),
            Route::Admin(route) => self
                .door(&route, request)
                .unwrap_or_else(|| self.admin(route, request, left))
                .map(Answer::into_response),
        }
    }

    #[inline(never)]
    fn portal(&self, route: &PortalRoute, request: &Request) -> Result<Response, AppError> {
        match route {
            PortalRoute::Healthz => Ok(Response::text(200, "ok\n")),
            PortalRoute::Readyz => Ok(match metrics::ready(&self.portal) {
                Ok(()) => Response::text(200, "ready\n"),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "not ready");
                    // Anybody may ask, so that the reason stays in the log.
                    Response::text(503, "not ready; the portal's log says why\n")
                        .with_header("retry-after", "10")
                }
            }),
            PortalRoute::Metrics => {
                self.let_in_scraper(request)?;
                let page = metrics::page(&self.portal, &self.stats, &self.tally)?;
                Ok(Response::new(200)
                    .with_header("content-type", metrics::CONTENT_TYPE)
                    .with_body(page.into_bytes()))
            }
            PortalRoute::OpenApi => Ok(openapi::response()),
        }
    }

    /// Figures tell a stranger how large the fleet is: a scraper on this machine needs no token,
    /// any other one needs a token that may read.
    #[inline(never)]
    fn let_in_scraper(&self, request: &Request) -> Result<(), AppError> {
        if request.peer.is_loopback() {
            return Ok(());
        }
        let keys = self.portal.keys.current();
        let db = &self.portal.db;
        let caller = auth::authenticate(&request.head, request.peer, db, &keys, &self.throttle)?;
        caller.require(Permission::Read)?;
        caller.tenant().map_or(Ok(()), |_| Err(scope::beyond_tenant()))
    }

    #[inline(never)]
    fn admin(
        &self,
        route: AdminRoute,
        request: &Request,
        left: &Cell<Option<Left>>,
    ) -> Result<Answer, AppError> {
        let portal = &*self.portal;
        let db = portal.db.for_request(request.id.as_str());
        let keys = portal.keys.current();
        let caller = auth::authenticate(&request.head, request.peer, &db, &keys, &self.throttle)?;
        self.rates.caller(caller.id(), db.now(), left)?;
        caller.require(route.permission())?;
        let url = portal.config.public_url();
        let parts = Parts {
            ingest: &portal.ingest,
            ring: &portal.keys,
            keys,
            url: &url,
            rules: portal.config.job_rules(),
            four_eyes: portal.config.four_eyes,
            hasher: &portal.hasher,
            guard_of_logins: &self.logins,
        };
        let guard = Guard::new(caller.tenant(), scope::reach(&route));
        let context = Context::new(&db, guard, parts, &caller, request)?;
        admin::dispatch(&context, route)
    }

    /// What is asked before it is known who asks; none when the caller must be known.
    #[inline(never)]
    fn door(&self, route: &AdminRoute, request: &Request) -> Option<Result<Answer, AppError>> {
        let keys = self.portal.keys.current();
        let door = Door {
            db: &self.portal.db.for_request(request.id.as_str()),
            keys: &keys,
            hasher: &self.portal.hasher,
            guard: &self.logins,
            throttle: &self.throttle,
            request,
        };
        match route {
            AdminRoute::Version => Some(admin::version()),
            AdminRoute::Account(AccountRoute::Login) => Some(door.login()),
            AdminRoute::Account(AccountRoute::Refresh) => Some(door.refresh()),
            AdminRoute::Account(AccountRoute::Logout) => Some(door.logout()),
            _ => None,
        }
    }
}

/// Whether anybody may ask, so that each request counts for its address. How the process is, and the keys of
/// leases, are asked by machines that many share an address with, and cost next to nothing.
fn is_for_strangers(route: &Route) -> bool {
    match route {
        Route::Portal(route) => matches!(route, PortalRoute::Readyz | PortalRoute::OpenApi),
        Route::Agent(route) => matches!(route, AgentRoute::Trust),
        Route::Admin(route) => route.permission() == Permission::Public,
        Route::Tenant(_) => false,
    }
}

impl Handler for PortalHandler {
    fn body_limit(&self, head: &Head) -> u64 {
        match route::parse(head.method(), head.path()) {
            Ok(Route::Agent(_)) => MAX_AGENT_BODY_BYTES,
            Ok(Route::Admin(AdminRoute::Account(_))) => MAX_ACCOUNT_BODY_BYTES,
            Ok(Route::Admin(_)) => MAX_ADMIN_BODY_BYTES,
            Ok(Route::Tenant(route)) => route.body_limit(),
            Ok(Route::Portal(_)) | Err(_) => MAX_STRAY_BODY_BYTES,
        }
    }

    fn handle(&self, request: &Request) -> Response {
        let started = Instant::now();
        let (method, path) = (request.head.method(), request.head.path());
        let origins = &self.portal.config.cors_origins;
        let left = Cell::new(None);
        let template = Cell::new(None);
        let response = cors::preflight(&request.head, origins).unwrap_or_else(|| {
            let answered = match route::parse(method, path) {
                Ok(route) => {
                    template.set(Some(route.template()));
                    self.answer(route, request, &left)
                }
                Err(error) => self
                    .rates
                    .stranger(request.peer, self.portal.db.now(), &left)
                    .map(|()| respond::no_route(&error, method, path, &request.id)),
            };
            let response = answered.unwrap_or_else(|error| respond::problem(&error, &request.id));
            match left.get() {
                Some(left) => with_left(response, left),
                None => response,
            }
        });
        let took = started.elapsed();
        self.tally.note(method, template.get(), response.status(), took);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(request = %request.id, %method, path, status = response.status(), millis, "answered");
        response
    }

    fn finish(&self, response: Response, head: Option<&Head>) -> Response {
        let origins = &self.portal.config.cors_origins;
        respond::secured(cors::with_origin(response, head, origins), self.over_tls)
    }
}

#[cfg(test)]
mod tests {
    use freehold_protocol::time::Timestamp;

    use super::*;
    use crate::{clock::ManualClock, config::Config, db, http::server::Method};

    fn handler(dir: &std::path::Path) -> PortalHandler {
        let config = Config { data_dir: dir.join("data"), ..Config::default() };
        let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
        let (portal, _) = Portal::open(config, Arc::new(clock)).unwrap();
        PortalHandler::new(Arc::new(portal), Arc::new(ServerStats::default()))
    }

    fn get(handler: &PortalHandler, path: &str, peer: [u8; 4]) -> (u16, String) {
        let head = Head::new(Method::Get, path, &[]).unwrap();
        let mut request = Request::detached(head, Vec::new());
        request.peer = peer.into();
        let response = handler.handle(&request);
        let body = String::from_utf8(response.body_bytes().unwrap().to_vec()).unwrap();
        (response.status(), body)
    }

    #[test]
    fn a_portal_that_cannot_write_is_alive_and_not_ready() {
        let dir = tempfile::tempdir().unwrap();
        let handler = handler(dir.path());
        let stranger = [203, 0, 113, 9];
        assert_eq!(get(&handler, "/readyz", stranger), (200, "ready\n".into()));
        let failed = handler.portal.db.write(|_| Err::<(), _>(db::storage_failed()));
        assert!(failed.is_err() && handler.portal.db.fatal().is_some());
        let (status, body) = get(&handler, "/readyz", stranger);
        assert_eq!(status, 503);
        // Nothing of the reason is for strangers.
        assert!(body.starts_with("not ready") && !body.contains("disk"), "{body}");
        assert_eq!(get(&handler, "/healthz", stranger).0, 200);
        assert!(
            get(&handler, "/metrics", [127, 0, 0, 1]).1.contains("freehold_database_writable 0")
        );
    }

    #[test]
    fn figures_are_for_this_machine_and_for_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let handler = handler(dir.path());
        assert_eq!(get(&handler, "/metrics", [127, 0, 0, 1]).0, 200);
        let (status, body) = get(&handler, "/metrics", [203, 0, 113, 9]);
        assert_eq!(status, 401);
        assert!(!body.contains("freehold_jobs") && !body.contains("freehold_hosts"), "{body}");
    }
}
