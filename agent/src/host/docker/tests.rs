//! The engine's answers, read from real ones, and the commands in their order.

use super::*;
use crate::runner::{Activity, CancelToken, Reply, Script, Stream, Watch};
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::ImageRef;

const VERSION: &str = r#"{"Client":{"Version":"28.2.2","ApiVersion":"1.41"},"Server":{"Platform":{"Name":""},"Version":"20.10.24+dfsg1","ApiVersion":"1.41"}}"#;

/// What an engine of version 20.10 printed for a running container, shortened to what matters.
const INSPECT: &str = include_str!("tests/inspect.json");

pub(super) fn with<T>(script: &Script, work: impl FnOnce(&Commands<'_>) -> T) -> T {
    let (cancel, activity) = (CancelToken::new(), Activity::new());
    let on_line = |_: Stream, _: &str| {};
    let watch = Watch { cancel: &cancel, activity: &activity, on_line: &on_line, secrets: &[] };
    work(&Commands::new(script, watch))
}

#[test]
fn real_containers_are_read() {
    let containers = parse_containers(INSPECT).unwrap();
    let backend = &containers[0];
    assert!(INSPECT.contains("canary") && !format!("{backend:?}").contains("canary"));
    assert_eq!(backend.name, "acme_recruitiq-backend-1");
    assert_eq!((backend.service.as_str(), backend.one_off), ("backend", false));
    assert_eq!((backend.state.as_str(), backend.health.as_str()), ("running", "healthy"));
    assert!(backend.is_well() && !backend.privileged && backend.complaint().is_none());
    // Both what was asked for and what is bound, once each.
    assert_eq!(backend.ports.len(), 1);
    assert_eq!(backend.ports[0].host_port, 3001);
    let migrate = &containers[1];
    assert!(migrate.one_off && !migrate.is_well());
    assert_eq!(migrate.health, "none");
    assert_eq!(migrate.complaint().unwrap(), "backend exited with status 1");
    let killed = &containers[2];
    assert!(killed.complaint().unwrap().contains("memory"), "{:?}", killed.complaint());
    for bad in ["", "{}", "[{}]", "[{\"Id\":\"--privileged\",\"State\":{\"Status\":\"x\"}}]"] {
        assert!(matches!(parse_containers(bad), Err(DockerError::Answer { .. })), "{bad}");
    }
}

#[test]
fn an_engine_that_is_down_is_the_hosts_matter() {
    let down = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.";
    let script = Script::new().fails("docker version '--format={{json .}}'", 1, down);
    let failure = Failure::from(with(&script, versions).unwrap_err());
    assert_eq!(failure.class, FailureClass::Host);
    assert!(failure.advice.contains("systemctl start docker") && failure.detail.contains(down));
    assert_eq!(parse_versions(VERSION).unwrap().engine, "20.10.24+dfsg1");
    assert!(parse_versions(r#"{"Client":{"Version":"28.2.2"},"Server":null}"#).is_err());
    assert!(parse_info(r#"{"ServerErrors":["no"],"ServerVersion":""}"#).is_err());
}

#[test]
fn an_image_is_pulled_only_when_it_is_not_there() {
    let image: ImageRef = "shop/backend:1".parse().unwrap();
    let look = "docker image inspect --format={{.Id}} shop/backend:1";
    let ensure =
        |script: &Script| with(script, |c| ensure_image(c, &image, Duration::from_secs(9)));
    assert_eq!(ensure(&Script::new().prints(look, "sha256:x\n")).unwrap(), ImageOutcome::WasThere);
    let absent =
        || Script::new().fails(look, 1, "No such image").prints("docker version *", VERSION);
    let pull = "docker image pull shop/backend:1";
    assert_eq!(ensure(&absent().prints(pull, "")).unwrap(), ImageOutcome::Pulled);
    let error = ensure(&absent().fails(pull, 1, "manifest unknown")).unwrap_err();
    assert_eq!(Failure::from(&error).class, FailureClass::Upstream);
    // "No such image" and "no engine" have one exit status: the engine is asked.
    let script = Script::new().fails(look, 1, "x").fails("docker version *", 1, "x");
    assert!(matches!(ensure(&script), Err(DockerError::Unreachable { .. })));
}

#[test]
fn images_come_with_the_volumes_that_they_declare() {
    let (web, db): (ImageRef, ImageRef) = ("web:1".parse().unwrap(), "redis:7".parse().unwrap());
    let look = "docker image inspect '--format={{.Id}} {{json .Config}}' web:1 redis:7";
    let ask = |script: &Script| with(script, |c| images(c, &[&web, &db]));
    let script = Script::new()
        .prints(look, "sha256:a {\"Volumes\":null}\nsha256:b {\"Volumes\":{\"/data\":{}}}\n");
    let found = ask(&script).unwrap().unwrap();
    assert_eq!(found[0], Image { id: "sha256:a".to_owned(), volumes: BTreeSet::new() });
    assert_eq!(found[1].volumes, BTreeSet::from(["/data".to_owned()]));
    // Without the key, as engines from 29.0 on say that there is none.
    let script = Script::new().prints(look, "sha256:a {\"Cmd\":[\"web\"]}\nsha256:b {}\n");
    assert!(ask(&script).unwrap().unwrap().iter().all(|image| image.volumes.is_empty()));
    assert_eq!(ask(&Script::new().fails(look, 1, "No such image: web:1")).unwrap(), None);
    assert!(
        ask(&Script::new().prints(look, "sha256:a {\"Volumes\":[1]}\nsha256:b null\n")).is_err()
    );
}

#[test]
fn a_container_that_vanishes_between_list_and_look_is_no_error() {
    let list = "docker container ls --all --quiet --no-trunc --filter=label=com.docker.compose.project=acme_x";
    let script = Script::new()
        .prints(list, "6cbbe4eddbeb\n")
        .fails("docker container inspect 6cbbe4eddbeb", 1, "No such container")
        .prints(list, "");
    let found = with(&script, |c| containers(c, &"acme_x".parse().unwrap())).unwrap();
    assert_eq!(found, []);
    let script = Script::new().expect(list, Reply::TimesOut);
    assert!(with(&script, |c| containers(c, &"acme_x".parse().unwrap())).is_err());
}

#[test]
fn of_other_containers_only_the_ports_are_asked_for() {
    let list = "docker container ls --all --quiet --no-trunc";
    // In the form that `--format` gives: one object a line. A full look at 600 containers would be
    // longer than what is kept of an answer.
    let lines = "{\"Name\":\"/web\",\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}]}},\"NetworkSettings\":{\"Ports\":{}}}\n\n\
                 {\"Name\":\"/any\",\"HostConfig\":{\"PortBindings\":null},\"NetworkSettings\":{\"Ports\":{\"53/udp\":[{\"HostIp\":\"::\",\"HostPort\":\"32768\"}]}}}\n";
    let script = Script::new()
        .prints(list, "6cbbe4eddbeb\n7cbbe4eddbeb\n")
        .prints("docker container inspect '--format=*", lines);
    let ports = with(&script, allocated_ports).unwrap();
    let wanted = [(8080, "web".to_owned()), (32768, "any".to_owned())];
    assert_eq!(ports, BTreeMap::from(wanted));
    let script = Script::new().prints(list, "");
    assert!(with(&script, allocated_ports).unwrap().is_empty());
}

#[test]
fn removal_takes_what_is_marked_and_says_what_is_left() {
    let tenant = "01936f2a-0000-7000-8000-000000000001";
    let filters = format!(
        "--filter=label=com.docker.compose.project=acme_x --filter=label=io.freehold.tenant={tenant}"
    );
    let containers = format!("docker container ls --all --quiet --no-trunc {filters}");
    let networks = format!("docker network ls --format={{{{.Name}}}} {filters}");
    let remove = |script: &Script| {
        let project = "acme_x".parse().unwrap();
        with(script, |c| remove_marked(c, &project, tenant.parse().unwrap(), Volumes::Keep))
    };
    let script = Script::new()
        .prints(&containers, "")
        .prints(&networks, "acme_x_front\n")
        .prints("docker network rm acme_x_front", "")
        .prints(&containers, "")
        .prints(&networks, "");
    assert_eq!(remove(&script).unwrap().networks, ["acme_x_front"]);
    let script = Script::new()
        .prints(&containers, "")
        .prints(&networks, "acme_x_front\n")
        .fails("docker network rm acme_x_front", 1, "no such device")
        .prints(MEMBERS, "{}\n")
        .prints(&containers, "")
        .prints(&networks, "acme_x_front\n");
    let failure = Failure::from(remove(&script).unwrap_err());
    assert!(failure.advice.contains("network acme_x_front"), "{failure:?}");

    // A stranger on it is taken off, and told.
    let script = Script::new()
        .prints(&containers, "")
        .prints(&networks, "acme_x_front\n")
        .fails("docker network rm acme_x_front", 1, "has active endpoints")
        .prints(MEMBERS, "{\"6cbbe4eddbeb\":{\"Name\":\"stranger\"}}\n")
        .prints("docker network disconnect --force acme_x_front 6cbbe4eddbeb", "")
        .prints("docker network rm acme_x_front", "")
        .prints(&containers, "")
        .prints(&networks, "");
    assert_eq!(remove(&script).unwrap().disconnected, ["stranger from acme_x_front"]);
}

const MEMBERS: &str = "docker network inspect *";

#[test]
fn a_stack_is_compared_with_what_it_must_be() {
    use freehold_protocol::blueprint::render::ContainerExpectation;
    let containers = parse_containers(INSPECT).unwrap();
    let expected = |service: &str| ContainerExpectation {
        service: service.parse().unwrap(),
        image: "freehold-sample/backend:1".parse().unwrap(),
        networks: BTreeSet::from(["acme_recruitiq_internal".to_owned()]),
        ports: BTreeMap::from([(3000, 3001.try_into().unwrap())]),
        cap_add: BTreeSet::new(),
        volumes: BTreeMap::new(),
        memory_bytes: 0,
        nano_cpus: 0,
        pids_limit: 0,
        read_only: true,
        labels: BTreeMap::new(),
    };
    assert_eq!(compare(&containers[..2], &[expected("backend")]), [""; 0]);
    let found = compare(&containers, &[expected("backend"), expected("db")]);
    assert_eq!(found, ["db has no container", "acme_recruitiq-frontend-1 belongs to no service"]);
    let limited = ContainerExpectation { memory_bytes: 1 << 30, ..expected("backend") };
    let found = compare(&containers[..1], &[limited]);
    assert!(found[0].contains("HostConfig.Memory"), "{found:?}");
}
