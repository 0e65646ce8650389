//! Kamal's commands, as somebody who comes from Kamal types them: one project from its first `setup` to `remove`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lab::{Engine, Host, toolbox};
use serde_json::{Value as Json, json};

use super::normal::form;
use super::{CANARY, Said, Stage, answer};

/// A project with everything: two roles on three servers, tags, assets, hooks, an accessory with files.
pub(super) struct Whole {
    pub(super) stage: Stage,
    accessory_image: String,
}

impl Whole {
    pub(super) fn new() -> Option<Self> {
        let stage = Stage::new(3)?;
        toolbox::add(&stage.project).unwrap();
        let accessory_image = toolbox::push(&stage.lab.registry).unwrap();
        for host in &stage.lab.hosts {
            host.ssh(&["rm", "-rf", "hello-cache"]).unwrap();
        }
        for hook in [
            "docker-setup",
            "pre-connect",
            "pre-build",
            "pre-deploy",
            "pre-app-boot",
            "post-app-boot",
            "post-deploy",
            "pre-proxy-reboot",
            "post-proxy-reboot",
        ] {
            let record = format!(
                "#!/bin/sh\necho \"$(basename $0) $KAMAL_COMMAND $KAMAL_HOSTS\" >> {}\n",
                stage.home.path().join("record").display()
            );
            write_hook(&stage, hook, &record);
        }
        let write = |name: &str, text: &str| stage.project.write(name, text).unwrap();
        write("config/cache.conf.erb", "mode=<%= ENV['MODE'] %>\n");
        write("config/private.conf", "private\n");
        let whole = Self {
            stage,
            accessory_image,
        };
        whole.configure("one", "blue");
        Some(whole)
    }

    /// Another version: its greeting, and a variable of its containers.
    pub(super) fn configure(&self, greeting: &str, colour: &str) -> String {
        self.stage
            .project
            .write(&format!("public/{greeting}.txt"), greeting)
            .unwrap();
        self.stage.configure(&self.manifest(colour));
        self.stage.project.commit(greeting).unwrap()
    }

    pub(super) fn manifest(&self, colour: &str) -> String {
        let [one, two, three] = self.addresses();
        let registry = &self.stage.lab.registry;
        format!(
            r#"service: hello
image: hello
servers:
  web:
    hosts:
      - {one}
      - {two}: canary
    asset_path: /public
    options:
      memory: 128m
      cap-add: NET_ADMIN
  worker:
    hosts:
      - {three}
    cmd: sh -c "while true; do echo working; sleep 1; done"
    stop_timeout: 1
    logging:
      driver: json-file
      options:
        max-size: 5m
registry:
  server: {server}
  username: {username}
  password:
    - REGISTRY_PASSWORD
proxy:
  app_port: 3000
  healthcheck:
    path: /up
    interval: 1
env:
  clear:
    COLOUR: {colour}
    PLACE: ${{HOSTNAME}}
    EMPTY: ""
  secret:
    - CANARY
  tags:
    canary:
      BIRD: canary
labels:
  team: ada
volumes:
  - data:/data
  - /tmp/hello:/tmp/hello:ro
deploy_timeout: 4
drain_timeout: 4
readiness_delay: 1
builder:
  arch: amd64
  context: .
accessories:
  cache:
    image: {accessory}
    host: {one}
    port: "127.0.0.1:6379:6379"
    cmd: sh -c "trap exit TERM; cat /etc/cache.conf; while true; do sleep 0.1; done"
    env:
      clear:
        MODE: fast
      secret:
        - CANARY
    files:
      - config/cache.conf.erb:/etc/cache.conf:ro
      - local: config/private.conf
        remote: /etc/private.conf
        mode: "0600"
        owner: "1000:1000"
    directories:
      - data:/var/lib/cache
"#,
            server = registry.address,
            username = registry.username,
            accessory = self.accessory_image,
        )
    }

    fn addresses(&self) -> [&str; 3] {
        [0, 1, 2].map(|number| self.stage.host(number).address.as_str())
    }

    /// `kamal …`, which must end well; what it prints.
    fn kamal(&self, line: &str) -> String {
        let said = self.ends(line);
        assert_eq!(
            said.code,
            Some(0),
            "kamal {line}\n{}{}",
            said.stdout,
            said.stderr
        );
        said.stdout
    }

    /// `kamal …`, which must fail; what it says.
    fn fails(&self, line: &str) -> String {
        let said = self.ends(line);
        assert_eq!(
            said.code,
            Some(1),
            "kamal {line}\n{}{}",
            said.stdout,
            said.stderr
        );
        said.stderr
    }

    fn ends(&self, line: &str) -> Said {
        // Words between single quotes are one.
        let mut words = vec!["kamal"];
        for (number, piece) in line.split('\'').enumerate() {
            match number % 2 {
                0 => words.extend(piece.split_whitespace()),
                _ => words.push(piece),
            }
        }
        self.stage.run(&words)
    }

    fn hooks(&self) -> Vec<String> {
        let record = self.stage.home.path().join("record");
        let text = fs::read_to_string(&record).unwrap_or_default();
        let _ = fs::remove_file(record);
        text.lines().map(str::to_owned).collect()
    }

    fn states(&self, host: usize) -> Vec<String> {
        let host = self.stage.host(host);
        let all = host
            .docker(&["ps", "-a", "--format", "{{.Names}} {{.State}}"])
            .unwrap();
        let mut all: Vec<String> = all.lines().map(str::to_owned).collect();
        all.sort();
        all
    }
}

pub(super) fn write_hook(stage: &Stage, name: &str, script: &str) {
    let path = format!(".kamal/hooks/{name}");
    stage.project.write(&path, script).unwrap();
    let path = stage.project.folder.join(path);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn sh(host: &Host, script: &str) -> String {
    host.ssh(&["sh", "-c", script]).unwrap()
}

/// What every container of a version has to be like, by the configuration and Kamal's rules.
fn expected(whole: &Whole, role: &str, host: usize, version: &str, colour: &str) -> Json {
    let host = whole.stage.host(host);
    let name = format!("hello-{role}-{version}");
    let mut env = json!({
        "KAMAL_CONTAINER_NAME": name, "KAMAL_VERSION": version, "KAMAL_HOST": host.address,
        "COLOUR": colour, "PLACE": host.name, "CANARY": CANARY,
    });
    let mut form = json!({
        "name": name,
        "image": format!("{}:{version}", whole.stage.repository()),
        "labels": {"service": "hello", "role": role, "destination": "", "team": "ada"},
        "volumes": ["/tmp/hello:/tmp/hello:ro", "data:/data"],
        "network": ["kamal"],
        "restart": "unless-stopped",
        "log": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "hostname_prefix": host.address,
        "cmd": [],
        "options": {},
    });
    if role == "web" {
        form["volumes"] = json!([
            format!("/root/.kamal/apps/hello/assets/volumes/web-{version}:/public"),
            "/tmp/hello:/tmp/hello:ro",
            "data:/data",
        ]);
        form["options"] = json!({"memory": 128 << 20, "cap-add": ["NET_ADMIN"]});
    } else {
        form["cmd"] = json!(["sh", "-c", "while true; do echo working; sleep 1; done"]);
        form["log"]["Config"]["max-size"] = json!("5m");
    }
    if host.address == whole.addresses()[1] {
        env["BIRD"] = json!("canary");
    }
    form["env"] = env;
    form
}

#[test]
fn a_kamal_project_lives_from_setup_to_remove() {
    let Some(whole) = Whole::new() else { return };
    let stage = &whole.stage;
    let [one, two, three] = whole.addresses();
    let first = stage.project.version().unwrap();
    let all = format!("{one},{two},{three}");
    let expect = |version: &str, colour: &str| {
        for (role, host) in [("web", 0), ("web", 1), ("worker", 2)] {
            let engine = Engine::On(stage.host(host));
            let name = format!("hello-{role}-{version}");
            assert_eq!(
                form(engine, &name),
                expected(&whole, role, host, version, colour)
            );
        }
    };

    whole.kamal("setup");
    expect(&first, "blue");
    let mut hooks = whole.hooks();
    hooks.sort();
    let mut named: Vec<String> = ["docker-setup", "pre-connect", "pre-build", "pre-deploy"]
        .into_iter()
        .chain(["pre-app-boot", "post-app-boot", "post-deploy"])
        .map(|hook| format!("{hook} setup {all}"))
        .collect();
    named.sort();
    assert_eq!(hooks, named);
    the_accessory_is_as_configured(&whole);
    assert_eq!(whole.states(2), [format!("hello-worker-{first} running")]);
    let proxy = form(Engine::On(stage.host(0)), "kamal-proxy");
    assert_eq!(
        proxy["volumes"],
        json!([
            "/root/.kamal/proxy/apps-config:/home/kamal-proxy/.apps-config",
            "kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy",
        ])
    );
    assert_eq!(proxy["log"]["Config"], json!({"max-size": "10m"}));
    // The same again, looked at by plimsoll's own eyes: variables of the servers' shells and assets are no difference.
    let plan = stage.run(&["plan"]);
    assert!(plan.stdout.contains("nothing to do: "), "{}", plan.stdout);

    // A version is there beside the old one, its files with the old one's, when its hook stops it.
    let second = whole.configure("two", "green");
    let boot = stage.project.folder.join(".kamal/hooks/pre-app-boot");
    let good = fs::read_to_string(&boot).unwrap();
    fs::write(&boot, "#!/bin/sh\necho not today; exit 3\n").unwrap();
    let said = whole.fails(&format!("deploy --version {second}"));
    assert!(
        said.contains("Hook `pre-app-boot` failed") && said.contains("not today"),
        "{said}"
    );
    assert!(answer(one).contains(&first), "the old one goes on");
    let volumes = sh(
        stage.host(0),
        "cd .kamal/apps/hello/assets/volumes && ls -d */*",
    );
    for version in [&first, &second] {
        for file in ["one", "two", "same"] {
            let path = format!("web-{version}/{file}.txt");
            assert!(volumes.contains(&path), "{path} in {volumes}");
        }
    }
    fs::write(&boot, good).unwrap();
    whole.hooks();
    whole.kamal("deploy");
    expect(&second, "green");
    assert!(answer(one).contains(&second) && answer(two).contains(&second));
    let left = sh(stage.host(0), "ls .kamal/apps/hello/assets/*");
    assert!(
        !left.contains(&first),
        "the old one's files are gone: {left}"
    );

    // Back to what worked, as it worked: not with today's configuration.
    whole.hooks();
    whole.kamal(&format!("rollback {first}"));
    expect(&first, "blue");
    let hooks = whole.hooks();
    assert!(
        hooks.contains(&format!("pre-deploy rollback {all}"))
            && !hooks.iter().any(|hook| hook.starts_with("pre-build")),
        "{hooks:?}"
    );
    assert!(answer(one).contains(&first));
    let said = whole.fails("rollback 0000000");
    assert!(
        said.contains("'0000000' is not available as a container"),
        "{said}"
    );

    whole.hooks();
    whole.kamal("redeploy -H");
    expect(&second, "green");
    assert_eq!(whole.hooks(), [""; 0], "-H runs none");
    let third = whole.configure("three", "red");
    whole.kamal(&format!("deploy -h {two}"));
    let versions = whole.kamal("app version");
    let of = |address: &str| {
        let at = versions.find(&format!("App Host: {address}\n")).unwrap();
        versions[at..].lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        [of(one), of(two), of(three)],
        [second.clone(), third.clone(), second.clone()]
    );
    whole.kamal("deploy -r work*");
    let running = stage.running(Engine::On(stage.host(2)));
    assert_eq!(running, [format!("hello-worker-{third}")]);
    let said = whole.fails("deploy -h nowhere");
    assert!(said.contains("No --hosts match for nowhere"), "{said}");
    whole.kamal("remove -y");
    for host in &stage.lab.hosts {
        assert_eq!(stage.containers(Engine::On(host)), "");
        let images = host.docker(&["images", "-q", &stage.repository()]).unwrap();
        assert_eq!(images, "", "on {}", host.name);
        let left = sh(
            host,
            "ls -d .kamal/apps/* .kamal/proxy hello-cache 2>/dev/null; true",
        );
        assert_eq!(left, "", "on {}", host.name);
    }
    stage.assert_no_lock();
}

fn the_accessory_is_as_configured(whole: &Whole) {
    let host = whole.stage.host(0);
    let mut expected = json!({
        "name": "hello-cache",
        "image": whole.accessory_image,
        "env": {"KAMAL_HOST": host.address, "MODE": "fast", "CANARY": CANARY},
        "labels": {"service": "hello-cache"},
        "volumes": [
            "/root/hello-cache/data:/var/lib/cache",
            "/root/hello-cache/etc/cache.conf:/etc/cache.conf:ro",
            "/root/hello-cache/etc/private.conf:/etc/private.conf",
        ],
        "network": ["kamal"],
        "restart": "unless-stopped",
        "log": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "cmd": ["sh", "-c", "trap exit TERM; cat /etc/cache.conf; while true; do sleep 0.1; done"],
        "options": {"publish": ["127.0.0.1:6379:6379/tcp"]},
    });
    expected["hostname_prefix"] = Json::Null;
    assert_eq!(form(Engine::On(host), "hello-cache"), expected);
    let files = sh(
        host,
        "cd hello-cache && stat -c '%n %a %u:%g' data etc/*; cat etc/cache.conf etc/private.conf",
    );
    assert_eq!(
        files,
        "data 755 0:0\netc/cache.conf 755 0:0\netc/private.conf 600 1000:1000\nmode=fast\nprivate"
    );
}

#[test]
fn every_command_that_looks_or_touches_what_runs_does_what_kamal_does() {
    let Some(whole) = Whole::new() else { return };
    let stage = &whole.stage;
    let [one, two, three] = whole.addresses();
    let version = stage.project.version().unwrap();
    whole.kamal("setup -H");

    // Looking.
    let details = whole.kamal("details");
    for line in [
        &format!("Proxy Host: {two}\nkamal-proxy  basecamp/kamal-proxy:v0.9.2  running\n"),
        &format!("App Host: {three}\nhello-worker-{version}"),
        &format!("Accessories Host: {one}\nhello-cache"),
    ] {
        assert!(details.contains(line), "{line} in {details}");
    }
    assert!(
        !details.contains(&format!("Proxy Host: {three}"))
            && !details.contains(&format!("Accessories Host: {two}")),
        "only what can be there: {details}"
    );
    let audit = whole.kamal("audit");
    assert!(audit.contains("Booted cache accessory"), "{audit}");
    let logs = whole.kamal("app logs -r worker -n 2");
    assert!(logs.contains(&format!("hello-worker-{version} Host: {three}")));
    assert!(logs.matches(" working").count() <= 2, "{logs}");
    assert!(whole.kamal("app containers").contains("running"));
    assert!(whole.kamal("app images").contains(":latest "));
    assert!(
        whole
            .kamal("secrets print")
            .contains(&format!("CANARY={CANARY}"))
    );
    let config = whole.kamal("config");
    assert!(
        config.contains(":roles:") && !config.contains(CANARY),
        "{config}"
    );
    let proxy = whole.kamal("proxy logs -n 50");
    assert!(proxy.contains(&format!("Proxy Host: {one}")) && !proxy.contains(three));
    assert!(whole.kamal("proxy details").contains("running"));

    // Commands in containers, and on servers.
    let said = whole.kamal(&format!(
        "app exec --raw -h {two} 'sh -c \"echo $BIRD; cat greeting.txt\"'"
    ));
    assert_eq!(said, "canary\none\n");
    let said = whole.kamal("app exec --reuse -r worker env");
    assert!(
        said.contains(&format!("KAMAL_HOST={three}")) && !said.contains(CANARY),
        "{said}"
    );
    let said = whole.kamal("app exec -p -e GREETING:hello env");
    assert!(
        said.contains("GREETING=hello") && said.contains("KAMAL_CONTAINER_NAME=hello-web-latest"),
        "{said}"
    );
    let said = whole.fails("app exec -p 'sh -c \"echo out; exit 3\"'");
    assert!(
        said.contains(&format!("the command on {one} ended with exit status 3"))
            && said.contains("out\n"),
        "{said}"
    );
    assert_eq!(
        whole.kamal(&format!("server exec --raw -h {two} hostname")),
        format!("{}\n", stage.host(1).name)
    );
    let left = whole.states(0);
    assert!(!left.iter().any(|one| one.contains("exec")), "{left:?}");

    // Maintenance, and out of it; stopped, and started again.
    whole.kamal("app maintenance --message 'back soon'");
    let url = format!("http://{one}/");
    let closed = lab::http::get(&url, None, super::PATIENCE).unwrap();
    assert!(
        closed.status == 503 && closed.body.contains("back soon"),
        "{closed:?}"
    );
    whole.kamal("app live");
    assert!(answer(one).contains(&version));
    whole.kamal(&format!("app stop -h {two}"));
    assert!(
        whole
            .states(1)
            .contains(&format!("hello-web-{version} exited"))
    );
    whole.kamal(&format!("app start -h {two}"));
    assert!(answer(two).contains(&version));
    whole.kamal("proxy reboot -y");
    assert!(
        answer(one).contains(&version),
        "the routes are where they were"
    );
    let hooks = whole.hooks();
    let around = |hook: &str| hooks.contains(&format!("{hook} proxy {one},{two}"));
    assert!(
        around("pre-proxy-reboot") && around("post-proxy-reboot"),
        "{hooks:?}"
    );

    // The accessory.
    let said = whole.kamal("accessory exec cache --reuse 'cat /etc/cache.conf'");
    assert!(said.contains("mode=fast"), "{said}");
    stage.configure(&whole.manifest("blue").replace("MODE: fast", "MODE: slow"));
    whole.kamal("accessory boot cache");
    assert!(
        whole.kamal("accessory logs cache").contains("mode=fast"),
        "what is there is left alone"
    );
    whole.kamal("accessory reboot cache");
    assert!(whole.kamal("accessory logs cache").contains("mode=slow"));
    whole.kamal("accessory stop cache");
    assert!(whole.states(0).contains(&"hello-cache exited".to_owned()));
    whole.kamal("accessory start cache");
    assert!(
        whole
            .kamal("accessory details cache")
            .contains("hello-cache")
    );
    whole.kamal("accessory remove cache -y");
    assert!(
        !whole
            .states(0)
            .iter()
            .any(|one| one.starts_with("hello-cache"))
    );
    assert_eq!(sh(stage.host(0), "ls -d hello-cache 2>/dev/null; true"), "");

    // The lock.
    whole.kamal("lock acquire -m 'release party'");
    let said = whole.fails("deploy --lock-wait");
    assert!(
        said.contains("Deploy lock held manually, not waiting") && said.contains("release party"),
        "{said}"
    );
    whole.kamal("lock release");
    assert!(
        whole
            .kamal("lock status")
            .contains("There is no deploy lock")
    );
    let take = "mkdir -p .kamal/lock-hello && printf 'Locked by: ada\\nVersion: 9\\nMessage: Automatic deploy lock' | base64 > .kamal/lock-hello/details; (sleep 2; rm -r .kamal/lock-hello) >/dev/null 2>&1 &";
    sh(stage.host(0), take);
    whole.kamal(
        "prune containers --retain 1 --lock-wait --lock-wait-timeout 20 --lock-wait-interval 1",
    );
    stage.assert_no_lock();

    // What is built is pushed and pulled, and nothing is booted.
    let next = whole.configure("delivered", "blue");
    whole.kamal("build deliver");
    let image = format!("{}:{next}", stage.repository());
    assert!(stage.host(2).docker(&["image", "inspect", &image]).is_ok());
    assert_eq!(
        stage.running(Engine::On(stage.host(2))),
        [format!("hello-worker-{version}")]
    );
    whole.kamal("prune all");
    assert!(
        stage.host(2).docker(&["image", "inspect", &image]).is_err(),
        "nothing uses it"
    );
}
