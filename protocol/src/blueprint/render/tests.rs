//! Hostile values, and what `docker inspect` shows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::blueprint::check::tests::good;
use crate::ids::{JobId, PortalId, TenantId};

const ID: &str = "01900000-0000-7000-8000-000000000001";

fn allocation(secret: &str) -> Allocation {
    Allocation {
        tenant: "acme".parse().unwrap(),
        domain: "acme.example.com".parse().unwrap(),
        ports: BTreeMap::from([("backend".parse().unwrap(), "3001".parse().unwrap())]),
        secrets: BTreeMap::from([("PGPASSWORD".parse().unwrap(), Secret::new(secret.to_owned()))]),
        settings: BTreeMap::new(),
        delivered: AppEnv::default(),
        marks: Marks {
            portal: ID.parse::<PortalId>().unwrap(),
            tenant: ID.parse::<TenantId>().unwrap(),
            job: ID.parse::<JobId>().unwrap(),
        },
    }
}

fn blueprint() -> Blueprint {
    serde_json::from_value(good()).unwrap()
}

/// Every text in a JSON value.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(map) => map.values().for_each(|value| texts(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Reads a quoted value as Compose's dotenv parser does.
fn unquote(line: &str) -> String {
    let inner = line.split_once("=\"").unwrap().1.strip_suffix('"').unwrap();
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' | '$' => chars.next().unwrap(),
            c => c,
        });
    }
    out
}

#[test]
fn values_survive_the_env_file() {
    for secret in
        ["a b", "$x ${y}", "'", "\"", "\\", "a\\\"b\\", "# no comment", "\\n", "$$", "=", "`id`"]
    {
        let rendered = render(&blueprint(), &allocation(secret)).unwrap();
        let line =
            rendered.env.expose().lines().find(|line| line.starts_with("PGPASSWORD=")).unwrap();
        assert_eq!(unquote(line), secret, "{line}");
        assert!(!rendered.compose_json.contains("no comment"));
        assert!(!format!("{rendered:?}").contains("PGPASSWORD=\""));
    }
    for secret in ["a\nb", "a\rb", "\0", ""] {
        assert!(render(&blueprint(), &allocation(secret)).is_err(), "{secret:?}");
    }
}

#[test]
fn what_the_portal_delivers_stands_in_the_env_file_alone() {
    let mut value = good();
    let environment = &mut value["services"]["web"]["environment"];
    environment["KEY"] = "${FREEHOLD_TENANT_KEY}".into();
    environment["LICENSE"] = "${FREEHOLD_LICENSE_KEY:-}".into();
    environment["KEYS"] = "${FREEHOLD_JWKS:-}".into();
    let blueprint: Blueprint = serde_json::from_value(value).unwrap();
    let mut given = allocation("x");
    assert_eq!(
        render(&blueprint, &given).unwrap_err(),
        RenderError::DeliveredMissing(Delivered::TenantKey)
    );
    let set = |given: &mut Allocation, name, value: &str| {
        given.delivered.set(name, Secret::new(value.to_owned()));
    };
    set(&mut given, Delivered::TenantKey, "fhl_live_ab$cd");
    set(&mut given, Delivered::Jwks, r#"{"keys":[{"kty":"OKP"}]}"#);
    // The blueprint does not use it, so it is not written.
    set(&mut given, Delivered::PortalUrl, "https://portal.example.org");
    let rendered = render(&blueprint, &given).unwrap();
    let line = |name: &str| {
        let start = format!("{name}=");
        rendered.env.expose().lines().find(|line| line.starts_with(&start)).map(unquote)
    };
    assert_eq!(line("FREEHOLD_TENANT_KEY").unwrap(), "fhl_live_ab$cd");
    assert_eq!(line("FREEHOLD_JWKS").unwrap(), r#"{"keys":[{"kty":"OKP"}]}"#);
    assert_eq!(line("FREEHOLD_LICENSE_KEY").unwrap(), "");
    assert_eq!(line("FREEHOLD_PORTAL_URL"), None);
    assert_eq!(line("FREEHOLD_TENANT_ID").unwrap(), ID);
    assert!(!rendered.compose_json.contains("fhl_live"));
    set(&mut given, Delivered::TenantKey, "a\nb");
    assert!(matches!(render(&blueprint, &given), Err(RenderError::Value { .. })));
}

#[test]
fn an_allocation_must_fit() {
    let mut lacking = allocation("x");
    lacking.ports.clear();
    assert!(matches!(render(&blueprint(), &lacking), Err(RenderError::PortMissing(_))));
    let mut lacking = allocation("x");
    lacking.secrets.clear();
    assert!(matches!(render(&blueprint(), &lacking), Err(RenderError::SecretMissing(_))));
    let mut extra = allocation("x");
    extra.settings.insert("OTHER".parse().unwrap(), "1".into());
    assert!(matches!(render(&blueprint(), &extra), Err(RenderError::SettingUnknown(_))));
    let mut wrong = allocation("x");
    wrong.settings.insert("SEATS".parse().unwrap(), "many".into());
    assert!(matches!(render(&blueprint(), &wrong), Err(RenderError::Value { .. })));
}

proptest! {
    #[test]
    fn no_dollar_sign_of_a_value_is_left_alone(text in "[ -~\n]{0,40}") {
        let mut value = good();
        value["services"]["web"]["environment"]["A"] = json!(text.replace('$', "$$"));
        value["services"]["web"]["command"] = json!([text.replace('$', "$$")]);
        let blueprint: Blueprint = serde_json::from_value(value).unwrap();
        let rendered = render(&blueprint, &allocation("x")).unwrap();
        let file: Value = serde_json::from_str(&rendered.compose_json).unwrap();
        let found = file["services"]["web"]["environment"]["A"].as_str().unwrap();
        prop_assert_eq!(found.replace("$$", "$"), text);
        let mut all = Vec::new();
        texts(&file, &mut all);
        for text in all {
            let rest = text.replace("$$", "").replace("${PGPASSWORD}", "").replace("${FREEHOLD_PUBLIC_URL}", "");
            prop_assert!(!rest.contains('$'), "{}", text);
        }
    }
}

#[test]
fn what_runs_is_compared_with_what_was_asked() {
    let expected = expectations(&blueprint(), &allocation("x")).unwrap();
    let db = expected.iter().find(|expected| expected.service.as_str() == "db").unwrap();
    let labels: Value = json!(db.labels);
    let inspect = json!({
        "Config": { "Image": "postgres:15", "Labels": labels },
        "HostConfig": {
            "Privileged": false, "ReadonlyRootfs": false, "CapAdd": null, "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"], "Devices": null, "PidMode": "", "IpcMode": "private",
            "UTSMode": "", "UsernsMode": "", "CgroupnsMode": "host", "NetworkMode": "acme_shop_internal",
            "PortBindings": {}, "Memory": 536_870_912, "NanoCpus": 1_000_000_000, "PidsLimit": 512,
        },
        "NetworkSettings": { "Networks": { "acme_shop_internal": {} } },
        "Mounts": [{ "Type": "volume", "Name": "acme_shop_data", "Destination": "/var/lib/postgresql/data" }],
    });
    assert_eq!(db.differences(&inspect), []);
    for (pointer, value, field) in [
        ("/HostConfig/Privileged", json!(true), "HostConfig.Privileged"),
        ("/HostConfig/CapAdd", json!(["CAP_SYS_ADMIN"]), "HostConfig.CapAdd"),
        ("/HostConfig/SecurityOpt", json!(null), "HostConfig.SecurityOpt"),
        ("/HostConfig/PidMode", json!("host"), "HostConfig.PidMode"),
        ("/HostConfig/NetworkMode", json!("host"), "HostConfig.NetworkMode"),
        ("/HostConfig/Memory", json!(0), "HostConfig.Memory"),
        (
            "/HostConfig/PortBindings",
            json!({ "5432/tcp": [{ "HostIp": "", "HostPort": "5432" }] }),
            "HostConfig.PortBindings",
        ),
        ("/NetworkSettings/Networks", json!({ "bridge": {} }), "NetworkSettings.Networks"),
        ("/Mounts", json!([{ "Type": "bind", "Source": "/", "Destination": "/host" }]), "Mounts"),
        (
            "/Mounts",
            json!([
                { "Type": "volume", "Name": "acme_shop_data", "Destination": "/var/lib/postgresql/data" },
                { "Type": "volume", "Name": "0123456789abcdef".repeat(4), "Destination": "/unnamed" },
            ]),
            "Mounts",
        ),
        ("/Config/Image", json!("other:1"), "Config.Image"),
        ("/Config/Labels", json!({}), "Config.Labels"),
    ] {
        let mut changed = inspect.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let differences = db.differences(&changed);
        assert!(
            differences.iter().any(|difference| difference.field == field),
            "{pointer}: {differences:?}"
        );
    }
}
