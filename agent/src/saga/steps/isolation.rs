//! Whether a tenant is apart from the others: who shares its networks, whether its database can be
//! reached from outside, and whether its site answers to other names.
//!
//! Only a packet from another bridge proves that the host's firewall stands between two tenants: the
//! host itself reaches every bridge. So the attempt is made in a container. When another tenant runs
//! here, that is its database's own, which holds a shell and stays as it is: a container of ours in
//! its network would break the very isolation, and let this tenant's image into it. Otherwise it is a
//! container of this tenant's database image on the engine's default bridge, which the engine removes
//! by itself. On a bridge of our own it would stand behind the same rules. So it is, too, where the
//! engine gives another tenant's database no route (from 25.0 on): nothing would leave it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};
use serde_json::Value;

use super::{deploy, journal, misdirected, stack};
use crate::host::compose;
use crate::host::docker::Container;
use crate::host::names::ProjectName;
use crate::journal::tenants::TenantState;
use crate::runner::{Argv, CommandError, Commands, Limits, Output, Program};
use crate::saga::context::Context;

/// The label of the short-lived containers that try to reach a database.
const PROBE_LABEL: &str = "io.freehold.probe=isolation";
/// Longest time of one attempt, its container included.
const ATTEMPT: Duration = Duration::from_secs(60);
/// Most other tenants from whose place, or by whose name, an attempt is made until one works.
pub(super) const MAX_PLACES: usize = 3;
/// The attempt itself, for a shell inside the container.
const KNOCK: &str = include_str!("knock.bash");

/// Checks all three. `own` are the tenant's containers.
pub(super) fn check(
    context: &Context<'_>,
    commands: &Commands<'_>,
    own: &[Container],
) -> Result<(), Failure> {
    let project = stack::project(context)?;
    let (networks, database) = commands.both(
        |commands| networks_are_private(commands, &project, own),
        |commands| database_is_out_of_reach(context, commands, own),
    );
    networks?;
    database?;
    misdirected::check(context)
}

fn leak(what: String) -> Failure {
    Failure::new(
        FailureClass::Host,
        what,
        "look at the networks with `docker network inspect`; disconnect what does not belong, and deploy again",
    )
}

fn networks(container: &Container) -> BTreeMap<String, Value> {
    container
        .inspect
        .pointer("/NetworkSettings/Networks")
        .and_then(Value::as_object)
        .map(|map| map.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
        .unwrap_or_default()
}

/// No container of anybody else is on a network of the tenant, and its internal one is internal.
fn networks_are_private(
    commands: &Commands<'_>,
    project: &ProjectName,
    own: &[Container],
) -> Result<(), Failure> {
    let names: BTreeSet<String> =
        own.iter().flat_map(|container| networks(container).into_keys()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let argv = Argv::new(Program::Docker).words(["network", "inspect"]).passed_on(&names);
    let output = commands.run(&argv, Limits::QUERY).map_err(|error| {
        error.failure(
            FailureClass::Host,
            "the tenant's networks cannot be looked at",
            "see `docker network ls`",
        )
    })?;
    let found = serde_json::from_slice(output.stdout.head.trim().as_bytes()).unwrap_or_default();
    match intruder(&found, &names, own, project) {
        None => Ok(()),
        Some(what) => Err(leak(what)),
    }
}

/// What is wrong with networks as `docker network inspect` shows them.
fn intruder(
    found: &Value,
    names: &BTreeSet<String>,
    own: &[Container],
    project: &ProjectName,
) -> Option<String> {
    for name in names {
        let network = found
            .as_array()
            .and_then(|networks| networks.iter().find(|network| network["Name"] == **name));
        let Some(network) = network else {
            return Some(format!("the network {name} cannot be looked at"));
        };
        if *name == format!("{project}_internal") && network["Internal"] != true {
            return Some(format!("the network {name} is not internal"));
        }
        let members = network["Containers"].as_object();
        for id in members.into_iter().flat_map(serde_json::Map::keys) {
            if !own.iter().any(|container| container.id.as_str() == id) {
                return Some(format!("the container {id} of somebody else is on {name}"));
            }
        }
    }
    None
}

/// From where another tenant is, the database does not answer.
fn database_is_out_of_reach(
    context: &Context<'_>,
    commands: &Commands<'_>,
    own: &[Container],
) -> Result<(), Failure> {
    let blueprint = &deploy(context)?.blueprint;
    let Some(database) = &blueprint.freehold.database else { return Ok(()) };
    let service = database.service.as_str();
    let Some(container) = own.iter().find(|one| one.service == service && !one.one_off) else {
        return Ok(());
    };
    let addresses: Vec<String> = networks(container)
        .values()
        .filter_map(|network| network.get("IPAddress")?.as_str()?.parse::<IpAddr>().ok())
        .map(|address| address.to_string())
        .collect();
    if addresses.is_empty() {
        return Ok(());
    }
    let knock = |commands: &Commands<'_>, argv: Argv| {
        let argv = argv.passed_on(["-c", KNOCK, "knock"]).passed_on(&addresses);
        read_knock(commands.run(&argv, Limits::within(ATTEMPT).kept()))
    };
    let knock_in = |commands: &Commands<'_>, container: &str| {
        let argv = Argv::new(Program::Docker).words(["container", "exec"]);
        knock(commands, argv.passed_on([container]).word("bash"))
    };
    let mut places = other_databases(context)?.into_iter();
    // Silence proves something only where an answer would be heard: the same attempt from the
    // database's own place must get through. An attempt takes its time, so that both are made at once.
    let from_own = |commands: &Commands<'_>| knock_in(commands, container.id.as_str());
    let (first, control) = match places.next() {
        Some(place) => {
            let (first, control) = commands.both(|commands| knock_in(commands, &place), from_own);
            (first?, control?)
        }
        None => (Knock::Impossible, from_own(commands)?),
    };
    let tried = attempt(first)?;
    if !matches!(control, Knock::Reached(_)) {
        // The image has no bash, say: then the networks' membership, checked above, and the
        // comparison of each container's networks are what there is.
        (context.say)("no attempt to reach the database from outside was possible");
        return Ok(());
    }
    if tried {
        return Ok(());
    }
    for place in places {
        if attempt(knock_in(commands, &place)?)? {
            return Ok(());
        }
    }
    let Some(image) = blueprint.services.get(&database.service).map(|service| &service.image)
    else {
        return Ok(());
    };
    let argv = Argv::new(Program::Docker)
        .words(["run", "--rm", "--pull=never", "--network=bridge", "--entrypoint=bash"])
        .words(["--memory=64m", "--pids-limit=32", "--cap-drop=ALL", "--read-only"])
        .flag("--label", PROBE_LABEL)
        .arg(image);
    if !attempt(knock(commands, argv)?)? {
        (context.say)("no attempt to reach the database from outside was possible");
    }
    Ok(())
}

/// The containers of other tenants' databases, the latest tenants first.
fn other_databases(context: &Context<'_>) -> Result<Vec<String>, Failure> {
    let own = deploy(context)?.tenant;
    let tenants = context.journal.tenants().map_err(journal)?;
    let places = tenants
        .iter()
        .rev()
        .filter(|other| other.tenant != own && other.state == TenantState::Deployed);
    Ok(places
        .filter_map(|other| {
            let database = other.blueprint.freehold.database.as_ref()?;
            let project = other.project.parse().ok()?;
            Some(compose::container_name(&project, &database.service))
        })
        .take(MAX_PLACES)
        .collect())
}

/// How an attempt to reach a database ended.
#[derive(Debug, PartialEq, Eq)]
enum Knock {
    /// It got through, at this address.
    Reached(String),
    /// It was made, and nothing answered.
    Silent,
    /// There was no shell to make it with, no such place, or no way out of it.
    Impossible,
}

/// Whether an attempt from outside was made; an error when it got through.
fn attempt(knock: Knock) -> Result<bool, Failure> {
    match knock {
        Knock::Reached(address) => Err(Failure::new(
            FailureClass::Host,
            format!("the database answers to containers outside the tenant, at {address}"),
            "look at the host's firewall for a rule that lets packets pass between the engine's bridges, with `iptables -S DOCKER-USER` and `iptables -S FORWARD` (or `nft list ruleset`); take it away, and deploy again",
        )),
        Knock::Silent => Ok(true),
        Knock::Impossible => Ok(false),
    }
}

/// Reads what [`KNOCK`] said; an error only when it was to stop.
fn read_knock(knocked: Result<Output, CommandError>) -> Result<Knock, Failure> {
    match knocked {
        Ok(output) => {
            let said = &output.stdout.head;
            if let Some(address) = said.lines().find_map(|line| line.strip_prefix("reached ")) {
                return Ok(Knock::Reached(address.to_owned()));
            }
            let tried = said.lines().any(|line| line == "tried");
            Ok(if tried { Knock::Silent } else { Knock::Impossible })
        }
        Err(error @ CommandError::Cancelled { .. }) => {
            Err(error.failure(FailureClass::Host, "the isolation check was stopped", ""))
        }
        Err(error) => {
            tracing::info!(%error, "no attempt from this place was possible");
            Ok(Knock::Impossible)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::runner::Text;

    #[test]
    fn a_stranger_on_a_network_and_an_open_internal_one_are_found() {
        let names = BTreeSet::from(["a_x_front".to_owned(), "a_x_internal".to_owned()]);
        let project = "a_x".parse().unwrap();
        let seen = |found: Value| intruder(&found, &names, &[], &project);
        let network = |name: &str, internal: bool, containers: Value| json!({ "Name": name, "Internal": internal, "Containers": containers });
        let front = network("a_x_front", false, json!({}));
        let inner = network("a_x_internal", true, json!({}));
        assert_eq!(seen(json!([front, inner])), None);
        let open = network("a_x_internal", false, json!({}));
        assert!(seen(json!([front, open])).unwrap().contains("not internal"));
        let shared = network("a_x_front", false, json!({ "6cbbe4eddbeb": {} }));
        assert!(seen(json!([shared, inner])).unwrap().contains("6cbbe4eddbeb"));
        assert!(seen(json!([inner])).unwrap().contains("a_x_front"));
        assert!(seen(Value::Null).is_some());
    }

    #[test]
    fn an_attempt_counts_only_when_it_says_so() {
        let said = |text: &str| {
            let stdout = Text { head: text.to_owned(), ..Text::default() };
            read_knock(Ok(Output { code: Some(0), stdout, ..Output::default() })).unwrap()
        };
        assert_eq!(said("tried\n"), Knock::Silent);
        assert_eq!(said(""), Knock::Impossible);
        // A shell in a place without a route.
        assert_eq!(said("\n"), Knock::Impossible);
        let reached = said("reached 172.18.0.2\ntried\n");
        assert_eq!(reached, Knock::Reached("172.18.0.2".to_owned()));
        let failure = attempt(reached).unwrap_err();
        assert!(failure.what.contains("172.18.0.2"), "{failure:?}");
        assert!(failure.advice.contains("iptables"), "{failure:?}");
        assert!(attempt(Knock::Silent).unwrap() && !attempt(Knock::Impossible).unwrap());
        let missing = CommandError::NonZero {
            command: "docker run".to_owned(),
            output: Box::new(Output { code: Some(127), ..Output::default() }),
        };
        assert_eq!(read_knock(Err(missing)).unwrap(), Knock::Impossible);
        let cancelled = CommandError::Cancelled { command: String::new(), output: Box::default() };
        assert!(read_knock(Err(cancelled)).is_err());
    }
}
