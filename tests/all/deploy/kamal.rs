//! Beside Kamal: what it left behind, its names, its rules.

use lab::{Engine, Host, http};

use super::{PATIENCE, Stage, answer, assert_none_failed, probe};

/// Starts what Kamal 2.12 would have started on a server, with its commands.
fn as_kamal_does(stage: &Stage, host: &Host, version: &str) {
    let image = format!("{}:{version}", stage.repository());
    let name = format!("hello-web-{version}");
    let environment = [
        format!("KAMAL_CONTAINER_NAME={name}"),
        format!("KAMAL_VERSION={version}"),
        format!("KAMAL_HOST={}", host.address),
        "COLOUR=blue".to_owned(),
    ];
    let script = format!(
        "mkdir -p .kamal/proxy/apps-config .kamal/apps/hello/env/roles && \
         printf 'CANARY={canary}\\n' > .kamal/apps/hello/env/roles/web.env && \
         docker network create kamal && \
         docker run --name kamal-proxy --network kamal --detach --restart unless-stopped \
           --volume kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy --volume $PWD/.kamal/proxy/apps-config:/home/kamal-proxy/.apps-config \
           --publish 80:80 --publish 443:443 --log-opt max-size=10m {proxy} && \
         docker run --detach --restart unless-stopped --name {name} --network kamal --hostname {host}-0123456789ab {environment} \
           --env-file .kamal/apps/hello/env/roles/web.env --log-opt max-size=10m \
           --label service=hello --label role=web --label destination {image} && \
         docker exec kamal-proxy kamal-proxy deploy hello-web --target=$(docker container ls --all --filter name=^{name}$ --quiet):3000 \
           --deploy-timeout=4s --drain-timeout=4s --health-check-interval=1s --health-check-path=/up --buffer-requests --buffer-responses \
           --log-request-header=Cache-Control --log-request-header=Last-Modified --log-request-header=User-Agent && \
         docker tag {image} {repository}:latest",
        canary = super::CANARY,
        proxy = lab::proxy_stand_in::IMAGE,
        host = host.address,
        environment = environment
            .map(|variable| format!("--env {variable}"))
            .join(" "),
        repository = stage.repository(),
    );
    host.ssh(&["sh", "-c", &script]).unwrap();
}

#[test]
fn what_kamal_left_running_is_adopted() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let env = "env:\n  clear:\n    COLOUR: blue\n  secret:\n    - CANARY\n";
    let version = stage.configure(&stage.manifest(env));
    stage.deploys(&[]);
    // The image stays; everything else goes, and comes back by Kamal's hand.
    host.reset(&[]).unwrap();
    as_kamal_does(&stage, &host, &version);
    assert!(answer(&host.address).contains(&version));
    let before = stage.containers(Engine::On(&host));
    let verdict = stage.deploys(&[]);
    assert!(verdict.starts_with("nothing to do: "), "{verdict}");
    assert_eq!(stage.containers(Engine::On(&host)), before);

    let next = stage.project.commit("two").unwrap();
    let prober = probe(&host.address);
    let verdict = stage.deploys(&[]);
    assert_none_failed(&prober.stop());
    assert!(
        verdict.contains(&format!("-P --version {version}`")),
        "{verdict}"
    );
    assert_eq!(
        stage.running(Engine::On(&host)),
        [format!("hello-web-{next}")]
    );
}

#[test]
fn a_destination_lives_beside_the_others_under_its_own_names() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    stage.deploys(&[]);
    stage
        .project
        .write(
            "config/deploy.staging.yml",
            "proxy:\n  host: staging.example.com\nenv:\n  clear:\n    STAGE: staging\n",
        )
        .unwrap();
    let password = &stage.lab.registry.password;
    stage
        .project
        .write(
            ".kamal/secrets.staging",
            &format!("REGISTRY_PASSWORD={password}\n"),
        )
        .unwrap();
    let version = stage.project.commit("staged").unwrap();
    let verdict = stage.deploys(&["-d", "staging"]);
    assert!(verdict.contains("http://staging.example.com"), "{verdict}");

    let name = format!("hello-web-staging-{version}");
    assert_eq!(stage.running(Engine::On(&host)).len(), 2);
    let format = "{{.Config.Labels.destination}} {{json .Config.Env}}";
    let described = host
        .docker(&["inspect", "--format", format, &name])
        .unwrap();
    assert!(
        described.starts_with("staging ")
            && described.contains("KAMAL_DESTINATION=staging")
            && described.contains("STAGE=staging"),
        "{described}"
    );
    let latest = format!("{}:latest-staging", stage.repository());
    assert!(host.docker(&["image", "inspect", &latest]).is_ok());
    let audit = host
        .ssh(&["cat", ".kamal/hello-staging-audit.log"])
        .unwrap();
    assert!(
        audit.contains(&format!("[staging] [web] Booted app version {version}")),
        "{audit}"
    );
    let url = format!("http://{}/", host.address);
    let staged = http::get(&url, Some("staging.example.com"), PATIENCE).unwrap();
    assert!(staged.body.contains(&version) && !answer(&host.address).contains(&version));

    stage.project.commit("staged again").unwrap();
    let verdict = stage.deploys(&["-d", "staging"]);
    assert!(
        verdict.ends_with(&format!(
            "undo with `plimsoll deploy -P --version {version} -d staging`"
        )),
        "{verdict}"
    );
}

#[test]
fn other_roles_wait_for_the_primary_one_and_do_not_start_when_it_fails() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let server = &host.address;
    let roles = format!(
        "servers:\n  web:\n    - {server}\n  worker:\n    hosts:\n      - {server}\n    cmd: /hello\n"
    );
    let manifest = stage
        .manifest("")
        .replace(&format!("servers:\n  - {server}\n"), &roles);
    let first = stage.configure(&manifest);
    stage.deploys(&[]);
    let mut running = stage.running(Engine::On(&host));
    running.sort();
    assert_eq!(
        running,
        [
            format!("hello-web-{first}"),
            format!("hello-worker-{first}")
        ]
    );
    let begun = |role: &str| {
        let format = "{{.State.StartedAt}}";
        host.docker(&[
            "inspect",
            "--format",
            format,
            &format!("hello-{role}-{first}"),
        ])
        .unwrap()
    };
    assert!(begun("web") < begun("worker"));

    let second = stage.configure(&format!(
        "{manifest}env:\n  clear:\n    HELLO_UNHEALTHY: 1\n"
    ));
    let said = stage.fails(&[]);
    assert!(said.contains(&format!("hello-web-{first} still works, hello-web-{second} is stopped; hello-worker-{first} still works")), "{said}");
    let all = stage.containers(Engine::On(&host));
    assert!(!all.contains(&format!("hello-worker-{second}")), "{all}");
}

#[test]
fn as_many_old_containers_and_images_are_kept_as_configured() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    stage.configure(&stage.manifest("retain_containers: 1\n"));
    let versions: Vec<String> = ["one", "two", "three"]
        .iter()
        .map(|greeting| {
            let version = stage.project.commit(greeting).unwrap();
            stage.deploys(&[]);
            version
        })
        .collect();
    let list = |words: &[&str]| -> Vec<String> {
        let mut lines: Vec<String> = host
            .docker(words)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let mut containers = vec![
        format!("hello-web-{}", versions[1]),
        format!("hello-web-{}", versions[2]),
    ];
    containers.sort();
    assert_eq!(
        list(&[
            "ps",
            "-a",
            "--filter",
            "label=service=hello",
            "--format",
            "{{.Names}}"
        ]),
        containers
    );
    let mut tags = vec![
        "latest".to_owned(),
        versions[1].clone(),
        versions[2].clone(),
    ];
    tags.sort();
    assert_eq!(
        list(&["images", &stage.repository(), "--format", "{{.Tag}}"]),
        tags
    );
}

#[test]
fn two_services_share_a_server_and_the_one_that_goes_takes_nothing_of_the_other() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let other = stage
        .manifest("")
        .replace(
            "service: hello\nimage: hello",
            "service: other\nimage: other",
        )
        .replace(
            "app_port: 3000",
            "app_port: 3000\n  host: other.example.com",
        );
    stage.project.write("config/other.yml", &other).unwrap();
    let version = stage.project.commit("two services").unwrap();
    stage.deploys(&[]);
    stage.deploys(&["-c", "config/other.yml"]);
    let url = format!("http://{}/", host.address);
    let theirs = || http::get(&url, Some("other.example.com"), PATIENCE).unwrap();
    assert!(theirs().body.contains(&version) && answer(&host.address).contains(&version));
    // By these Kamal knows that there are others, whoever deployed them.
    let apps = host.ssh(&["ls", ".kamal/apps"]).unwrap();
    assert_eq!(apps, "hello\nother");

    let said = stage.run(&["kamal", "remove", "-y", "-c", "config/other.yml"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(
        said.stderr
            .contains("Not removing the proxy, as other apps are installed"),
        "{}",
        said.stderr
    );
    assert!(answer(&host.address).contains(&version));
    let left = stage.containers(Engine::On(&host));
    assert!(!left.contains("other-web"), "{left}");
    let said = stage.run(&["kamal", "remove", "-y"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(stage.containers(Engine::On(&host)), "");
}

#[test]
fn certificates_and_error_pages_are_where_the_proxy_finds_them_and_the_key_is_nobody_elses() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let folder = stage.home.path().to_string_lossy().into_owned();
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "30", "-subj", "/CN=tls.example.com"])
        .args(["-addext", "subjectAltName=DNS:tls.example.com"])
        .args([
            "-keyout",
            &format!("{folder}/key.pem"),
            "-out",
            &format!("{folder}/cert.pem"),
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let tls = "app_port: 3000\n  host: tls.example.com\n  ssl:\n    certificate_pem: CERTIFICATE\n    private_key_pem: PRIVATE_KEY";
    let manifest = stage
        .manifest("error_pages_path: pages\n")
        .replace("app_port: 3000", tls);
    stage
        .project
        .write("pages/503.html", "<h1>sorry</h1>\n")
        .unwrap();
    stage.configure(&manifest);
    let password = &stage.lab.registry.password;
    let secrets = format!(
        "REGISTRY_PASSWORD={password}\nCERTIFICATE=\"$(cat {folder}/cert.pem)\"\nPRIVATE_KEY=\"$(cat {folder}/key.pem)\"\n"
    );
    stage.project.write(".kamal/secrets", &secrets).unwrap();
    let first = stage.project.commit("with a certificate").unwrap();
    stage.deploys(&[]);
    let placed = |version: &str| {
        let list = "cd .kamal/proxy/apps-config/hello && find . -type f -exec stat -c '%a %n' {} + | sort -k 2";
        let found = host.ssh(&["sh", "-c", list]).unwrap();
        assert_eq!(
            found,
            format!(
                "644 ./error_pages/{version}/503.html\n644 ./tls/web/cert.pem\n600 ./tls/web/key.pem"
            )
        );
    };
    placed(&first);
    let routes = host
        .docker(&["exec", "kamal-proxy", "kamal-proxy", "list"])
        .unwrap();
    let ours = routes
        .lines()
        .find(|line| line.starts_with("hello-web"))
        .unwrap();
    assert!(
        ours.contains("tls.example.com") && ours.ends_with("yes"),
        "{routes}"
    );
    let again = stage.deploys(&[]);
    assert!(again.starts_with("nothing to do: "), "{again}");
    let second = stage.project.commit("another").unwrap();
    stage.deploys(&[]);
    placed(&second);
    let said = stage.said.lock().unwrap().clone();
    assert!(!said.contains("PRIVATE KEY-----"), "{said}");
}
