//! Every claim about the sandbox, with a component that tries to break it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::sandbox::aot::Origin;
use plimsoll::sandbox::{Loaded, Role, Sandbox, SandboxError};
use plimsoll::wit::renderer::exports::plimsoll::deploy::renderer::Input;
use plimsoll::wit::types::Context;
use serde_json::json;

use crate::support::{TestRun, sha256};

/// Loads a component file for a role.
fn load(
    sandbox: &Sandbox,
    file: &str,
    role: Role,
    granted: &[&str],
) -> Result<Loaded, SandboxError> {
    let bytes = std::fs::read(file).unwrap();
    let component = sandbox.component("guest", &sha256(&bytes), &bytes, Origin::ThirdParty)?;
    sandbox.link("guest", &component, role, granted)
}

/// What the hostile renderer found, or how it was stopped.
async fn attack(what: &str) -> Result<String, SandboxError> {
    let test = TestRun::new();
    let deadline = if what == "spin" {
        Duration::from_millis(1500)
    } else {
        Duration::from_secs(30)
    };
    let sandbox = test.sandbox().with_pure_deadline(deadline);
    let loaded = load(
        &sandbox,
        artifacts::HOSTILE_RENDERER,
        Role::Renderer,
        &["log"],
    )?;
    let context = Context {
        environment: String::new(),
        version: "1".into(),
        deployment_id: "0123456789ab".into(),
        request: r#"{"command":"deploy"}"#.into(),
        settings: json!({"do": what}).to_string(),
    };
    let input = Input {
        context,
        manifest: vec![],
        options: "{}".into(),
        facts: "{}".into(),
    };
    let output = sandbox.render(&loaded, test.pure_session(), input).await?;
    Ok(output.unwrap().documents[0].body.clone())
}

async fn stopped(what: &str) -> SandboxError {
    attack(what).await.expect_err("it must be stopped")
}

#[tokio::test]
async fn a_renderer_that_imports_docker_is_refused_before_it_runs() {
    let test = TestRun::new();
    let granted = ["log", "docker", "ssh", "lock", "hook", "secrets"];
    let refused = load(
        &test.sandbox(),
        artifacts::GREEDY_RENDERER,
        Role::Renderer,
        &granted,
    )
    .err()
    .expect("refused");
    assert_eq!(
        refused.to_string(),
        "plugin `guest` is refused: it imports `docker` (work with containers and images of granted hosts), and a renderer may import no power but `log`"
    );
    assert!(
        refused
            .hint()
            .unwrap()
            .contains("only a driver may import `docker`")
    );
}

#[tokio::test]
async fn a_driver_gets_only_the_capabilities_it_was_granted() {
    let test = TestRun::new();
    let refused = load(
        &test.sandbox(),
        artifacts::HOSTILE_DRIVER,
        Role::Driver,
        &["log", "progress", "clock"],
    )
    .err()
    .expect("refused");
    assert!(
        refused.to_string().contains("which is not granted"),
        "{refused}"
    );
    assert!(
        refused
            .hint()
            .unwrap()
            .contains("add to plimsoll.yml: plugins.guest.grants."),
        "{refused}"
    );
}

#[tokio::test]
async fn a_component_is_only_used_in_the_role_it_was_built_for() {
    let test = TestRun::new();
    let refused = load(
        &test.sandbox(),
        artifacts::NO_FRIDAYS,
        Role::Renderer,
        &["log"],
    )
    .err()
    .expect("refused");
    assert_eq!(
        refused.to_string(),
        "plugin `guest` is no renderer: it exports policy"
    );
}

#[tokio::test]
async fn a_component_that_spins_is_stopped_within_its_bound() {
    let begun = Instant::now();
    let error = stopped("spin").await;
    assert!(matches!(error, SandboxError::Deadline { .. }), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_component_that_eats_memory_is_stopped_at_its_limit() {
    let error = stopped("eat-memory").await.to_string();
    assert_eq!(
        error,
        "plugin `guest` was stopped in `render`: its memory is at most 256 MiB"
    );
}

#[tokio::test]
async fn endless_recursion_ends() {
    assert!(matches!(
        stopped("recurse").await,
        SandboxError::Limit { .. }
    ));
}

#[tokio::test]
async fn a_huge_answer_is_not_copied() {
    assert!(
        stopped("huge-answer")
            .await
            .to_string()
            .contains("one call may hand over at most 32 MiB")
    );
}

#[tokio::test]
async fn a_panic_is_blamed_on_the_plugin_with_its_last_words_and_cannot_drive_the_terminal() {
    let error = stopped("panic").await;
    assert_eq!(
        error.to_string(),
        "plugin `guest` crashed in `render`: it panicked"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("midway, with \u{fffd}[31mcolour") && !hint.contains('\u{1b}'),
        "{hint}"
    );
    assert!(hint.contains("the fault is the plugin's"), "{hint}");
}

#[tokio::test]
async fn exiting_is_a_crash_not_an_answer() {
    assert!(matches!(stopped("exit").await, SandboxError::Trap { .. }));
}

#[tokio::test]
async fn printing_and_logging_without_end_neither_stalls_nor_fills_the_host() {
    assert_eq!(attack("print-flood").await.unwrap(), "printed");
    assert_eq!(attack("log-flood").await.unwrap(), "logged");
}

#[tokio::test]
async fn there_are_no_files_no_network_and_no_environment() {
    for what in ["read-file", "tcp"] {
        let error = stopped(what).await.to_string();
        assert!(error.contains("plugins have no wasi:"), "{what}: {error}");
    }
    assert_eq!(attack("environment").await.unwrap(), "[] []");
}

#[tokio::test]
async fn time_stands_still_and_chance_is_the_same_every_time() {
    let first = attack("time-and-chance").await.unwrap();
    assert!(first.contains("tv_sec: 1700000000"), "{first}");
    assert_eq!(attack("time-and-chance").await.unwrap(), first);
}

#[tokio::test]
async fn compiled_code_is_never_accepted_from_a_plugin() {
    let test = TestRun::new();
    let sandbox = test.sandbox();
    let bytes = std::fs::read(artifacts::NO_FRIDAYS).unwrap();
    sandbox
        .component("guest", &sha256(&bytes), &bytes, Origin::ThirdParty)
        .unwrap();
    let mut compiled = test.compiled_files();
    assert_eq!(compiled.len(), 1, "the cache has what was compiled");
    let native = std::fs::read(compiled.remove(0)).unwrap();
    let refused = sandbox
        .component("guest", &sha256(&native), &native, Origin::ThirdParty)
        .expect_err("refused");
    assert!(
        refused.to_string().contains("it is compiled code"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_warm_cache_compiles_nothing_and_a_damaged_one_heals() {
    let test = TestRun::new();
    let bytes = std::fs::read(artifacts::NO_FRIDAYS).unwrap();
    let digest = sha256(&bytes);
    test.sandbox()
        .component("guest", &digest, &bytes, Origin::ThirdParty)
        .unwrap();
    // With a compiler that does not exist, only the cache can answer.
    test.sandbox_with_compiler("/nonexistent/plimsoll".into())
        .component("guest", &digest, &bytes, Origin::ThirdParty)
        .unwrap();
    std::fs::write(&test.compiled_files()[0], b"rubbish").unwrap();
    test.sandbox()
        .component("guest", &digest, &bytes, Origin::ThirdParty)
        .unwrap();
}

#[tokio::test]
async fn a_cache_that_others_can_write_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let test = TestRun::new();
    std::fs::create_dir_all(test.aot()).unwrap();
    std::fs::set_permissions(test.aot(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let bytes = std::fs::read(artifacts::NO_FRIDAYS).unwrap();
    let refused = test
        .sandbox()
        .component("guest", &sha256(&bytes), &bytes, Origin::ThirdParty)
        .expect_err("refused");
    assert!(
        refused
            .to_string()
            .contains("others can write to it (mode 777)"),
        "{refused}"
    );
}

/// One function with so many locals that an optimising compiler takes half a minute.
fn compile_bomb(locals: u32) -> Vec<u8> {
    let body = (0..locals).map(|n| {
        format!(
            "(local.set {n} (i32.add (local.get {}) (local.get {})))",
            (n + 7) % locals,
            (n + 13) % locals
        )
    });
    let text = format!(
        "(component (core module (func (export \"f\") (local {}) {})))",
        "i32 ".repeat(locals as usize),
        body.collect::<String>()
    );
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn a_compile_bomb_is_refused_or_compiled_in_bounded_time() {
    let test = TestRun::new();
    let sandbox = test.sandbox();
    let refuse = compile_bomb(25_000);
    let refused = sandbox
        .component("bomb", &sha256(&refuse), &refuse, Origin::ThirdParty)
        .expect_err("refused");
    assert!(
        refused
            .to_string()
            .contains("one function has 25000 locals"),
        "{refused}"
    );
    let pass = compile_bomb(15_000);
    let begun = Instant::now();
    let result = sandbox.component("bomb", &sha256(&pass), &pass, Origin::ThirdParty);
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    drop(result);
}

#[tokio::test]
async fn ctrl_c_stops_a_component_that_spins() {
    let test = TestRun::new();
    let interrupt = test.run().interrupt.clone();
    let sandbox = Arc::new(test.sandbox().with_pure_deadline(Duration::from_secs(60)));
    let loaded = load(
        &sandbox,
        artifacts::HOSTILE_RENDERER,
        Role::Renderer,
        &["log"],
    )
    .unwrap();
    let context = Context {
        environment: String::new(),
        version: "1".into(),
        deployment_id: "0".into(),
        request: r#"{"command":"deploy"}"#.into(),
        settings: json!({"do": "spin"}).to_string(),
    };
    let input = Input {
        context,
        manifest: vec![],
        options: "{}".into(),
        facts: "{}".into(),
    };
    let begun = Instant::now();
    let raise = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        interrupt.raise();
    };
    let (result, ()) = tokio::join!(sandbox.render(&loaded, test.pure_session(), input), raise);
    assert!(matches!(result, Err(SandboxError::Interrupted { .. })));
    assert!(begun.elapsed() < Duration::from_secs(10));
}
