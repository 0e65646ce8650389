//! Who gets which request, and what the commands say.

use std::process::Command;

use kamal_proxy_stand_in::control::Answer;

use crate::support::{Health, Proxy, Target, done, get, refused};

#[tokio::test]
async fn requests_go_by_host_and_by_the_longest_path() {
    let proxy = Proxy::start().await;
    let mut targets = Vec::new();
    for (name, flags) in [
        ("any", ""),
        ("exact", "--host=a.example.com"),
        ("wild", "--host=*.example.com"),
        ("api", "--host=a.example.com --path-prefix=/api"),
        (
            "kept",
            "--host=a.example.com --path-prefix=/kept --strip-path-prefix=false",
        ),
    ] {
        let target = Target::start(name, Health::Well).await;
        assert_eq!(proxy.deploy(name, &target, flags).await, done());
        targets.push(target);
    }
    for (host, path, name) in [
        ("elsewhere", "/", "any"),
        ("a.example.com", "/", "exact"),
        ("a.example.com:8080", "/x", "exact"),
        ("b.example.com", "/", "wild"),
        ("a.example.com", "/api/x", "api"),
        ("a.example.com", "/apiary", "exact"),
    ] {
        assert_eq!(
            get(proxy.server.http, host, path).await.1,
            name,
            "{host}{path}"
        );
    }
    let (_, stripped) = get(proxy.server.http, "a.example.com", "/api/headers?q=1").await;
    assert!(stripped.starts_with("/headers?q=1\n"), "{stripped}");
    let (_, whole) = get(proxy.server.http, "a.example.com", "/kept").await;
    assert_eq!(whole, "kept");
}

#[tokio::test]
async fn several_targets_take_turns_and_a_name_from_the_map_is_found() {
    let proxy = Proxy::start().await;
    let (one, two) = (
        Target::start("one", Health::Well).await,
        Target::start("two", Health::Well).await,
    );
    let line = format!(
        "deploy web --target=0123456789ab:{} --target=127.0.0.1:{}",
        one.port, two.port
    );
    assert_eq!(proxy.tell(&line).await, done());
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(proxy.get("/").await.1);
    }
    assert_eq!(answers, ["one", "two", "one", "two"]);
}

#[tokio::test]
async fn two_services_can_not_have_the_same_host_and_path() {
    let proxy = Proxy::start().await;
    let target = Target::start("app", Health::Well).await;
    assert_eq!(proxy.deploy("one", &target, "--host=a,b").await, done());
    assert_eq!(
        proxy.deploy("two", &target, "--host=b").await,
        refused("host settings conflict with another service")
    );
    assert_eq!(
        proxy
            .deploy("two", &target, "--host=b --path-prefix=/x")
            .await,
        done()
    );
    assert_eq!(proxy.tell("remove one").await, done());
    assert_eq!(proxy.deploy("three", &target, "--host=b").await, done());
    assert_eq!(get(proxy.server.http, "a", "/").await.0, 404);
}

#[tokio::test]
async fn a_stopped_service_says_so_stays_stopped_through_a_deploy_and_resumes() {
    let proxy = Proxy::start().await;
    let target = Target::start("app", Health::Well).await;
    assert_eq!(proxy.deploy("web", &target, "").await, done());
    assert_eq!(proxy.tell("stop web --message=back-at-noon").await, done());
    let (status, body) = proxy.get("/").await;
    assert_eq!(status, 503);
    assert!(body.contains("back-at-noon"), "{body}");
    assert_eq!(proxy.get("/up").await.0, 200);
    assert_eq!(proxy.deploy("web", &target, "").await, done());
    assert_eq!(proxy.get("/").await.0, 503);
    assert_eq!(proxy.tell("resume web").await, done());
    assert_eq!(proxy.get("/").await.1, "app");
    for command in ["stop", "resume", "remove"] {
        assert_eq!(
            proxy.tell(&format!("{command} nobody")).await,
            refused("service not found")
        );
    }
}

#[tokio::test]
async fn services_own_pages_are_shown_for_errors() {
    let proxy = Proxy::start().await;
    let pages = proxy.folder.0.join("pages");
    std::fs::create_dir_all(&pages).unwrap();
    std::fs::write(pages.join("503.html"), "<p>{{ .Message }}</p>").unwrap();
    let target = Target::start("app", Health::Well).await;
    assert_eq!(
        proxy
            .deploy(
                "web",
                &target,
                &format!("--error-pages={}", pages.display())
            )
            .await,
        done()
    );
    assert_eq!(proxy.tell("stop web --message=<soon>").await, done());
    assert_eq!(proxy.get("/").await.1, "<p>&lt;soon&gt;</p>");
}

#[tokio::test]
async fn a_tls_service_sends_plain_requests_to_https() {
    let proxy = Proxy::start().await;
    let target = Target::start("app", Health::Well).await;
    assert_eq!(
        proxy
            .deploy("web", &target, "--tls --host=app.example.com")
            .await,
        done()
    );
    assert_eq!(proxy.get("/x?y=1").await.0, 301);
}

#[tokio::test]
async fn a_restarted_proxy_remembers_its_services_and_stopped_ones() {
    let proxy = Proxy::start().await;
    let folder = std::sync::Arc::clone(&proxy.folder);
    let target = Target::start("app", Health::Well).await;
    assert_eq!(proxy.deploy("web", &target, "").await, done());
    assert_eq!(proxy.deploy("shop", &target, "--host=shop").await, done());
    assert_eq!(proxy.tell("stop shop").await, done());
    let before = proxy.tell("list").await;
    drop(proxy);
    let again = Proxy::start_in(folder).await;
    assert_eq!(again.tell("list").await, before);
    assert_eq!(again.get("/").await.1, "app");
    assert_eq!(get(again.server.http, "shop", "/").await.0, 503);
    let Answer::Done(table) = before else {
        panic!("{before:?}")
    };
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["Service", "Host", "Path", "Target", "State", "TLS"]
    );
    assert_eq!(
        rows[1],
        [
            "shop",
            "shop",
            "/",
            &format!("127.0.0.1:{}", target.port),
            "stopped",
            "no"
        ]
    );
    assert_eq!(
        rows[2],
        [
            "web",
            "*",
            "/",
            &format!("127.0.0.1:{}", target.port),
            "running",
            "no"
        ]
    );
}

#[tokio::test]
async fn commands_are_refused_in_cobras_words() {
    let proxy = Proxy::start().await;
    for (line, error) in [
        ("deploy web --target=a1:1 --bogus", "unknown flag: --bogus"),
        ("deploy --target=a1:1", "accepts 1 arg(s), received 0"),
        ("deploy web", "required flag(s) \"target\" not set"),
        ("deploy web --target=http://x", "invalid target: http://x"),
        ("dance", "unknown command \"dance\" for \"kamal-proxy\""),
    ] {
        assert_eq!(proxy.tell(line).await, refused(error), "{line}");
    }
}

#[tokio::test]
async fn the_program_exits_with_1_when_refused_and_0_when_done() {
    let proxy = Proxy::start().await;
    let target = Target::start("app", Health::Well).await;
    let folder = proxy.folder.0.clone();
    let run = move |words: Vec<String>| {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || {
            Command::new(env!("CARGO_BIN_EXE_kamal-proxy"))
                .args(words)
                .env("XDG_RUNTIME_DIR", folder)
                .output()
                .unwrap()
        })
    };
    let line = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let output = run(line(format!(
        "deploy web --target=127.0.0.1:{}",
        target.port
    )))
    .await
    .unwrap();
    assert_eq!(
        (
            output.status.code(),
            output.stdout.len(),
            output.stderr.len()
        ),
        (Some(0), 0, 0)
    );
    let output = run(line(
        "deploy web --target=127.0.0.1:1 --deploy-timeout=100ms".to_owned(),
    ))
    .await
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "Error: target failed to become healthy within configured timeout (100ms)\n"
    );
}
