//! Who has a port.

use super::*;

#[test]
fn ports_of_others_are_told_from_our_own() {
    let port = |number: u16| Port::try_from(number).unwrap();
    let wanted = BTreeSet::from([port(3001), port(3002), port(3003), port(3004)]);
    let own = docker::parse_containers(
        r#"[{"Id":"6cbbe4eddbeb","Name":"/acme-backend-1","State":{"Status":"running"},
             "HostConfig":{"Privileged":false,"PortBindings":{"3000/tcp":[{"HostIp":"127.0.0.1","HostPort":"3001"}]}}},
            {"Id":"6cbbe4eddbec","Name":"/acme-frontend-1","State":{"Status":"created"},
             "HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"3002"}]}}}]"#,
    )
    .unwrap();
    let listening = BTreeSet::from([3001, 3002]);
    let claimed = BTreeMap::from([
        (3001, "acme-backend-1".to_owned()),
        (3002, "acme-frontend-1".to_owned()),
        (3003, "other-1".to_owned()),
    ]);
    // 3001 is ours and bound; 3002 is ours but somebody else listens; 3003 is another container's.
    let taken = taken_by_others(&wanted, &own, &listening, &claimed);
    assert_eq!(taken, [port(3002), port(3003)]);
}
