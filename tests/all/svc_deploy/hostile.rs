//! A renderer of somebody else's in a Copilot workspace: it learns nothing that the manifest does not name, and what it
//! wants of the host beyond the manifest is refused before anybody is asked, and before anything is built or uploaded.

use serde_json::{Value as Json, json};

use super::{CANARY, Stage};
use crate::support::sha256;

const SVC: [&str; 7] = ["svc", "deploy", "-n", "api", "-e", "test", "--yes"];

struct Hostile(Stage);

impl Hostile {
    fn new() -> Self {
        let stage = Stage::new();
        let manifest = "name: api\ntype: Backend Service\nimage:\n  build: api/Dockerfile\n  port: 80\ncpu: 256\nmemory: 512\n\
            env_file: api.env\nvariables: {GREETING: '${GREETING}'}\n";
        stage.write("copilot/api/manifest.yml", manifest);
        stage.write("api/Dockerfile", "FROM scratch\n");
        stage.write("api.env", "A=1\n");
        stage.write(".env", "TOKEN=hidden\n");
        let guest = std::fs::read(artifacts::HOSTILE_RENDERER).unwrap();
        std::fs::write(stage.workspace.join("third.wasm"), guest).unwrap();
        Self(stage)
    }

    /// What is said when it wants this.
    fn wants(&self, wanted: &Json) -> String {
        let settings = json!({"copilot": wanted});
        self.0.write(
            "plimsoll.yml",
            &format!("plugins:\n  hostile:\n    from: file:third.wasm\n    role: renderer\n    settings: {settings}\n"),
        );
        self.0.succeed(&["plugin", "lock"]);
        self.0.double.forget_requests();
        let mut command = self.0.command(&SVC);
        command.env("GREETING", "hello").env("OTHER", "other-value");
        let said = super::said(command);
        self.0.shows_no_secret(&said);
        assert_eq!(said.code, Some(1), "{wanted}: {said}");
        let requests = self.0.double.requests();
        let changes = ["CreateChangeSet", "PUT ", "UpdateService"];
        let changed = requests.iter().find(|request| {
            changes
                .iter()
                .any(|change| request.action.starts_with(change))
        });
        assert!(changed.is_none(), "{wanted}: {changed:?}");
        format!("{}{}", said.stdout, said.stderr)
    }

    /// A deployment that is as it should be.
    fn deployment(&self) -> Json {
        let double = &self.0.double;
        json!({
            "application": "shop", "environment": "test", "workload": "api", "type": "Backend Service",
            "region": double.region(), "stack": "shop-test-api", "environment-stack": "shop-test",
            "bucket": double.bucket("shop").unwrap(),
            "execution-role": format!("arn:aws:iam::{}:role/shop-test-CFNExecutionRole", double.account()),
            "uploads": [],
        })
    }
}

#[test]
fn it_learns_only_what_the_manifest_names() {
    let hostile = Hostile::new();
    let said =
        hostile.wants(&json!({"needs": [["variable", "AWS_SECRET_ACCESS_KEY"]], "tell": true}));
    assert!(
        said.contains("it wants the host to tell it the variable `AWS_SECRET_ACCESS_KEY`, which the manifest does not name"),
        "{said}"
    );
    let said = hostile.wants(&json!({"tell": true, "needs": [
        ["variable", "GREETING"], ["digest", "api.env"], ["digest", ".env"], ["path", "."], ["path", "/etc"],
        ["asset", ".env"], ["asset", "/etc/passwd"], ["file", "/etc/passwd"], ["secret", "ssm:/other"], ["hook", "x"],
    ]}));
    for told in ["learned: ", "hello", &sha256(b"A=1\n")] {
        assert!(said.contains(told), "{told}: {said}");
    }
    for hidden in [
        &sha256(b"TOKEN=hidden\n")[..],
        "third.wasm",
        "root:",
        "passwd\":{\"archive",
        "other-value",
        CANARY,
    ] {
        assert!(!said.contains(hidden), "{hidden}: {said}");
    }
}

#[test]
fn it_does_not_get_another_stack_role_bucket_or_file() {
    let hostile = Hostile::new();
    let bucket = hostile.0.double.bucket("shop").unwrap();
    let upload = |key: &str, source: Json| json!([{"key": key, "source": source}]);
    let asset = "manual/addons/api/assets/x";
    for (key, value, why) in [
        ("stack", json!("shop-test-web"), "stack \"shop-test-web\""),
        ("stack", json!("shop-test"), "stack \"shop-test\""),
        (
            "environment-stack",
            json!("shop-infrastructure-roles"),
            "stack \"shop-infrastructure-roles\"",
        ),
        ("region", json!("us-gov-west-1"), "region \"us-gov-west-1\""),
        (
            "execution-role",
            json!("arn:aws:iam::123456789012:role/Admin"),
            "passing role",
        ),
        (
            "uploads",
            upload("manual/addons/web/x.yml", json!({"document": "stack/api"})),
            "manual/addons/web/x.yml",
        ),
        (
            "uploads",
            upload("manual/env-files/x/1.env", json!({"file": ".env"})),
            "uploading file \".env\"",
        ),
        (
            "uploads",
            upload(asset, json!({"archive": "."})),
            "uploading file \".\"",
        ),
        (
            "uploads",
            upload(asset, json!({"archive": "../.."})),
            "uploading file \"../..\"",
        ),
        (
            "uploads",
            upload(asset, json!({"file": "/etc/passwd"})),
            "uploading file \"/etc/passwd\"",
        ),
    ] {
        let mut deployment = hostile.deployment();
        deployment[key] = value;
        let said = hostile.wants(&json!({"deployment": deployment}));
        assert!(
            said.contains("plugin `hostile` is refused: it wants the host to use")
                && said.contains(why),
            "{why}: {said}"
        );
        assert!(said.contains("hint: the fault is the plugin's"), "{said}");
    }
    let mut elsewhere = hostile.deployment();
    elsewhere["bucket"] = json!("evil");
    elsewhere["uploads"] = upload(asset, json!({"document": "stack/api"}));
    let said = hostile.wants(&json!({"deployment": elsewhere}));
    assert!(
        said.contains("object \"evil/") && !said.contains(&format!("object \"{bucket}")),
        "{said}"
    );
}

#[test]
fn it_does_not_get_another_image_build_or_hook() {
    let hostile = Hostile::new();
    let account = hostile.0.double.account();
    let region = hostile.0.double.region();
    let own = format!("{account}.dkr.ecr.{region}.amazonaws.com/shop/api:latest");
    let other = own.replace("shop/api", "shop/web");
    let honest = json!({"image": own, "context": "api", "dockerfile": "api/Dockerfile"});
    for (key, value, why) in [
        (
            "image",
            json!("evil.example.com/x:1"),
            "make image `evil.example.com/x:1`",
        ),
        ("image", json!(other), "shop/web:latest`"),
        (
            "context",
            json!("."),
            "context `.`, which the manifest does not name",
        ),
        ("context", json!("/etc"), "context `/etc`, which is outside"),
        (
            "dockerfile",
            json!("../Dockerfile"),
            "Dockerfile `../Dockerfile`, which is outside",
        ),
        ("secret", json!("TOKEN"), "build argument `A`"),
        (
            "variable",
            json!("AWS_SECRET_ACCESS_KEY"),
            "build argument `A`",
        ),
        (
            "remote",
            json!("tcp://evil.example.com:2376"),
            "something else than this machine's Docker Engine",
        ),
        (
            "cache-from",
            json!(["type=local,src=/"]),
            "take layers from `type=local,src=/`",
        ),
        (
            "cache-to",
            json!(["type=registry,ref=evil.example.com/x"]),
            "put layers into the cache",
        ),
    ] {
        let mut build = honest.clone();
        build[key] = value;
        let said = hostile.wants(&json!({"deployment": hostile.deployment(), "build": build}));
        assert!(
            said.contains("plugin `hostile` is refused: it wants the host to")
                && said.contains(why),
            "{why}: {said}"
        );
    }
    let said = hostile.wants(&json!({"deployment": hostile.deployment(), "hook": "/bin/sh"}));
    assert!(
        said.contains("run hook `/bin/sh`, and there are none"),
        "{said}"
    );
}
