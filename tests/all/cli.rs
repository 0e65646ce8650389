//! What a user sees, with wrong input too: the binary itself, in a home and a project of the test's own.

use std::path::Path;
use std::process::Output;

use serde_json::Value as Json;

use crate::support::{Folder, plimsoll, sha256};

/// A project with a home of its own.
struct Project {
    folder: Folder,
}

const MANIFEST: &str = "service: hello
image: hello
servers:
  - local
builder:
  arch: amd64
  context: .
proxy:
  app_port: 3000
";

impl Project {
    fn new(manifest: &str) -> Self {
        let project = Self {
            folder: Folder::new(),
        };
        project.folder.write("project/config/deploy.yml", manifest);
        project.folder.write("project/Dockerfile", "FROM scratch\n");
        project
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("project")
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.folder.write(&format!("project/{name}"), text);
    }

    /// Runs plimsoll here.
    fn run(&self, arguments: &[&str]) -> Output {
        plimsoll(self.folder.path(), &self.root())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Standard error of a run that must fail with this code.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{said}{}",
            String::from_utf8_lossy(&output.stdout)
        );
        said
    }

    /// Standard output of a run that must succeed.
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Adds a third party's component to `plimsoll.yml`, and locks it.
    fn add_plugin(&self, name: &str, role: &str, file: &str, rest: &str) {
        self.write("third.wasm", std::fs::read(file).unwrap());
        self.write(
            "plimsoll.yml",
            format!("plugins:\n  {name}:\n    from: file:third.wasm\n    role: {role}\n{rest}"),
        );
    }
}

/// An observation of a machine on which nothing runs.
fn nothing_there(project: &Project) {
    let output = project.run(&["plan", "--version", "1", "--save-facts", "facts.json"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_missing_manifest_names_what_was_looked_for_and_the_cure() {
    let project = Project::new(MANIFEST);
    std::fs::remove_file(project.root().join("config/deploy.yml")).unwrap();
    let said = project.fails(1, &["plan"]);
    assert!(
        said.contains("config/deploy.yml") && said.contains("hint: "),
        "{said}"
    );
}

#[test]
fn a_malformed_manifest_is_shown_with_file_line_column_and_caret() {
    let project = Project::new("service: hello\nservers: [local\nbuilder: {\n");
    let said = project.fails(1, &["plan"]);
    assert!(
        said.contains("--> config/deploy.yml:") && said.contains('^'),
        "{said}"
    );
}

#[test]
fn an_unknown_key_gets_a_suggestion_and_all_findings_come_at_once() {
    let project = Project::new(
        "servce: hello\nservice: hello\nservers: [local]\nbuilder: {arch: amd64, contxt: .}\n",
    );
    let said = project.fails(1, &["config", "--version", "1"]);
    assert!(
        said.contains("did you mean") && said.contains("service"),
        "{said}"
    );
    assert!(
        said.contains("contxt") && said.contains("context"),
        "{said}"
    );
    assert!(
        said.contains("--> config/deploy.yml:1:1") && said.contains("--> config/deploy.yml:4:"),
        "{said}"
    );
}

#[test]
fn config_prints_the_documents_with_secrets_by_name() {
    let project = Project::new(&format!(
        "{MANIFEST}env:\n  clear:\n    A: b\n  secret:\n    - KEY\n"
    ));
    project.write(".kamal/secrets", "KEY=canary-91c3\n");
    let printed = project.succeeds(&["config", "--version", "1"]);
    let documents: Json = serde_json::from_str(&printed).unwrap();
    let env = &documents["host/local/role/web"]["env"];
    assert_eq!(env["A"], "b");
    assert_eq!(env["KEY"]["secret"], "KEY");
    assert!(!printed.contains("canary-91c3"));
}

#[test]
fn config_said_as_kamal_prints_what_kamal_prints() {
    let project = Project::new(MANIFEST);
    let printed = project.succeeds(&["kamal", "config", "--version", "1"]);
    assert!(printed.starts_with("---\n:roles:\n- web\n"), "{printed}");
    assert!(printed.contains("\n:version: '1'\n"), "{printed}");
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_carried_out() {
    lab::engine::ensure().unwrap();
    let project = Project::new(MANIFEST);
    let said = project.fails(1, &["deploy", "--version", "1"]);
    assert!(
        said.contains("nobody is there to approve the plan") && said.contains("--yes"),
        "{said}"
    );
}

#[test]
fn a_plan_from_facts_contacts_nobody_and_is_the_same_every_time() {
    lab::engine::ensure().unwrap();
    let project = Project::new(MANIFEST);
    nothing_there(&project);
    let plan = project.succeeds(&["plan", "--version", "1", "--facts", "facts.json", "--json"]);
    let lines: Vec<Json> = plan
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["schema"] == 1), "{plan}");
    let document = lines.iter().find(|line| line["event"] == "plan").unwrap();
    let operations: Vec<&str> = document["steps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|step| step["effects"].as_array().unwrap())
        .map(|effect| effect["operation"].as_str().unwrap())
        .collect();
    assert_eq!(operations.first(), Some(&"lock.acquire"), "{operations:?}");
    assert!(
        operations.contains(&"docker.run") && operations.contains(&"docker.exec"),
        "{operations:?}"
    );
    let verdict = lines.last().unwrap();
    assert_eq!(
        (verdict["event"].as_str(), verdict["ok"].as_bool()),
        (Some("verdict"), Some(true))
    );
    let facts = std::fs::read_to_string(project.root().join("facts.json")).unwrap();
    let broken = facts.replace("\"schema\": 1", "\"schema\": 9");
    project.write("broken.json", broken);
    assert!(
        project
            .fails(1, &["plan", "--version", "1", "--facts", "broken.json"])
            .contains("expected \"schema\": 1")
    );
}

#[test]
fn the_plan_for_people_has_changes_and_calls_in_order_and_ends_with_the_verdict() {
    lab::engine::ensure().unwrap();
    let project = Project::new(MANIFEST);
    nothing_there(&project);
    let plan = project.succeeds(&["plan", "--version", "1", "--facts", "facts.json"]);
    let at = |text: &str| {
        plan.find(text)
            .unwrap_or_else(|| panic!("{text} is missing:\n{plan}"))
    };
    assert!(at("Changes\n") < at("Privileged calls, in order\n"));
    assert!(
        at("take the deploy lock .kamal/lock-hello") < at("run container hello-web-1 from hello:1")
    );
    assert!(at("run container hello-web-1") < at("kamal-proxy deploy hello-web"));
    assert!(
        plan.lines().last().unwrap().contains("nothing was changed"),
        "{plan}"
    );
}

#[test]
fn a_plain_secret_is_told_of_and_refused_with_its_line_where_the_project_is_strict() {
    lab::engine::ensure().unwrap();
    let project = Project::new(&format!(
        "{MANIFEST}env:\n  clear:\n    API_TOKEN: hunter2hunter2\n"
    ));
    nothing_there(&project);
    let told = project.succeeds(&["plan", "--version", "1", "--facts", "facts.json"]);
    assert!(told.contains("warning[plain-secret]"), "{told}");
    project.write(
        "plimsoll.yml",
        "plugins:\n  baseline-policy: {settings: {strict: true}}\n",
    );
    let said = project.fails(1, &["plan", "--version", "1"]);
    assert!(
        said.contains("error[plain-secret]") && said.contains("API_TOKEN"),
        "{said}"
    );
    assert!(
        said.contains("--> config/deploy.yml:")
            && said.contains("stopped by 1 mandatory policy violation"),
        "{said}"
    );
    assert!(
        !said.contains("hunter2hunter2"),
        "the value is not repeated: {said}"
    );
}

#[test]
fn somebody_elses_policy_stops_a_deploy_before_any_mutating_call() {
    let project = Project::new(MANIFEST);
    project.add_plugin("no-fridays", "policy", artifacts::NO_FRIDAYS, "");
    let unlocked = project.fails(1, &["deploy", "--yes", "--version", "1-friday"]);
    assert!(
        unlocked.contains("is not in plimsoll.lock")
            && unlocked.contains("plimsoll plugin lock no-fridays"),
        "{unlocked}"
    );
    project.succeeds(&["plugin", "lock"]);
    let said = project.fails(1, &["deploy", "--yes", "--version", "1-friday"]);
    assert!(
        said.contains(
            "error[no-fridays]: version 1-friday would be deployed on a Friday (policy no-fridays)"
        ),
        "{said}"
    );
    let journals = project.folder.path().join(".local/state/plimsoll/journal");
    assert!(!journals.exists(), "no privileged call was begun");
}

#[test]
fn a_policy_sees_the_plan_and_may_forbid_one_of_its_calls() {
    lab::engine::ensure().unwrap();
    let project = Project::new(MANIFEST);
    project.add_plugin(
        "no-fridays",
        "policy",
        artifacts::NO_FRIDAYS,
        "    settings: {forbid: docker.run}\n",
    );
    project.succeeds(&["plugin", "lock"]);
    let said = project.fails(1, &["deploy", "--yes", "--version", "1"]);
    assert!(
        said.contains("error[forbidden-operation]: docker.run on local is forbidden"),
        "{said}"
    );
    assert!(
        !project
            .folder
            .path()
            .join(".local/state/plimsoll/journal")
            .exists(),
        "no privileged call was begun"
    );
}

#[test]
fn a_component_that_changed_since_it_was_locked_is_refused() {
    let project = Project::new(MANIFEST);
    project.add_plugin("no-fridays", "policy", artifacts::NO_FRIDAYS, "");
    project.succeeds(&["plugin", "lock"]);
    project.write(
        "third.wasm",
        std::fs::read(artifacts::HOSTILE_RENDERER).unwrap(),
    );
    let said = project.fails(1, &["plan", "--version", "1"]);
    let digest = |file: &str| sha256(&std::fs::read(file).unwrap());
    assert!(
        said.contains(&digest(artifacts::NO_FRIDAYS))
            && said.contains(&digest(artifacts::HOSTILE_RENDERER)),
        "{said}"
    );
}

#[test]
fn a_renderer_that_imports_docker_is_refused_before_it_runs() {
    let project = Project::new(MANIFEST);
    project.add_plugin("greedy", "renderer", artifacts::GREEDY_RENDERER, "");
    project.succeeds(&["plugin", "lock"]);
    let said = project.fails(1, &["plan", "--version", "1"]);
    assert!(
        said.contains("plugin `greedy` is refused: it imports `docker`")
            && said.contains("hint: the fault is the plugin's"),
        "{said}"
    );
}

#[test]
fn a_renderer_cannot_make_the_host_run_what_is_not_a_hook_of_the_project() {
    let project = Project::new(MANIFEST);
    let marker = project.folder.path().join("escaped");
    let touch = format!("$(touch {})", marker.display());
    let hook = project.root().join(".kamal/hooks/pre-connect");
    project.write(".kamal/hooks/pre-connect", "#!/bin/bash\ntrue\n");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (hook, why) in [
        ("/bin/bash", "is not a hook of this project"),
        ("../../evil", "is not a hook of this project"),
        ("pre-connect", "not `BASH_ENV`"),
    ] {
        let settings =
            format!("    settings: {{hook: {hook}, variable: BASH_ENV, value: '{touch}'}}\n");
        project.add_plugin(
            "hostile",
            "renderer",
            artifacts::HOSTILE_RENDERER,
            &settings,
        );
        project.succeeds(&["plugin", "lock"]);
        let said = project.fails(1, &["plan", "--version", "1"]);
        assert!(said.contains(why), "{hook}: {said}");
        assert!(!marker.exists(), "{hook} escaped");
    }
}

#[test]
fn a_renderer_cannot_send_secrets_or_files_elsewhere_by_way_of_a_build() {
    let project = Project::new(&format!(
        "{MANIFEST}registry: {{server: reg.example.com, username: [USER], password: [PASSWORD]}}\n"
    ));
    project.write(
        ".kamal/secrets",
        "USER=u\nPASSWORD=canary-55d1\nDATABASE_URL=canary-66e2\n",
    );
    let own =
        "image: 'reg.example.com/hello:1', server: reg.example.com, secret: PASSWORD, context: .";
    for (twisted, why) in [
        (
            own.replace("reg.example.com/hello:1", "evil.example.com/x:1"),
            "make image `evil.example.com/x:1`",
        ),
        (
            own.replace("server: reg.example.com", "server: evil.example.com"),
            "log in at registry `evil.example.com`",
        ),
        (
            own.replace("secret: PASSWORD", "secret: DATABASE_URL"),
            "send secret `DATABASE_URL`",
        ),
        (
            own.replace("context: .", "context: /etc"),
            "build with the context `/etc`, which is outside",
        ),
    ] {
        project.add_plugin(
            "hostile",
            "renderer",
            artifacts::HOSTILE_RENDERER,
            &format!("    settings: {{{twisted}}}\n"),
        );
        project.succeeds(&["plugin", "lock"]);
        let said = project.fails(1, &["deploy", "--yes", "--version", "1"]);
        assert!(
            said.contains("plugin `hostile` is refused: it wants the host to")
                && said.contains(why),
            "{said}"
        );
        assert!(
            said.contains("hint: the fault is the plugin's") && !said.contains("canary-"),
            "{said}"
        );
    }
}

#[test]
fn a_hostile_step_title_cannot_drive_the_terminal_of_who_approves() {
    lab::engine::ensure().unwrap();
    let project = Project::new(MANIFEST);
    let grants = "    settings: {title: \"safe\\e[2J\\rreally\", promise: [{id: e, operation: docker.remove, subject: local, arguments: {name: \"x\\e[1A\"}}]}\n    grants: {docker: {hosts: [local], containers: [x]}, ssh: {hosts: [local]}, lock: [x], hook: [x], secrets: {X: [stdin]}}\n";
    project.add_plugin("hostile", "driver", artifacts::HOSTILE_DRIVER, grants);
    project.succeeds(&["plugin", "lock"]);
    let plan = project.succeeds(&["plan", "--version", "1"]);
    assert!(
        plan.contains("safe") && plan.contains("remove container x"),
        "{plan}"
    );
    assert!(!plan.contains('\u{1b}') && !plan.contains('\r'), "{plan:?}");
}

#[test]
fn inspect_tells_a_components_powers_in_words_without_running_it() {
    let project = Project::new(MANIFEST);
    let greedy = project.succeeds(&["plugin", "inspect", artifacts::GREEDY_RENDERER]);
    assert!(
        greedy.contains("role     renderer")
            && greedy.contains("docker     work with containers and images of granted hosts"),
        "{greedy}"
    );
    let policy = project.succeeds(&["plugin", "inspect", artifacts::NO_FRIDAYS]);
    assert!(policy.contains("nothing: it can only answer"), "{policy}");
    let json: Json =
        serde_json::from_str(&project.succeeds(&["plugin", "inspect", "ssh-driver", "--json"]))
            .unwrap();
    assert_eq!(json["role"], "driver");
    assert!(
        json["capabilities"]
            .as_array()
            .unwrap()
            .contains(&"docker".into()),
        "{json}"
    );
    let rubbish = project.root().join("Dockerfile");
    assert!(
        project
            .fails(1, &["plugin", "inspect", rubbish.to_str().unwrap()])
            .contains("does not begin like WebAssembly")
    );
}

#[test]
fn list_names_the_bundle_and_what_the_project_adds() {
    let project = Project::new(MANIFEST);
    project.add_plugin("no-fridays", "policy", artifacts::NO_FRIDAYS, "");
    project.succeeds(&["plugin", "lock"]);
    let listed = project.succeeds(&["plugin", "list"]);
    for name in [
        "ssh-renderer",
        "ssh-driver",
        "text-differ",
        "baseline-policy",
        "no-fridays",
    ] {
        assert!(listed.contains(name), "{listed}");
    }
}

#[test]
fn a_bare_h_is_help_and_h_with_a_value_selects_hosts() {
    let project = Project::new(MANIFEST);
    assert!(project.succeeds(&["deploy", "-h"]).contains("--skip-push"));
    assert!(
        project
            .succeeds(&["deploy", "--help"])
            .contains("--skip-push")
    );
    let said = project.fails(1, &["plan", "-h", "nosuchhost", "--version", "1"]);
    assert!(said.contains("No --hosts match for nosuchhost"), "{said}");
    project.fails(2, &["deploy", "--bogus"]);
}

#[test]
fn a_version_that_git_cannot_tell_is_asked_for() {
    let project = Project::new(MANIFEST);
    let said = project.fails(1, &["plan"]);
    assert!(
        said.contains("no git repository") && said.contains("--version"),
        "{said}"
    );
}

#[test]
fn an_unreachable_host_is_named_with_its_port() {
    let manifest = MANIFEST.replace("- local", "- 127.0.0.9")
        + "ssh:\n  port: 9\nregistry:\n  server: 127.0.0.1:9\n  username: u\n  password: [P]\n";
    let project = Project::new(&manifest);
    project.write(".kamal/secrets", "P=x\n");
    let said = project.fails(1, &["plan", "--version", "1"]);
    assert!(
        said.contains("host 127.0.0.9 can't be reached on port 9"),
        "{said}"
    );
}

#[test]
fn errors_are_json_too_when_json_is_asked_for() {
    let project = Project::new("service: [\n");
    let output = project.run(&["plan", "--json"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let last: Json = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    assert_eq!(
        (last["event"].as_str(), last["schema"].as_u64()),
        (Some("error"), Some(1))
    );
    assert!(!Path::new(&project.root().join("plimsoll.lock")).exists());
}

#[test]
fn a_symlink_called_kamal_answers_as_kamal() {
    let project = Project::new(MANIFEST);
    let kamal = project.folder.path().join("kamal");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_plimsoll"), &kamal).unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(&kamal)
            .args(arguments)
            .current_dir(project.root())
            .env("HOME", project.folder.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    for (arguments, code, said) in [
        (&["version"][..], 0, "2.12.0\n"),
        (&["help", "deploy"], 0, "kamal deploy"),
        (&["tree"], 0, "├─ accessory"),
        (&["docs", "boot"], 0, "parallel_roles"),
        (
            &["deploy", "--bogus"],
            1,
            "was called with arguments [\"--bogus\"]",
        ),
        (&["deplyo"], 1, "Could not find command \"deplyo\""),
        (
            &["lock", "acquire"],
            1,
            "No value provided for required options '--message'",
        ),
        (&["remove"], 0, "Aborted"),
        (
            &[
                "secrets",
                "fetch",
                "-a",
                "test",
                "--account",
                "x",
                "--from",
                "V",
                "terces",
            ],
            0,
            "{\"V/terces\":\"secret/V\"}\n",
        ),
        (
            &["secrets", "fetch", "-a", "test", "x"],
            0,
            "No value provided for required options '--account'",
        ),
        (&["secrets", "extract", "A", "{\"x/A\":\"1\"}"], 0, "1\n"),
        (
            &["secrets", "extract", "B", "{}"],
            1,
            "Could not find secret B",
        ),
    ] {
        let (got, text) = run(arguments);
        assert_eq!(got, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}

#[test]
fn kamals_commands_answer_below_plimsolls_name_too() {
    let project = Project::new(MANIFEST);
    assert!(
        project
            .succeeds(&["app", "logs", "-h"])
            .contains("Usage:\n  plimsoll app logs")
    );
    assert!(
        project
            .succeeds(&["kamal", "help"])
            .contains("kamal rollback [VERSION]")
    );
    assert!(
        project
            .fails(2, &["rollback"])
            .contains("\"plimsoll rollback\" was called with no arguments")
    );
    assert!(project.succeeds(&["--help"]).contains("rollback, secrets"));
}

#[test]
fn who_asks_for_what_there_is_not_of_copilot_hears_what_there_is() {
    let project = Project::new(MANIFEST);
    let said = project.fails(2, &["copilot", "env", "init"]);
    assert!(said.contains("svc deploy, svc package"), "{said}");
    let said = project.fails(2, &["env", "init"]);
    assert!(!said.contains("svc package"), "{said}");
}

#[test]
fn an_alias_of_the_project_is_a_command() {
    let project = Project::new(&format!(
        "{MANIFEST}aliases:\n  v: version\n  round: round\n"
    ));
    assert_eq!(project.succeeds(&["kamal", "v"]), "2.12.0\n");
    assert!(project.fails(1, &["kamal", "round"]).contains("circle"));
}

#[test]
fn secrets_files_fetch_from_vaults_without_a_kamal_on_the_path() {
    let project = Project::new(MANIFEST);
    project.write(
        ".kamal/secrets",
        "ALL=$(kamal secrets fetch --adapter test --account me 'a b' C)\nA=$(kamal secrets extract 'a b' $ALL)\nC=$(kamal secrets extract C $ALL)\n",
    );
    let printed = project.succeeds(&["kamal", "secrets", "print"]);
    assert!(
        printed.contains("\nC=C\n") && printed.contains("A=b a\n"),
        "{printed}"
    );
}
