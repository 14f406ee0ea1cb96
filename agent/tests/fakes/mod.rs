//! `docker`, `nginx` and `certbot` as tiny programs: the test binary itself under other names. They
//! take the real arguments, answer in the real forms, and keep their state as files beside the name
//! under which they were called.

pub mod faulty;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Acts as the program under whose name this process was called, if it is one of them.
pub fn act() -> Option<i32> {
    let own = PathBuf::from(std::env::args_os().next()?);
    let words: Vec<String> = std::env::args().skip(1).collect();
    let root = own.parent()?.parent()?.to_owned();
    match own.file_name()?.to_str()? {
        "docker" => Some(Docker::open(&root).run(&words)),
        "nginx" => Some(nginx(&words)),
        "certbot" => Some(certbot(&words)),
        _ => None,
    }
}

fn value_of<'a>(words: &'a [String], flag: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(flag)?.strip_prefix('='))
}

fn nginx(words: &[String]) -> i32 {
    if words.iter().any(|word| word == "-v") {
        eprintln!("nginx version: nginx/1.22.1");
    }
    0
}

fn certbot(words: &[String]) -> i32 {
    if words[0] == "--version" {
        println!("certbot 2.1.0");
        return 0;
    }
    let config = Path::new(value_of(words, "--config-dir").unwrap());
    let live = config.join("live").join(value_of(words, "--cert-name").unwrap());
    if words[0] == "delete" {
        std::fs::remove_dir_all(live).unwrap();
        return 0;
    }
    let domain = value_of(words, "--domain").unwrap();
    let for_domain = live.join("README");
    if std::fs::read_to_string(&for_domain).is_ok_and(|text| text == domain) {
        return 0;
    }
    std::fs::create_dir_all(&live).unwrap();
    let made = rcgen::generate_simple_self_signed([domain.to_owned()]).unwrap();
    std::fs::write(live.join("fullchain.pem"), made.cert.pem()).unwrap();
    std::fs::write(live.join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(for_domain, domain).unwrap();
    0
}

/// An engine: containers as `docker inspect` shows them, networks and volumes with their labels.
struct Docker {
    file: PathBuf,
    state: Value,
}

impl Docker {
    fn open(root: &Path) -> Self {
        let file = root.join("engine.json");
        let state = std::fs::read(&file).map_or_else(
            |_| json!({ "container": {}, "network": {}, "volume": {} }),
            |bytes| serde_json::from_slice(&bytes).unwrap(),
        );
        Self { file, state }
    }

    fn save(&self) {
        std::fs::write(&self.file, serde_json::to_vec(&self.state).unwrap()).unwrap();
    }

    fn of(&mut self, kind: &str) -> &mut Map<String, Value> {
        self.state[kind].as_object_mut().unwrap()
    }

    fn run(&mut self, words: &[String]) -> i32 {
        let two: Vec<&str> = words.iter().take(2).map(String::as_str).collect();
        match two[..] {
            ["version", _] => {
                println!(
                    "{}",
                    json!({ "Client": { "Version": "28" }, "Server": { "Version": "28" } })
                );
            }
            ["info", _] => println!(
                "{}",
                json!({ "ClientInfo": { "Plugins": [{ "Name": "compose", "Version": "2.39.0" }] },
                        "ServerVersion": "28", "DockerRootDir": "/", "NCPU": 2, "MemTotal": 1,
                        "MemoryLimit": true, "CpuCfsQuota": true, "PidsLimit": true })
            ),
            ["image", "inspect"] => {
                words[2..].iter().filter(|word| !word.starts_with("--")).for_each(|image| {
                    println!("{} null", image_id(image));
                });
            }
            ["network", "inspect"] => {
                let found: Vec<Value> = words[2..]
                    .iter()
                    .map(|name| {
                        json!({ "Name": name, "Internal": name.ends_with("_internal"), "Containers": {} })
                    })
                    .collect();
                println!("{}", Value::Array(found));
            }
            ["container", "exec"] => {
                // A hook's input must be taken, as a real program does.
                std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
            }
            ["container", "logs" | "restart"] => {}
            ["container", "inspect"] => {
                let found: Vec<Value> = self
                    .of("container")
                    .values()
                    .filter(|one| words.iter().any(|word| one["Id"] == **word))
                    .cloned()
                    .collect();
                if value_of(words, "--format").is_some() {
                    found.iter().for_each(|one| println!("{one}"));
                } else {
                    println!("{}", Value::Array(found));
                }
            }
            ["container" | "network" | "volume", "ls"] => self.list(words),
            ["container", "rm"] => {
                self.of("container").retain(|_, one| !words.iter().any(|word| one["Id"] == **word));
                self.save();
            }
            ["network" | "volume", "rm"] => {
                for name in &words[2..] {
                    self.of(&words[0]).remove(name);
                }
                self.save();
            }
            // The attempt to reach a database from outside: no answer.
            ["run", _] => println!("tried"),
            ["compose", "version"] => println!("2.39.0"),
            ["compose", _] => return self.compose(words),
            _ => panic!("an unexpected command: docker {words:?}"),
        }
        0
    }

    fn list(&mut self, words: &[String]) {
        let filters: Vec<(&str, &str)> = words
            .iter()
            .filter_map(|word| word.strip_prefix("--filter=label=")?.split_once('='))
            .collect();
        let pointer = if words[0] == "container" { "/Config/Labels" } else { "" };
        for (name, one) in self.of(&words[0]).iter() {
            let labels = one.pointer(pointer).unwrap();
            if filters.iter().all(|(key, value)| labels[key] == *value) {
                let label = |key: &str| labels[key].as_str().unwrap_or_default();
                if value_of(words, "--format").is_some_and(|format| format.contains(".Label ")) {
                    let marks = ["com.docker.compose.project", "io.freehold.tenant"].map(label);
                    println!("{name} {} {}", marks[0], marks[1]);
                } else if words[0] == "container" {
                    println!("{}", one["Id"].as_str().unwrap());
                } else {
                    println!("{name}");
                }
            }
        }
    }

    fn compose(&mut self, words: &[String]) -> i32 {
        let project = value_of(words, "--project-name").unwrap().to_owned();
        let verb = words.iter().skip(1).find(|word| !word.starts_with("--")).unwrap();
        match verb.as_str() {
            "up" => self.up(&project, Path::new(value_of(words, "--file").unwrap())),
            "stop" => self.stop(&project),
            "run" => {
                // As above.
                std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
            }
            other => panic!("an unexpected verb: {other}"),
        }
        0
    }

    fn up(&mut self, project: &str, file: &Path) {
        let stack: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for kind in ["network", "volume"] {
            for (name, one) in stack[format!("{kind}s")].as_object().into_iter().flatten() {
                let mut labels = one["labels"].clone();
                labels["com.docker.compose.project"] = project.into();
                self.of(kind).entry(format!("{project}_{name}")).or_insert(labels);
            }
        }
        let services = stack["services"].as_object().unwrap();
        self.of("container").retain(|_, one| {
            let labels = &one["Config"]["Labels"];
            labels["com.docker.compose.project"] != project
                || services.contains_key(labels["com.docker.compose.service"].as_str().unwrap())
        });
        for (service, spec) in services {
            let name = format!("{project}-{service}-1");
            self.of("container").insert(name.clone(), container(project, service, &name, spec));
        }
        self.save();
    }

    fn stop(&mut self, project: &str) {
        for one in self.of("container").values_mut() {
            if one["Config"]["Labels"]["com.docker.compose.project"] == project {
                one["State"]["Status"] = "exited".into();
            }
        }
        self.save();
    }
}

fn image_id(image: &str) -> String {
    format!("sha256:{image}")
}

fn container(project: &str, service: &str, name: &str, spec: &Value) -> Value {
    let mut labels = spec["labels"].clone();
    labels["com.docker.compose.project"] = project.into();
    labels["com.docker.compose.service"] = service.into();
    labels["com.docker.compose.oneoff"] = "False".into();
    let networks: Vec<String> = spec["networks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|network| format!("{project}_{}", network.as_str().unwrap()))
        .collect();
    let mut bindings = Map::new();
    for port in spec["ports"].as_array().into_iter().flatten() {
        let parts: Vec<&str> = port.as_str().unwrap().split(':').collect();
        bindings.insert(
            format!("{}/tcp", parts[2]),
            json!([{ "HostIp": parts[0], "HostPort": parts[1] }]),
        );
    }
    let mounts: Vec<Value> = spec["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|volume| volume["type"] == "volume")
        .map(|volume| {
            json!({ "Type": "volume", "Destination": volume["target"],
                    "Name": format!("{project}_{}", volume["source"].as_str().unwrap()) })
        })
        .collect();
    let memory = spec["mem_limit"].as_str().unwrap().trim_end_matches('m').parse::<u64>().unwrap();
    let cpus: f64 = spec["cpus"].as_str().unwrap().parse().unwrap();
    let digest = name.bytes().fold(7_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
    json!({
        "Id": format!("{digest:064x}"),
        "Name": format!("/{name}"),
        "Image": image_id(spec["image"].as_str().unwrap()),
        "State": { "Status": "running", "ExitCode": 0, "Error": "" },
        "Config": { "Image": spec["image"], "Labels": labels },
        "HostConfig": {
            "Privileged": false,
            "ReadonlyRootfs": spec["read_only"].as_bool().unwrap_or(false),
            "CapAdd": spec.get("cap_add").cloned().unwrap_or(Value::Null),
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "NetworkMode": networks[0],
            "PortBindings": bindings,
            "Memory": memory * 1024 * 1024,
            "NanoCpus": (cpus * 1e9).round() as u64,
            "PidsLimit": spec["pids_limit"],
        },
        "NetworkSettings": {
            "Networks": networks.iter().map(|name| (name.clone(), json!({ "IPAddress": "10.9.8.7" })))
                .collect::<Map<_, _>>(),
        },
        "Mounts": mounts,
    })
}
