//! Everything that `builder` says, to the BuildKit of a real Engine.

use std::process::{Child, Command, Stdio};

use lab::{Engine, toolbox};

use super::{CANARY, Stage, wait_until};

/// What each stage writes down about how it was built.
const DOCKERFILE: &str = r#"FROM scratch AS base
ENV PATH=/usr/bin:/bin
COPY tools/ /
ARG COLOUR=none
ARG SPACES
RUN --mount=type=ssh stat -c %F "$SSH_AUTH_SOCK" > /agent.txt
RUN --mount=type=secret,id=CANARY echo "$COLOUR, $SPACES" > /built.txt && cat /run/secrets/CANARY > /length.txt && stat -c %s /length.txt > /size.txt && : > /length.txt
FROM base AS final
COPY bin/hello greeting.txt /
CMD ["/hello"]
FROM base AS never
RUN false
"#;

/// An agent without keys, until this is dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_build_has_its_arguments_secrets_agent_and_target_and_takes_from_the_cache_what_did_not_change()
{
    let Some(stage) = Stage::new(1) else { return };
    toolbox::add(&stage.project).unwrap();
    let socket = stage.home.path().join("agent");
    let agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _agent = Agent(agent);
    wait_until("the agent listens", || socket.exists());
    stage.project.write("Dockerfile.full", DOCKERFILE).unwrap();
    let builder = format!(
        "  dockerfile: Dockerfile.full\n  target: final\n  args:\n    COLOUR: pink\n    SPACES: two  $words\n  secrets:\n    - CANARY\n  ssh: default={}\n",
        socket.display()
    );
    let version = stage.configure(&stage.manifest(&builder));
    let first = stage.run(&["kamal", "build", "push", "-v"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(!format!("{}{}", first.stdout, first.stderr).contains(CANARY));
    let image = format!("{}:{version}", stage.repository());
    let host = stage.host(0);
    let login = format!(
        "docker login -u {} -p {} {} >/dev/null 2>&1 && docker pull -q {image}; docker logout {} >/dev/null",
        stage.lab.registry.username,
        stage.lab.registry.password,
        stage.lab.registry.address,
        stage.lab.registry.address,
    );
    host.ssh(&["sh", "-c", &login]).unwrap();
    let built = host
        .docker(&[
            "run",
            "--rm",
            &image,
            "cat",
            "/built.txt",
            "/size.txt",
            "/agent.txt",
        ])
        .unwrap();
    let length = CANARY.len();
    assert_eq!(built, format!("pink, two  $words\n{length}\nsocket"));
    let history = Engine::Local
        .docker(&["history", "--no-trunc", &image])
        .unwrap();
    assert!(
        history.contains("RUN") && !history.contains(CANARY),
        "{history}"
    );

    // Another greeting: only what copies it is built again.
    stage.project.commit(&format!("after {version}")).unwrap();
    let second = stage.run(&["kamal", "build", "push", "-v"]);
    let said = format!("{}{}", second.stdout, second.stderr);
    assert_eq!(second.code, Some(0), "{said}");
    let cached = |step: &str| {
        let mut lines = said.lines();
        lines.any(|line| line.contains(step) && line.contains("(cached)"))
    };
    assert!(
        cached("RUN --mount=type=secret") && !cached("COPY bin/hello"),
        "{said}"
    );
    let third = stage.run(&["kamal", "build", "push", "-v", "--no-cache"]);
    let said = format!("{}{}", third.stdout, third.stderr);
    assert_eq!(third.code, Some(0), "{said}");
    let again = said
        .lines()
        .any(|line| line.contains("RUN --mount=type=secret") && line.contains("(cached)"));
    assert!(!again, "{said}");
}
