//! Good and bad files.

use super::*;

const RECRUITIQ: &str = include_str!("../../../tests/blueprints/recruitiq.yaml");

/// The smallest blueprint, with a place for more of the service.
fn with_service(extra: &str) -> String {
    let extra: String = extra.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "services:\n  web:\n    image: shop/web:1\n{extra}volumes: {{data: }}\nx-freehold:\n  product: shop\n  ports: {{backend: {{service: web, containerPort: 80}}}}\n  routes: [{{path: /, port: backend}}]\n  health: {{port: backend, path: /}}\n"
    )
}

fn one_problem(text: &str) -> Problem {
    let mut problems = lint(text, "compose.yaml");
    assert_eq!(problems.len(), 1, "{problems:#?}\n{text}");
    problems.remove(0)
}

#[test]
fn the_reference_blueprint_is_good_and_renders() {
    let problems = lint(RECRUITIQ, "recruitiq.yaml");
    assert_eq!(problems, []);
    let sample = |blueprint: &Blueprint| {
        sample_allocation(blueprint, "acme".parse().unwrap(), "acme.example.com".parse().unwrap())
    };
    let rendered = render_preview(RECRUITIQ, "recruitiq.yaml", sample).unwrap();
    let golden = include_str!("../../../tests/blueprints/recruitiq.compose.json");
    if rendered.compose_json != golden {
        panic!("the rendering differs from the golden file:\n{}", rendered.compose_json);
    }
    let env = rendered.env.expose();
    assert!(env.contains("FREEHOLD_PORT_BACKEND=\"3001\"\n"), "{env}");
    assert!(env.contains("TENANT_NAME=\"\"\n"), "{env}");
    // What travels in a job is read back unchanged.
    let blueprint = read(RECRUITIQ, "recruitiq.yaml").unwrap();
    let json = serde_json::to_string(&blueprint).unwrap();
    assert_eq!(serde_json::from_str::<Blueprint>(&json).unwrap(), blueprint);
}

#[test]
fn short_forms_are_accepted() {
    for extra in [
        "",
        "environment: [A=1, \"B=$$x\", C=]",
        "environment: {A: 1, B: true, C: \"\"}",
        "command: serve --name 'a b'",
        "command: [serve]\nentrypoint: /bin/tini --",
        "healthcheck: {test: curl -f http://127.0.0.1/, interval: 1m30s}",
        "healthcheck: {test: [CMD-SHELL, \"exit 0\"], retries: 3}",
        "mem_limit: 1g\nshm_size: 64mb\ncpus: \"1.5\"\npids_limit: 10",
        "volumes: [data:/data, {type: tmpfs, target: /run, tmpfs: {size: 1m}}]\ntmpfs: [/tmp, \"/x:size=8m\"]",
        "volumes: [{type: volume, source: data, target: /data, read_only: true}]",
        "ulimits: {nofile: 1024}",
        "ulimits: {nofile: {soft: 10, hard: 1024}}",
        "cap_add: [CHOWN, CAP_SETUID]\nuser: 1000:1000",
        "networks: [front, internal]",
        "stop_signal: SIGINT\nstop_grace_period: 1m\nrestart: \"no\"",
    ] {
        let text = with_service(extra);
        assert_eq!(lint(&text, "f"), [], "{text}");
    }
}

#[test]
fn every_dangerous_key_has_its_reason() {
    for key in [
        "privileged",
        "devices",
        "device_cgroup_rules",
        "gpus",
        "runtime",
        "network_mode",
        "pid",
        "ipc",
        "uts",
        "userns_mode",
        "cgroup",
        "cgroup_parent",
        "security_opt",
        "sysctls",
        "group_add",
        "volumes_from",
        "external_links",
        "links",
        "extra_hosts",
        "use_api_socket",
        "provider",
        "post_start",
        "pre_stop",
        "build",
        "develop",
        "extends",
        "env_file",
        "label_file",
        "credential_spec",
        "secrets",
        "configs",
        "pull_policy",
        "oom_kill_disable",
        "oom_score_adj",
        "logging",
        "isolation",
        "platform",
        "profiles",
        "scale",
        "models",
        "ports",
        "labels",
        "container_name",
        "deploy",
    ] {
        let problem = one_problem(&with_service(&format!("{key}: x")));
        assert_eq!(problem.path, format!("services.web.{key}"));
        assert!(problem.what.starts_with("is not allowed: "), "{problem}");
        assert_eq!((problem.line, problem.column), (4, 5), "{problem}");
    }
    let problem = one_problem(&with_service("privileged: true"));
    assert_eq!(
        problem.to_string(),
        "compose.yaml:4:5: services.web.privileged is not allowed: a privileged container is root on the host. Remove it; ask for single capabilities with `cap_add`."
    );
}

#[test]
fn bad_values_are_refused_where_they_stand() {
    for (extra, path) in [
        ("volumes: [\"/:/host\"]", "services.web.volumes[0]"),
        ("volumes: [\"./x:/x\"]", "services.web.volumes[0]"),
        ("volumes: [\"/var/run/docker.sock:/s\"]", "services.web.volumes[0]"),
        ("volumes: [{type: bind, source: /, target: /x}]", "services.web.volumes[0]"),
        ("volumes: [\"data:/proc\"]", "services.web.volumes[0]"),
        ("volumes: [\"other:/x\"]", "services.web.volumes"),
        ("volumes: [/anonymous]", "services.web.volumes[0]"),
        ("cap_add: [SYS_ADMIN]", "services.web.cap_add[0]"),
        ("cap_add: [ALL]", "services.web.cap_add[0]"),
        ("user: root", "services.web.user"),
        ("user: 0", "services.web.user"),
        ("environment: [HOME]", "services.web.environment[0]"),
        ("environment: {A: }", "services.web.environment.A"),
        ("environment: {A: $HOME}", "services.web.environment.A"),
        ("environment: {A: \"${B:?no}\"}", "services.web.environment.A"),
        ("environment: {A: \"a$\"}", "services.web.environment.A"),
        ("environment: {A: \"${FREEHOLD_PORT_DB}\"}", "services.web.environment.A"),
        ("mem_limit: lots", "services.web.mem_limit"),
        ("mem_limit: 100g", "x-freehold.resources.memoryMb"),
        ("networks: [host]", "services.web.networks[0]"),
        ("networks: [internal]", "services.web.networks"),
        ("depends_on: [db]", "services.web.depends_on.db"),
        ("depends_on: [web]", "services.web.depends_on"),
        ("hostname: a.b", "services.web.hostname"),
        ("command: 'a \"b'", "services.web.command"),
        ("restart: sometimes", "services.web.restart"),
        ("unknown_key: 1", "services.web.unknown_key"),
        ("tmpfs: /dev/shm", "services.web.tmpfs"),
        ("healthcheck: {disable: true, test: x}", "services.web.healthcheck.disable"),
    ] {
        let problem = one_problem(&with_service(extra));
        assert_eq!(problem.path, path, "{problem}");
        assert!(!problem.remedy.is_empty());
    }
}

#[test]
fn the_file_itself_is_checked() {
    let good = with_service("");
    for (from, to) in [
        ("volumes: {data: }", "volumes: {data: {driver_opts: {type: none, o: bind, device: /}}}"),
        ("volumes: {data: }", "volumes: {data: {external: true}}"),
        ("volumes: {data: }", "networks: {x: }"),
        ("volumes: {data: }", "networks: {front: {driver: host}}"),
        ("volumes: {data: }", "networks: {internal: }"),
        ("volumes: {data: }", "include: [x.yaml]"),
        ("volumes: {data: }", "secrets: {s: {file: /etc/shadow}}"),
        ("volumes: {data: }", "name: other"),
        ("volumes: {data: }", "services: {}"),
        ("volumes: {data: }", "volumes: {data: , data: }"),
        ("shop/web:1", "shop/web"),
        ("shop/web:1", "!reset x"),
        ("shop/web:1", "*nowhere"),
        ("x-freehold:", "x-frehold:"),
        ("containerPort: 80", "containerPort: 0"),
        ("containerPort: 80", "containerPort: 70000"),
        ("{service: web", "{service: gone"),
        ("{backend: {", "{other: {"),
        ("path: /}", "path: \"/; root /\"}"),
        ("product: shop", "product: Shop"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        assert!(!lint(&text, "f").is_empty(), "{text}");
    }
    for text in ["", "#", "a: 1\n---\nb: 2", "- a", "a: [", "\t", "? {a: b}\n: c", "x"] {
        assert!(!lint(text, "f").is_empty(), "{text:?}");
    }
    assert!(!lint(&"#".repeat(FILE_LIMIT_BYTES + 1), "f").is_empty());
}

#[test]
fn all_problems_come_at_once_and_in_order() {
    let text = with_service("privileged: true\npid: host\nuser: root");
    let lines: Vec<usize> = lint(&text, "f").iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 5, 6]);
}

#[test]
fn anchors_and_merges_are_resolved_within_limits() {
    let text = format!(
        "x-a: &a {{init: true, read_only: true}}\n{}",
        with_service("<<: *a\nread_only: false")
    );
    let blueprint = read(&text, "f").unwrap();
    let web = &blueprint.services[&"web".parse().unwrap()];
    assert!(web.init && !web.read_only);
    let hidden = format!("x-a: &a {{privileged: true}}\n{}", with_service("<<: *a"));
    assert_eq!(one_problem(&hidden).path, "services.web.privileged");

    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..20 {
        let before = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", "));
    }
    assert!(one_problem(&bomb).what.contains("aliases"));
    assert!(one_problem(&"- ".repeat(30)).what.contains("deep"));
    // Far deeper, the scanner itself gives up.
    assert!(!lint(&format!("a: {}", "[".repeat(5000)), "f").is_empty());
    assert!(!lint("a: &a [*a]", "f").is_empty());
}
