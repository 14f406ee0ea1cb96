//! What a job brings for an app opens on its host, for its job and attempt, and nowhere else.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use freehold_protocol::{
    app_env::{AppEnv, AppEnvError, EnvContext, MAX_SEALED_ENV_BYTES, SealedEnv},
    blueprint::{Blueprint, delivered::Delivered},
    job::{Job, Work},
    seal::{self, SealContext, SealError, SealKey},
    secret::Secret,
};

const ONE: &str = "01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d01";
const TWO: &str = "01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d02";

fn context() -> EnvContext {
    EnvContext {
        portal: ONE.parse().unwrap(),
        agent: ONE.parse().unwrap(),
        tenant: ONE.parse().unwrap(),
        job: ONE.parse().unwrap(),
        attempt: 1,
    }
}

fn env(values: &[(Delivered, &str)]) -> AppEnv {
    let mut env = AppEnv::default();
    for (name, value) in values {
        env.set(*name, Secret::new((*value).to_owned()));
    }
    env
}

fn sealed(text: &str) -> SealedEnv {
    text.to_owned().try_into().unwrap()
}

#[test]
fn it_opens_with_its_key_and_context_alone() {
    let key = SealKey::from_bytes(&[3; 32]).unwrap();
    let values =
        env(&[(Delivered::TenantKey, "fhl_live_horse"), (Delivered::Jwks, r#"{"a":"\""}"#)]);
    let closed = values.seal(&key.public(), context()).unwrap();
    assert_eq!(closed.open(&key, context()).unwrap(), values);
    let text = String::from(closed.clone());
    assert!(!text.contains("horse") && !format!("{closed:?} {values:?}").contains("horse"));

    let refused = Err(AppEnvError::Seal(SealError::Open));
    let other = SealKey::from_bytes(&[4; 32]).unwrap();
    assert_eq!(closed.open(&other, context()), refused, "another host's key");
    for (what, changed) in [
        ("portal", EnvContext { portal: TWO.parse().unwrap(), ..context() }),
        ("agent", EnvContext { agent: TWO.parse().unwrap(), ..context() }),
        ("tenant", EnvContext { tenant: TWO.parse().unwrap(), ..context() }),
        ("job", EnvContext { job: TWO.parse().unwrap(), ..context() }),
        ("attempt", EnvContext { attempt: 2, ..context() }),
    ] {
        assert_eq!(closed.open(&key, changed), refused, "another {what}");
    }
    let other = if text.as_bytes()[80] == b'A' { "B" } else { "A" };
    for bad in ["", "AA==", "!", &text[..40], &format!("{}{other}{}", &text[..80], &text[81..])] {
        assert_eq!(sealed(bad).open(&key, context()), refused, "{bad}");
    }
    // Sealed for the same parties, but as something else.
    let EnvContext { portal, agent, tenant, job, .. } = context();
    let password = SealContext::TenantPassword { portal, agent, tenant, job };
    let text = seal::seal(&key.public(), &password, &values.to_json()).unwrap();
    assert_eq!(sealed(&text).open(&key, context()), refused, "a password");
}

#[test]
fn what_was_sealed_must_be_variables_that_are_known() {
    let key = SealKey::from_bytes(&[3; 32]).unwrap();
    for json in
        ["", "[]", r#"{"PATH":"/tmp"}"#, r#"{"FREEHOLD_JWKS":1}"#, r#"{"FREEHOLD_JWKS":"x"} "y""#]
    {
        let text = seal::seal(&key.public(), &context().into(), &Secret::new(json.into())).unwrap();
        assert_eq!(sealed(&text).open(&key, context()), Err(AppEnvError::Malformed), "{json}");
    }
    let long = "A".repeat(MAX_SEALED_ENV_BYTES + 1);
    let refused = SealedEnv::try_from(long.clone()).unwrap_err();
    assert_eq!(refused, AppEnvError::TooLong { bytes: MAX_SEALED_ENV_BYTES + 1 });
    assert!(serde_json::from_value::<SealedEnv>(long.into()).is_err());
}

/// The job of the fixture, whose blueprint needs the key and can do without the rest.
fn fixture() -> (Job, Blueprint) {
    let job: Job = serde_json::from_str(include_str!("wire/job-deploy-app-env.json")).unwrap();
    let Work::DeployTenant(deploy) = (*job.work).clone() else { panic!("it deploys") };
    (job, deploy.blueprint)
}

#[test]
fn the_values_must_be_those_that_the_blueprint_uses() {
    let (_, blueprint) = fixture();
    let key = (Delivered::TenantKey, "fhl_live_x");
    assert_eq!(env(&[key]).check(&blueprint), Ok(()));
    assert_eq!(env(&[key, (Delivered::PortalUrl, "https://p")]).check(&blueprint), Ok(()));
    for (values, refused) in [
        (env(&[]), AppEnvError::Missing(Delivered::TenantKey)),
        (env(&[(Delivered::TenantKey, "")]), AppEnvError::Missing(Delivered::TenantKey)),
        (env(&[key, (Delivered::Jwks, "{}")]), AppEnvError::Unused(Delivered::Jwks)),
    ] {
        assert_eq!(values.check(&blueprint), Err(refused));
    }
    let broken = env(&[(Delivered::TenantKey, "a\nFREEHOLD_DOMAIN=\"x\"")]);
    let error = broken.check(&blueprint).unwrap_err();
    assert!(matches!(error, AppEnvError::Value { name: Delivered::TenantKey, .. }), "{error}");
    assert!(!error.to_string().contains("DOMAIN"), "{error}");
}

/// Released envelopes open for ever: this one was sealed when the form was made.
#[test]
fn a_released_envelope_opens() {
    let (job, _) = fixture();
    let key = SealKey::from_bytes(&[7; 32]).unwrap();
    let context = EnvContext {
        portal: job.portal,
        agent: job.agent_id,
        tenant: job.work.tenant().unwrap(),
        job: job.job_id,
        attempt: job.attempt,
    };
    let opened = job.app_env.unwrap().open(&key, context).unwrap();
    let url = (Delivered::PortalUrl, "https://portal.example.com");
    assert_eq!(opened, env(&[(Delivered::TenantKey, "fhl_live_example"), url]));
}
