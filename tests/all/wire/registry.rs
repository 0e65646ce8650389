//! Registries: with a password, a token, a stranger's certificate.

use std::{
    process::{Command as Process, Stdio},
    time::{Duration, Instant},
};

use lab::Lab;
use plimsoll::wire::{Credentials, Engine, Refusal, WireError, registry::manifest_digest};

use super::*;

#[tokio::test]
async fn images_travel_through_a_registry_with_a_password() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("registry");
    let engine = engine_here().await;
    let folder = shell_context("push");
    let reference = format!("{}/wire/push:{}", lab.registry.address, std::process::id());
    let right = credentials(&lab, &lab.registry.password);
    // In base64 this password has a `+` and a `/`.
    let wrong = credentials(&lab, "~~~???>>>~~~???>>>~");
    engine
        .build(
            &build(&folder, SHELL, std::slice::from_ref(&reference)),
            &mut |_| {},
        )
        .await
        .unwrap();

    let refused = |error: WireError, expected: Refusal| match &error {
        WireError::RegistryRefused {
            refusal, registry, ..
        } => {
            assert_eq!(
                (*refusal, registry),
                (expected, &lab.registry.address),
                "{error}"
            );
        }
        _ => panic!("{error}"),
    };
    refused(
        unwrap_err(engine.push(&reference, Some(&wrong), &mut |_| {}).await),
        Refusal::Unauthorized,
    );
    refused(
        unwrap_err(engine.push(&reference, None, &mut |_| {}).await),
        Refusal::Unauthorized,
    );
    let mut layers = 0;
    let digest = engine
        .push(&reference, Some(&right), &mut |step| {
            layers += usize::from(step.layer.is_some())
        })
        .await
        .unwrap();
    assert!(
        digest.starts_with("sha256:") && layers > 0,
        "{digest} {layers}"
    );
    let unknown = format!("{}/wire/none:1", lab.registry.address);
    let error = unwrap_err(engine.push(&unknown, Some(&right), &mut |_| {}).await);
    assert!(
        matches!(
            &error,
            WireError::NotFound { .. }
                | WireError::RegistryRefused {
                    refusal: Refusal::NotFound,
                    ..
                }
        ),
        "{error:?}"
    );

    let remote = Engine::over_ssh(&connect(&home, &lab.hosts[0]).await)
        .await
        .unwrap();
    refused(
        unwrap_err(remote.pull(&reference, Some(&wrong), &mut |_| {}).await),
        Refusal::Unauthorized,
    );
    refused(
        unwrap_err(remote.pull(&reference, None, &mut |_| {}).await),
        Refusal::Unauthorized,
    );
    refused(
        unwrap_err(
            remote
                .pull(&format!("{reference}-none"), Some(&right), &mut |_| {})
                .await,
        ),
        Refusal::NotFound,
    );
    assert_eq!(
        remote
            .pull(&reference, Some(&right), &mut |_| {})
            .await
            .unwrap(),
        digest
    );
    let by_digest = format!("{}@{digest}", reference.rsplit_once(':').unwrap().0);
    assert_eq!(
        remote
            .pull(&by_digest, Some(&right), &mut |_| {})
            .await
            .unwrap(),
        digest
    );
    let image = remote.inspect_image(&reference).await.unwrap().unwrap();
    assert_eq!(image["RepoDigests"][0], by_digest.as_str());
    // Nothing of the login is left on the host.
    let files = lab.hosts[0]
        .ssh(&[
            "sh",
            "-c",
            "cat /root/.docker/config.json 2>/dev/null || true",
        ])
        .unwrap();
    assert!(!files.contains(&lab.registry.address), "{files}");

    let error = unwrap_err(engine.pull("127.0.0.1:1/x:1", None, &mut |_| {}).await);
    assert!(
        matches!(
            &error,
            WireError::RegistryRefused {
                refusal: Refusal::Unreachable,
                ..
            }
        ),
        "{error:?}"
    );
    remote.remove_image(&reference).await.unwrap();
    engine.remove_image(&reference).await.unwrap();
}

#[tokio::test]
async fn a_registry_is_asked_for_a_digest() {
    let lab = Lab::up(0).unwrap();
    let engine = engine_here().await;
    let reference = format!(
        "{}/wire/digest:{}",
        lab.registry.address,
        std::process::id()
    );
    let right = credentials(&lab, &lab.registry.password);
    let folder = Folder::new("digest");
    folder.write("a", "a");
    engine
        .build(
            &build(
                &folder,
                "FROM scratch\nCOPY a /\n",
                std::slice::from_ref(&reference),
            ),
            &mut |_| {},
        )
        .await
        .unwrap();
    let digest = engine
        .push(&reference, Some(&right), &mut |_| {})
        .await
        .unwrap();
    engine.remove_image(&reference).await.unwrap();

    assert_eq!(
        manifest_digest(&reference, Some(&right))
            .await
            .unwrap()
            .as_ref(),
        Some(&digest)
    );
    let by_digest = format!("{}@{digest}", reference.rsplit_once(':').unwrap().0);
    assert_eq!(
        manifest_digest(&by_digest, Some(&right)).await.unwrap(),
        Some(digest)
    );
    assert_eq!(
        manifest_digest(&format!("{reference}-none"), Some(&right))
            .await
            .unwrap(),
        None
    );
    for login in [None, Some(credentials(&lab, "wrong"))] {
        let error = unwrap_err(manifest_digest(&reference, login.as_ref()).await);
        assert!(
            matches!(
                &error,
                WireError::RegistryRefused {
                    refusal: Refusal::Unauthorized,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let error = unwrap_err(manifest_digest("127.0.0.1:1/a:1", None).await);
    assert!(
        matches!(
            &error,
            WireError::RegistryRefused {
                refusal: Refusal::Unreachable,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_registry_with_a_strangers_certificate_is_not_trusted() {
    let folder = Folder::new("stranger");
    let (key, certificate) = (folder.0.join("key"), folder.0.join("crt"));
    let made = Process::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
        ])
        .args([key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output()
        .unwrap();
    assert!(made.status.success());
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut server = Process::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-www",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-key",
        ])
        .args([key.as_os_str(), "-cert".as_ref(), certificate.as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let image = format!("127.0.0.1:{port}/a:1");
    let begun = Instant::now();
    let error = loop {
        let error = unwrap_err(manifest_digest(&image, None).await);
        let waiting = matches!(
            &error,
            WireError::RegistryRefused {
                refusal: Refusal::Unreachable,
                ..
            }
        );
        if !waiting || begun.elapsed() > Duration::from_secs(5) {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(
        matches!(
            &error,
            WireError::RegistryRefused {
                refusal: Refusal::UnknownAuthority,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains(&format!("/etc/docker/certs.d/127.0.0.1:{port}/ca.crt"))
    );
}

/// A registry that sends for a token, as Docker Hub, GitHub and Google do.
async fn token_registry() -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let own = address.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let own = own.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut head, mut line) = (String::new(), String::new());
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 2) {
                    head += &line;
                    line.clear();
                }
                // me:secret
                let login = head.contains("authorization: Basic bWU6c2VjcmV0");
                let scope = "scope=repository%3Aa%2Fb%3Apull";
                let (status, headers, body) = if head.starts_with("GET /token?") {
                    match login && head.contains(scope) && head.contains("service=here") {
                        true => ("200 OK", String::new(), r#"{"token":"good"}"#),
                        false => (
                            "401 Unauthorized",
                            String::new(),
                            r#"{"details":"incorrect username or password"}"#,
                        ),
                    }
                } else if head.contains("authorization: Bearer good") {
                    match head.starts_with("HEAD /v2/a/b/manifests/1 ") {
                        true => (
                            "200 OK",
                            "Docker-Content-Digest: sha256:0f\r\n".to_owned(),
                            "",
                        ),
                        false => ("404 Not Found", String::new(), ""),
                    }
                } else {
                    let challenge = format!(
                        "Bearer realm=\"http://{own}/token\",service=\"here\",scope=\"repository:a/b:pull\""
                    );
                    (
                        "401 Unauthorized",
                        format!("WWW-Authenticate: {challenge}\r\n"),
                        "",
                    )
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_registry_that_wants_a_token_gets_one() {
    let registry = token_registry().await;
    let login = |password: &str| Credentials {
        server: registry.clone(),
        username: "me".into(),
        password: password.into(),
    };
    let digest = manifest_digest(&format!("{registry}/a/b:1"), Some(&login("secret")))
        .await
        .unwrap();
    assert_eq!(digest.as_deref(), Some("sha256:0f"));
    assert_eq!(
        manifest_digest(&format!("{registry}/a/b:2"), Some(&login("secret")))
            .await
            .unwrap(),
        None
    );
    for login in [Some(login("wrong")), None] {
        let error = unwrap_err(manifest_digest(&format!("{registry}/a/b:1"), login.as_ref()).await);
        assert!(
            error
                .to_string()
                .ends_with("incorrect username or password"),
            "{error}"
        );
    }
}
