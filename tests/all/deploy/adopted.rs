//! Servers that Kamal 2.12 made, line by line as `kamal.md` §1.3, §1.4 and §1.8 have it: taken over without a difference.

use lab::{Engine, Host};

use super::commands::Whole;
use super::normal::form;
use super::{CANARY, answer, assert_none_failed, probe};

/// What Kamal does on a server once.
fn prepare(host: &Host, proxied: bool) {
    let proxy = if proxied {
        "mkdir -p .kamal/proxy/apps-config && echo --publish 80:80 --publish 443:443 --log-opt max-size=10m basecamp/kamal-proxy:v0.9.2 | \
         xargs docker run --name kamal-proxy --network kamal --detach --restart unless-stopped --volume kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy \
         --volume $PWD/.kamal/proxy/apps-config:/home/kamal-proxy/.apps-config"
    } else {
        "true"
    };
    let script = format!("mkdir -p .kamal && docker network create kamal && {proxy}");
    run(host, &script);
}

/// As Kamal's lines are run: by the login shell.
fn run(host: &Host, script: &str) {
    host.ssh(&["bash", "-c", script]).unwrap();
}

/// A role's container of a version, as Kamal boots it.
fn boot(whole: &Whole, host: &Host, role: &str, version: &str, tag: &str) {
    let image = format!("{}:{version}", whole.stage.repository());
    let name = format!("hello-{role}-{version}");
    let (assets, volume, options, log, command, route) = if role == "web" {
        (
            format!(
                "E=.kamal/apps/hello/assets/extracted V=.kamal/apps/hello/assets/volumes; mkdir -p $E/web-{version} && \
                 docker container rm hello-web-assets 2> /dev/null || true && docker container create --name hello-web-assets {image} && \
                 docker container cp -L hello-web-assets:/public/. $E/web-{version} && docker container rm hello-web-assets && \
                 mkdir -p $V/web-{version} ; cp -rnT $E/web-{version} $V/web-{version} &&"
            ),
            format!("--volume $PWD/.kamal/apps/hello/assets/volumes/web-{version}:/public"),
            "--memory \"128m\" --cap-add \"NET_ADMIN\"",
            "--log-opt max-size=\"10m\"",
            "",
            format!(
                "&& docker exec kamal-proxy kamal-proxy deploy hello-web --target=\"$(docker container ls --all --filter 'name=^{name}$' --quiet):3000\" \
                 --deploy-timeout=\"4s\" --drain-timeout=\"4s\" --health-check-interval=\"1s\" --health-check-path=\"/up\" --buffer-requests --buffer-responses \
                 --log-request-header=\"Cache-Control\" --log-request-header=\"Last-Modified\" --log-request-header=\"User-Agent\""
            ),
        )
    } else {
        (
            String::new(),
            String::new(),
            "",
            "--log-driver \"json-file\" --log-opt max-size=\"5m\"",
            "sh -c \"while true; do echo working; sleep 1; done\"",
            String::new(),
        )
    };
    let script = format!(
        "{assets} mkdir -p .kamal/apps/hello/env/roles && printf 'CANARY={CANARY}\\n' > .kamal/apps/hello/env/roles/{role}.env && \
         chmod 600 .kamal/apps/hello/env/roles/{role}.env && \
         docker run --detach --restart unless-stopped --name {name} --network kamal --hostname {address}-0123456789ab \
         --env KAMAL_CONTAINER_NAME=\"{name}\" --env KAMAL_VERSION=\"{version}\" --env KAMAL_HOST=\"{address}\" --env COLOUR=\"blue\" \
         --env PLACE=\"${{HOSTNAME}}\" --env EMPTY {tag} --env-file .kamal/apps/hello/env/roles/{role}.env {log} --volume data:/data --volume /tmp/hello:/tmp/hello:ro {volume} \
         --label service=\"hello\" --label role=\"{role}\" --label destination --label team=\"ada\" {options} {image} {command} {route} && \
         docker tag {image} {repository}:latest && echo \"[2026-02-03T04:05:06Z] [ada@example.com] [{role}] Booted app version {version}\" >> .kamal/hello-audit.log",
        address = host.address,
        repository = whole.stage.repository(),
    );
    run(host, &script);
}

#[test]
fn a_kamal_made_server_is_taken_over_without_a_difference_and_then_deployed_to() {
    let Some(whole) = Whole::new() else { return };
    let stage = &whole.stage;
    let version = stage.project.version().unwrap();
    // Built, pushed and pulled; everything else comes by Kamal's hand.
    let delivered = stage.run(&["kamal", "build", "deliver", "-H"]);
    assert_eq!(delivered.code, Some(0), "{}", delivered.stderr);
    let hosts = [0, 1, 2].map(|number| stage.host(number).clone());
    for (host, proxied) in hosts.iter().zip([true, true, false]) {
        host.reset(&[]).unwrap();
        prepare(host, proxied);
    }
    boot(&whole, &hosts[0], "web", &version, "");
    boot(&whole, &hosts[1], "web", &version, "--env BIRD=\"canary\"");
    boot(&whole, &hosts[2], "worker", &version, "");
    let as_kamal = form(Engine::On(&hosts[0]), &format!("hello-web-{version}"));

    let before: Vec<String> = hosts
        .iter()
        .map(|host| stage.containers(Engine::On(host)))
        .collect();
    let plan = stage.run(&["plan"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(
        plan.stdout.starts_with("nothing to do: "),
        "{}",
        plan.stdout
    );
    let diff = stage.run(&["deploy", "--diff"]);
    assert!(
        diff.code == Some(0) && diff.stdout.starts_with("nothing to do: "),
        "{}",
        diff.stdout
    );
    let after = hosts.iter().map(|host| stage.containers(Engine::On(host)));
    assert!(before.into_iter().eq(after), "nothing was touched");

    let next = whole.configure("two", "green");
    let prober = probe(&hosts[0].address);
    stage.deploys(&["-H"]);
    assert_none_failed(&prober.stop());
    for (host, role) in hosts.iter().zip(["web", "web", "worker"]) {
        let running = stage.running(Engine::On(host));
        assert_eq!(running, [format!("hello-{role}-{next}")]);
    }
    // Back to the container that Kamal made, as Kamal made it.
    let back = stage.run(&["kamal", "rollback", &version, "-H"]);
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert!(answer(&hosts[0].address).contains(&version));
    assert_eq!(
        form(Engine::On(&hosts[0]), &format!("hello-web-{version}")),
        as_kamal
    );
    let audit = hosts[0].ssh(&["cat", ".kamal/hello-audit.log"]).unwrap();
    assert!(
        audit.starts_with("[2026-02-03T04:05:06Z] [ada@example.com]")
            && audit.contains(&format!("Booted app version {next}")),
        "{audit}"
    );
}
