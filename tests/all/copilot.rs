//! Copilot's commands against an AWS on this machine: what they gather, what they refuse, what they deploy.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use aws_double::record::sequential;
use aws_double::seed::{Application, Environment};
use aws_double::{Double, Options, Rule};

use crate::support::Folder;

/// A service that needs no Docker Engine.
const API: &str = "name: api
type: Backend Service
image:
  location: public.ecr.aws/docker/library/httpd:2
  port: 80
cpu: 256
memory: 512
";

/// A workspace and its AWS.
struct Cloud {
    folder: Folder,
    double: Double,
}

impl Cloud {
    fn new(application: &Application) -> Self {
        let double = Double::start(Options::default()).unwrap();
        double.seed(application).unwrap();
        let folder = Folder::new();
        folder.write("shop/copilot/.workspace", "application: shop\n");
        folder.write("shop/copilot/api/manifest.yml", API);
        Self { folder, double }
    }

    fn shop() -> Self {
        Self::new(&Application::new("shop", "test").workload("api", "Backend Service"))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command
            .args(line.split(' '))
            .current_dir(self.folder.path().join("shop"))
            .env_clear()
            .env("HOME", self.folder.path())
            .env(
                "XDG_CACHE_HOME",
                std::env::temp_dir().join("plimsoll-test-cache"),
            )
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.double.environment())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.double.forget_requests();
        self.command(line).output().unwrap()
    }

    /// Standard output of a run that must end with this code.
    fn prints(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a run that must end with this code.
    fn says(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        said
    }

    /// Requests that change something, or send something.
    fn changes(&self) -> Vec<String> {
        let harmless = ["Describe", "Get", "List", "AssumeRole"];
        let requests = self.double.requests().into_iter();
        requests
            .map(|request| format!("{} {}", request.service, request.action))
            .filter(|name| {
                let action = name.split(' ').nth(1).unwrap_or_default();
                !harmless.iter().any(|start| action.starts_with(start)) && !name.contains("GET ")
            })
            .collect()
    }
}

#[test]
fn everything_is_gathered_in_at_most_four_round_trips() {
    let cloud = Cloud::shop();
    // Long enough that requests that are sent together are seen together.
    let slow = Rule::request("*", "*").delayed(Duration::from_millis(300));
    cloud.double.rule(slow);
    let template = cloud.prints(0, "svc package --name api --env test");
    assert!(template.contains("AWS::ECS::Service"), "{template}");
    let trips = sequential(&cloud.double.requests());
    assert!(trips <= 4, "{trips}: {:#?}", cloud.double.requests());
    assert_eq!(cloud.changes(), Vec::<String>::new());
}

#[test]
fn several_workloads_take_no_more_round_trips_than_one() {
    let application = Application::new("shop", "test")
        .workload("api", "Backend Service")
        .workload("web", "Backend Service");
    let cloud = Cloud::new(&application);
    let web = API.replace("name: api", "name: web");
    cloud.folder.write("shop/copilot/web/manifest.yml", web);
    let slow = Rule::request("*", "*").delayed(Duration::from_millis(1500));
    cloud.double.rule(slow);
    let shown = cloud.says(1, "deploy --all --env test");
    assert!(shown.contains("--yes"), "{shown}");
    let trips = sequential(&cloud.double.requests());
    assert!(trips <= 4, "{trips}: {:#?}", cloud.double.requests());
    assert_eq!(cloud.changes(), Vec::<String>::new());
}

#[test]
fn a_profile_with_an_mfa_device_asks_for_its_code_or_says_that_nobody_is_there() {
    let cloud = Cloud::shop();
    let (key, secret) = cloud.double.keys();
    cloud.folder.write(
        ".aws/config",
        "[profile ops]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/ops\n\
         mfa_serial = arn:aws:iam::123456789012:mfa/ada\nsource_profile = ada\n",
    );
    let credentials =
        format!("[ada]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    cloud.folder.write(".aws/credentials", credentials);
    cloud.double.forget_requests();
    let mut command = cloud.command("svc package --name api --env test");
    for variable in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ] {
        command.env_remove(variable);
    }
    let output = command.env("AWS_PROFILE", "ops").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [
        "profile `ops` needs a code of MFA device arn:aws:iam::123456789012:mfa/ada",
        "hint: run it in a terminal",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(output.status.code(), Some(1));
    assert!(cloud.double.requests().is_empty());
}

#[test]
fn certificates_of_the_user_are_read_before_aws_is_asked() {
    let cloud = Cloud::shop();
    let mut command = cloud.command("svc package --name api --env test");
    let output = command
        .env("AWS_CA_BUNDLE", "/nowhere.pem")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("AWS_CA_BUNDLE names /nowhere.pem, which can't be read"),
        "{said}"
    );
}

#[test]
fn the_manager_role_is_cut_down_to_the_workload() {
    let cloud = Cloud::shop();
    cloud.prints(0, "svc package --name api --env test");
    let policies = cloud.double.session_policies();
    let policy = policies.iter().flatten().next().expect("there is one");
    assert!(policy.contains(":stack/shop-test-api/*"), "{policy}");
    assert!(policy.len() <= 2048);
}

#[test]
fn what_is_missing_is_named_with_its_cure() {
    let cloud = Cloud::shop();
    for (line, words) in [
        (
            "svc package --name api --env prod",
            "has no environment `prod`",
        ),
        ("svc package --name web --env test", "it has api"),
        (
            "svc package --name api --env test --app other",
            "there is no application `other`",
        ),
        ("job deploy --name api --env test --yes", "use `svc deploy"),
        ("job deploy --env test --yes", "no job of this workspace"),
    ] {
        let said = cloud.says(1, line);
        assert!(
            said.contains(words) && said.contains("hint: "),
            "{line}: {said}"
        );
    }
    let unknown = cloud
        .command("svc package --name api --env test")
        .env_remove("AWS_REGION")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("hint: set AWS_REGION"), "{said}");
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let application = Application::new("shop", "test")
        .environment(Environment::new("prod"))
        .workload("api", "Backend Service");
    let cloud = Cloud::new(&application);
    let said = cloud.says(1, "svc deploy --name api");
    assert!(said.contains("--env: prod, test"), "{said}");
    let auto = cloud.command("svc package --env test").output().unwrap();
    let said = String::from_utf8_lossy(&auto.stderr).into_owned();
    assert!(
        said.contains("Only found one option, defaulting to: api"),
        "{said}"
    );
}

#[test]
fn an_environment_that_is_not_deployed_and_a_newer_workload_are_refused() {
    let old = Environment {
        version: "bootstrap".to_owned(),
        ..Environment::new("empty")
    };
    let application = Application::new("shop", "test")
        .environment(old)
        .workload("api", "Backend Service");
    let cloud = Cloud::new(&application);
    let said = cloud.says(1, "svc package --name api --env empty");
    assert!(said.contains("undeployed environment `empty`"), "{said}");

    let newer = "Metadata: {Version: v9.0.0}\nResources: {Topic: {Type: 'AWS::SNS::Topic'}}\n";
    cloud
        .double
        .create_stack("shop-test-api", newer, &[], &[])
        .unwrap();
    let said = cloud.says(1, "svc package --name api --env test");
    assert!(said.contains("cannot downgrade workload \"api\""), "{said}");
    assert!(said.contains("--allow-downgrade"), "{said}");
    cloud.prints(0, "svc package --name api --env test --allow-downgrade");
}

#[test]
fn secrets_that_are_missing_are_all_named_before_anything_is_done() {
    let cloud = Cloud::shop();
    let secrets = "secrets:\n  A: /shop/gone\n  B:\n    secretsmanager: shop/gone\n";
    cloud
        .folder
        .write("shop/copilot/api/manifest.yml", format!("{API}{secrets}"));
    let said = cloud.says(1, "svc deploy --name api --env test --yes");
    for words in [
        "there is no parameter `/shop/gone`",
        "manifest.yml:9:",
        "there is no secret `shop/gone`",
        "manifest.yml:11:",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(cloud.changes(), Vec::<String>::new());
}

#[test]
fn a_refused_or_silent_aws_is_explained() {
    let cloud = Cloud::shop();
    for (rule, words) in [
        (
            Rule::request("ssm", "GetParameter").refused(
                400,
                "AccessDeniedException",
                "User x is not authorized to perform: ssm:GetParameter",
            ),
            "let whoever calls do this",
        ),
        (
            Rule::request("sts", "*").refused(403, "ExpiredToken", "The security token expired"),
            "log in again",
        ),
    ] {
        cloud.double.forget_rules();
        cloud.double.rule(rule);
        let said = cloud.says(1, "svc package --name api --env test");
        assert!(said.contains(words), "{said}");
        let (_, secret) = cloud.double.keys();
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_service_is_deployed_and_then_there_is_nothing_to_do() {
    let cloud = Cloud::shop();
    let shown = cloud.says(1, "svc deploy --name api --env test");
    assert!(
        shown.contains("--yes") && cloud.changes().is_empty(),
        "{shown}"
    );
    let said = cloud.prints(0, "svc deploy --name api --env test --yes");
    assert!(said.contains("Deployed service api."), "{said}");
    assert!(
        said.contains("api.test.shop.local:80 with service discovery"),
        "{said}"
    );
    assert_eq!(
        cloud.double.stack_status("shop-test-api").as_deref(),
        Some("CREATE_COMPLETE")
    );
    let again = cloud.prints(0, "svc deploy --name api --env test --yes");
    assert!(again.contains("No changes"), "{again}");
    let difference = cloud.prints(0, "svc package --name api --env test --diff");
    assert_eq!(difference, "No changes.\n");
}

#[test]
fn a_difference_is_shown_before_anybody_is_asked() {
    let cloud = Cloud::shop();
    let output = cloud.run("svc deploy --name api --env test --diff");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        out.contains("+ Resources:") && err.contains("--diff-yes"),
        "{out}{err}"
    );
    assert_eq!(cloud.changes(), Vec::<String>::new());
    let done = cloud.prints(
        0,
        "copilot svc deploy --name api --env test --diff-yes --tag v1",
    );
    assert!(
        done.contains("+ Resources:") && done.contains("Deployed service api."),
        "{done}"
    );
}

#[test]
fn several_workloads_are_deployed_in_the_order_of_their_groups() {
    let application = Application::new("shop", "test")
        .workload("api", "Backend Service")
        .workload("web", "Backend Service");
    let cloud = Cloud::new(&application);
    let web = API.replace("name: api", "name: web");
    cloud.folder.write("shop/copilot/web/manifest.yml", web);
    let output = cloud.run("deploy --name web/1,api --env test --yes");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(
        err.contains("Will deploy 2 workloads in the following order.\n1. web\n2. api"),
        "{err}"
    );
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let at = |name: &str| out.find(&format!("Deployed service {name}."));
    assert!(at("web").is_some() && at("web") < at("api"), "{out}");
}
