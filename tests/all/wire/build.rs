//! Images are built.

use lab::Lab;
use plimsoll::wire::{
    Engine, Refusal, WireError,
    build::{Build, BuildEvent, Private},
};

use super::*;

#[tokio::test]
async fn an_image_is_built_with_everything_a_dockerfile_can_ask_for() {
    let _lab = Lab::up(0).unwrap();
    let engine = engine_here().await;
    let folder = shell_context("build");
    folder.write("secret", "x");
    folder.write(".dockerignore", "secret\n");
    let tag = format!("plimsoll-wire-build:{}", std::process::id());
    let dockerfile = format!(
        "{}ARG GREETING=none\nLABEL a=1 b=2\nRUN echo \"hello $GREETING\" && [ ! -e /secret ]\nFROM scratch AS slim\nCOPY --from=full /bin/echo /echo\nFROM slim\n",
        SHELL.replace("FROM scratch", "FROM scratch AS full")
    );
    let request = Build {
        arguments: vec![("GREETING".into(), "wörld & co".into())],
        labels: vec![("b".into(), "3".into()), ("service".into(), "app".into())],
        ..build(
            &folder,
            &dockerfile,
            &[tag.clone(), format!("{tag}-second")],
        )
    };
    let first_stage = Build {
        target: Some("full".into()),
        ..request.clone()
    };
    let mut events = Vec::new();
    let id = engine
        .build(
            &Build {
                no_cache: true,
                ..first_stage.clone()
            },
            &mut |event| events.push(event),
        )
        .await
        .unwrap();
    let printed = events.iter().any(|event| {
        matches!(event, BuildEvent::Output { step, line } if line == "hello wörld & co" && step.contains("RUN echo"))
    });
    assert!(printed, "{events:#?}");
    let image = engine.inspect_image(&tag).await.unwrap().unwrap();
    assert_eq!(image["Id"], id.as_str());
    assert_eq!(image["Config"]["Labels"]["a"], "1");
    assert_eq!(image["Config"]["Labels"]["b"], "3");
    assert_eq!(image["Config"]["Labels"]["service"], "app");

    // The same again, packed anew: nothing is run.
    let mut events = Vec::new();
    assert_eq!(
        engine
            .build(&first_stage, &mut |event| events.push(event))
            .await
            .unwrap(),
        id
    );
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, BuildEvent::Output { .. })),
        "{events:#?}"
    );
    let cached = |event: &BuildEvent| matches!(event, BuildEvent::Done { step, cached: true } if step.contains("COPY root"));
    assert!(events.iter().any(cached), "{events:#?}");

    let slim = engine.build(&request, &mut |_| {}).await.unwrap();
    assert_ne!(slim, id);
    let elsewhere = Folder::new("dockerfile");
    let outside = elsewhere.write("Other", "FROM scratch\nCOPY Dockerfile /\n");
    let mut distant = request.clone();
    distant.context.dockerfile = outside;
    engine.build(&distant, &mut |_| {}).await.unwrap();

    let named = engine.images(&["service=app".into()]).await.unwrap();
    assert!(
        named.iter().any(|image| image.tags.contains(&tag)),
        "{named:?}"
    );
    for name in [tag.clone(), format!("{tag}-second")] {
        engine.remove_image(&name).await.unwrap();
    }
    assert_eq!(engine.inspect_image(&tag).await.unwrap(), None);
}

#[tokio::test]
async fn a_build_that_fails_says_at_which_step_and_what_it_printed() {
    let lab = Lab::up(0).unwrap();
    let engine = engine_here().await;
    let folder = shell_context("fails");
    let failing = format!("{SHELL}RUN echo one && echo two && exit 7\n");
    let error = unwrap_err(
        engine
            .build(&build(&folder, &failing, &[]), &mut |_| {})
            .await,
    );
    match &error {
        WireError::BuildFailed {
            step,
            message,
            output,
        } => {
            assert!(step.contains("RUN echo one"), "{step}");
            assert!(message.contains("exit code: 7"), "{message}");
            assert_eq!(output, &["one", "two"]);
        }
        other => panic!("{other}"),
    }
    for (dockerfile, expected) in [
        ("FROM scratch\nCOPY nothing /\n", "nothing"),
        ("FROM scratch\nNONSENSE x\n", "NONSENSE"),
        ("", "empty"),
    ] {
        let error = unwrap_err(
            engine
                .build(&build(&folder, dockerfile, &[]), &mut |_| {})
                .await,
        );
        assert!(matches!(&error, WireError::BuildFailed { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let lost = Build {
        target: Some("nope".into()),
        ..build(&folder, SHELL, &[])
    };
    let error = unwrap_err(engine.build(&lost, &mut |_| {}).await);
    assert!(error.to_string().contains("nope"), "{error}");

    let base = format!("FROM {}/no/such:1\n", lab.registry.address);
    let error = unwrap_err(engine.build(&build(&folder, &base, &[]), &mut |_| {}).await);
    assert!(
        matches!(&error, WireError::RegistryRefused { .. }),
        "{error:?}"
    );

    let invalid = unwrap_err(
        engine
            .build(&build(&folder, SHELL, &["../x".into()]), &mut |_| {})
            .await,
    );
    assert!(matches!(invalid, WireError::Invalid { .. }));
}

#[tokio::test]
async fn a_build_gets_private_base_images_and_secrets() {
    // A host, because an Engine's BuildKit knows only the authorities that were there when the Engine started.
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("private");
    let engine = Engine::over_ssh(&connect(&home, &lab.hosts[0]).await)
        .await
        .unwrap();
    let right = credentials(&lab, &lab.registry.password);
    let base = format!("{}/wire/base:{}", lab.registry.address, std::process::id());
    let folder = shell_context("private");
    engine
        .build(
            &build(&folder, SHELL, std::slice::from_ref(&base)),
            &mut |_| {},
        )
        .await
        .unwrap();
    engine.push(&base, Some(&right), &mut |_| {}).await.unwrap();
    engine.remove_image(&base).await.unwrap();

    let dockerfile =
        format!("FROM {base}\nRUN --mount=type=secret,id=token cat /run/secrets/token && echo\n");
    let request = Build {
        no_cache: true,
        pull: true,
        ..build(&folder, &dockerfile, &[])
    };
    let secrets = vec![("token".to_owned(), "hünter2".into())];
    let private = Private {
        logins: vec![right.clone()],
        secrets: secrets.clone(),
        ..Private::default()
    };
    let mut lines = Vec::new();
    let mut note = |event| {
        if let BuildEvent::Output { line, .. } = event {
            lines.push(line);
        }
    };
    engine
        .build_with(&request, &private, &mut note)
        .await
        .unwrap();
    assert_eq!(lines, ["hünter2"]);

    for logins in [vec![], vec![credentials(&lab, "wrong")]] {
        let private = Private {
            logins,
            secrets: secrets.clone(),
            ..Private::default()
        };
        let error = unwrap_err(engine.build_with(&request, &private, &mut |_| {}).await);
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
    let private = Private {
        logins: vec![right],
        ..Private::default()
    };
    let error = unwrap_err(engine.build_with(&request, &private, &mut |_| {}).await);
    assert!(matches!(&error, WireError::BuildFailed { .. }), "{error:?}");
}

#[tokio::test]
async fn buildkit_itself_builds_what_the_engines_own_build_cannot_be_asked() {
    let _lab = Lab::up(0).unwrap();
    let engine = engine_here().await;
    let folder = shell_context("solve");
    let tag = format!("plimsoll-wire-solve:{}", std::process::id());
    let dockerfile = format!(
        "{SHELL}ARG GREETING=none\nRUN --mount=type=secret,id=token echo \"$GREETING $(cat /run/secrets/token)\"\n"
    );
    let request = Build {
        arguments: vec![("GREETING".into(), "wörld".into())],
        labels: vec![("service".into(), "app".into())],
        no_cache: true,
        // A cache that this Engine doesn't know: it is passed over, but only BuildKit itself can be asked for it.
        cache_from: vec!["type=gha".into()],
        ..build(
            &folder,
            &dockerfile,
            &[tag.clone(), format!("{tag}-second")],
        )
    };
    let private = Private {
        secrets: vec![("token".into(), "hünter2".into())],
        ..Private::default()
    };
    let mut lines = Vec::new();
    let mut note = |event| {
        if let BuildEvent::Output { line, .. } = event {
            lines.push(line);
        }
    };
    let id = engine
        .build_with(&request, &private, &mut note)
        .await
        .unwrap();
    assert!(
        lines.iter().any(|line| line == "wörld hünter2"),
        "{lines:?}"
    );
    let image = engine
        .inspect_image(&format!("{tag}-second"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(image["Config"]["Labels"]["service"], "app");
    assert!(id.starts_with("sha256:"), "{id}");

    let broken = Build {
        cache_from: vec!["type=gha".into()],
        ..build(
            &folder,
            &format!("{SHELL}RUN false\n"),
            std::slice::from_ref(&tag),
        )
    };
    let error = unwrap_err(engine.build(&broken, &mut |_| {}).await);
    assert!(
        matches!(&error, WireError::BuildFailed { step, .. } if step.contains("RUN false")),
        "{error:?}"
    );

    let several = Build {
        platforms: vec!["linux/amd64".into(), "linux/arm64".into()],
        ..build(&folder, SHELL, std::slice::from_ref(&tag))
    };
    let error = unwrap_err(engine.build(&several, &mut |_| {}).await);
    assert!(
        matches!(&error, WireError::BuilderTooSimple { .. }),
        "{error:?}"
    );
    for tag in [tag.clone(), format!("{tag}-second")] {
        engine.remove_image(&tag).await.unwrap();
    }
}
