//! What a job brings for the tenant's app.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use freehold_agent::clock::SystemClock;
use freehold_agent::plan::Order;
use freehold_agent::runner::CancelToken;
use freehold_agent::saga::engine::{Engine, Patience};
use freehold_protocol::app_env::{AppEnv, EnvContext, SealedEnv, key_mark};
use freehold_protocol::blueprint::delivered::Delivered;
use freehold_protocol::report::{JobResult, Outcome};
use freehold_protocol::seal::SealKey;
use freehold_protocol::secret::Secret;

use super::fakes::faulty::Faulty;
use super::{World, check, deploy, env, files, id, key_of};

/// What a job brings for the app is in its folder, and nowhere else on the host; what was sealed for
/// anything else is refused before the host is touched.
pub(super) fn delivered() {
    let world = World::new(10);
    let order = world.order(deploy("shop/web:1"));
    let rest = world.run(&order, None, None);
    assert_eq!(rest.outcome, Outcome::Succeeded, "{:?}", rest.failure);
    let Some(JobResult::Deployed(deployed)) = &rest.result else { panic!("{rest:?}") };
    assert_eq!(deployed.app_key, Some(key_mark(order.job, &Secret::new(key_of(&order)))));
    let line = format!("FREEHOLD_TENANT_KEY=\"{}\"\nFREEHOLD_PORTAL_URL=\"\"\n", key_of(&order));
    assert!(world.tenant_file(".env").ends_with(&line));
    let folder = world.root.path().join("state/tenants/acme");
    for name in [".env", "delivered.json"] {
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    // The journal and everything that a report is made of.
    let mut everything = BTreeMap::new();
    let base = world.root.path();
    files(base, base, &mut everything);
    everything.insert("rest".into(), format!("{rest:?}"));
    let plan = freehold_agent::plan::plan(&order, &[]).unwrap();
    everything.insert("plan".into(), format!("{:?} {:?}", plan.describe(), plan));
    let holders: Vec<_> =
        everything.iter().filter(|(_, text)| text.contains(&key_of(&order))).collect();
    let names: Vec<_> = holders.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["state/tenants/acme/.env", "state/tenants/acme/delivered.json"]);
    assert!(everything["plan"].contains("FREEHOLD_TENANT_KEY=***"));

    let before = world.snapshot();
    let engine = Engine::new(
        world.journal.clone(),
        world.host.clone(),
        Arc::new(Faulty::new(None, None, &CancelToken::new())),
        Arc::new(SystemClock),
        Patience::default(),
    );
    let refused = |what: &str, reason: &str, order: &Order| {
        let error = engine.begin(order).unwrap_err().to_string();
        assert!(error.contains(reason), "{what}: {error}");
        assert!(!error.contains("fhl_live"), "{what}: {error}");
        assert!(world.journal.find_saga(order.job, order.attempt).unwrap().is_none(), "{what}");
        assert_eq!(world.snapshot(), before, "{what}");
    };
    let key = env(&[(Delivered::TenantKey, "fhl_live_x")]);
    let sealed = |order: &Order, env: &AppEnv, to: &SealKey, change: fn(&mut EnvContext)| {
        let mut context = order.env_context().unwrap();
        change(&mut context);
        Order { app_env: Some(env.seal(&to.public(), context).unwrap()), ..order.clone() }
    };
    let order = world.order(deploy("shop/web:2"));
    let own = &world.host_seal;
    let opens = "do not open with this key";
    refused("another host", opens, &sealed(&order, &key, &world.seal, |_| {}));
    refused(
        "another agent",
        opens,
        &sealed(&order, &key, own, |c| c.agent = id(2, 9).parse().unwrap()),
    );
    refused(
        "another portal",
        opens,
        &sealed(&order, &key, own, |c| c.portal = id(1, 9).parse().unwrap()),
    );
    refused(
        "another tenant",
        opens,
        &sealed(&order, &key, own, |c| c.tenant = id(4, 9).parse().unwrap()),
    );
    refused(
        "another job",
        opens,
        &sealed(&order, &key, own, |c| c.job = id(3, 999).parse().unwrap()),
    );
    refused("another attempt", opens, &sealed(&order, &key, own, |c| c.attempt += 1));
    let garbage = SealedEnv::try_from("AQ==".to_owned()).unwrap();
    refused("garbage", opens, &Order { app_env: Some(garbage), ..order.clone() });
    refused(
        "nothing",
        "brings no value of FREEHOLD_TENANT_KEY",
        &Order { app_env: None, ..order.clone() },
    );
    refused("too little", "has no value", &sealed(&order, &env(&[]), own, |_| {}));
    let more = env(&[(Delivered::TenantKey, "fhl_live_x"), (Delivered::LicenseKey, "fhl_live_y")]);
    refused("too much", "does not use FREEHOLD_LICENSE_KEY", &sealed(&order, &more, own, |_| {}));
    let lines = env(&[(Delivered::TenantKey, "fhl_live_x\nPGPASSWORD=\"\"")]);
    refused("two lines", "line break", &sealed(&order, &lines, own, |_| {}));
    let check = world.order(check());
    refused(
        "a look",
        "brings values for an app",
        &Order { app_env: order.app_env.clone(), ..check },
    );
    std::fs::set_permissions(base.join("seal.key"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    refused("a key that others can read", "others can read this private key", &order);
}
