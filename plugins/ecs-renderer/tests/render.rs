//! What manifests become, and what is refused: the renderer from outside, with manifests of our own.

use ecs_renderer::cfn::explain;
use ecs_renderer::yaml::{self, Node};
use ecs_renderer::{Diagnostic, Facts, File, Package, Request, Severity, package};
use std::collections::{BTreeMap, BTreeSet};

const FACTS: &str = r#"{
  "schema": 1,
  "application": {"name": "shop"},
  "environment": {
    "name": "test", "account_id": "123456789012", "region": "eu-west-1", "version": "v1.42.0",
    "features": ["ALBWorkloads", "Aliases", "AppRunnerPrivateWorkloads", "EFSWorkloads", "InternalALBWorkloads", "NATWorkloads"],
    "service_discovery_endpoint": "test.shop.local",
    "manifest": {"name": "test", "type": "Environment"}
  },
  "artifacts": {"bucket": "artifacts", "kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/k"},
  "root_user_arn": "arn:aws:iam::123456789012:root",
  "template_version": "v1.29.0",
  "unique_id": "5a1f0c3e-7b52-4d1c-9a6e-2f4b8c0d1e37",
  "static_site": {"asset_mapping_url": "s3://artifacts/mapping"}
}"#;

const WEB: &str =
    "name: api\ntype: Load Balanced Web Service\nimage: {build: Dockerfile, port: 8080}\n";
const BACKEND: &str = "name: api\ntype: Backend Service\nimage: {build: Dockerfile, port: 8080}\n";
const WORKER: &str = "name: api\ntype: Worker Service\nimage: {build: Dockerfile}\n";
const JOB: &str = "name: api\ntype: Scheduled Job\nimage: {build: Dockerfile}\n";
const RUNNER: &str =
    "name: api\ntype: Request-Driven Web Service\nimage: {build: Dockerfile, port: 8080}\n";
const SITE: &str = "name: api\ntype: Static Site\n";

/// A project under test.
struct Project {
    manifest: String,
    addons: Vec<File>,
    overrides: Vec<File>,
    variables: BTreeMap<String, String>,
    facts: Facts,
    strict: bool,
}

impl Project {
    fn new(base: &str, rest: &str) -> Project {
        Project {
            manifest: format!("{base}{rest}"),
            addons: Vec::new(),
            overrides: Vec::new(),
            variables: BTreeMap::new(),
            facts: Facts::parse(FACTS).expect("the facts are valid"),
            strict: false,
        }
    }

    fn addon(mut self, name: &str, text: &str) -> Project {
        let path = format!("copilot/api/addons/{name}");
        self.addons.push(File {
            path,
            text: text.to_owned(),
        });
        self
    }

    fn patches(mut self, text: &str) -> Project {
        let path = "copilot/api/overrides/cfn.patches.yml".to_owned();
        self.overrides.push(File {
            path,
            text: text.to_owned(),
        });
        self
    }

    fn facts(mut self, change: impl FnOnce(&mut Facts)) -> Project {
        change(&mut self.facts);
        self
    }

    fn render(&self) -> Result<Package, Vec<Diagnostic>> {
        let manifest = File {
            path: "copilot/api/manifest.yml".to_owned(),
            text: self.manifest.clone(),
        };
        package(&Request {
            workload: "api",
            environment: "test",
            manifest: &manifest,
            addons: &self.addons,
            overrides: &self.overrides,
            variables: &self.variables,
            paths: Some(&BTreeSet::from(["public/index.html".to_owned()])),
            facts: &self.facts,
            strict: self.strict,
        })
    }

    fn template(&self) -> Node {
        let package = self
            .render()
            .unwrap_or_else(|found| panic!("refused: {}", report(&found)));
        yaml::parse(&package.template, 0).expect("templates are YAML")
    }

    fn refusal(&self) -> String {
        match self.render() {
            Ok(_) => panic!("accepted: {}", self.manifest),
            Err(found) => report(&found),
        }
    }

    fn warnings(&self) -> String {
        report(
            &self
                .render()
                .unwrap_or_else(|found| panic!("refused: {}", report(&found)))
                .warnings,
        )
    }
}

fn report(found: &[Diagnostic]) -> String {
    found
        .iter()
        .map(Diagnostic::render)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The text at a path of keys and indexes below `Resources`.
fn at<'a>(template: &'a Node, path: &str) -> Option<&'a Node> {
    let resources = template.get("Resources")?;
    path.split('/')
        .try_fold(resources, |node, key| match node.items() {
            Some(items) => items.get(key.parse::<usize>().ok()?),
            None => node.get(key),
        })
}

#[track_caller]
fn assert_text(template: &Node, path: &str, wanted: &str) {
    let found = at(template, path).unwrap_or_else(|| panic!("nothing at {path}"));
    assert_eq!(found.text(), Some(wanted), "{path}");
}

fn with_certificates(facts: &mut Facts, side: &str, names: &[&str]) {
    facts.environment.manifest = serde_json::json!({
        "name": "test", "type": "Environment", "http": { side: { "certificates": ["cert"] } }
    });
    let names = names.iter().map(|n| (*n).to_owned()).collect();
    facts.certificates.insert(
        "cert".to_owned(),
        ecs_renderer::facts::Certificate { names },
    );
}

fn with_load_balancer(facts: &mut Facts) {
    facts.load_balancers = serde_json::from_value(serde_json::json!([{
        "arn": "arn:lb", "name": "shared", "dns_name": "lb.example", "hosted_zone_id": "Z1", "scheme": "internet-facing",
        "security_groups": ["sg-1"],
        "listeners": [{"arn": "arn:listener", "port": 80, "protocol": "HTTP"}]
    }]))
    .expect("a load balancer");
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    let project = Project::new(
        WEB,
        "http: {path: /}\nvariables: {B: '2', A: '1'}\ncount: {range: 1-2, requests: 5}\n",
    );
    let (first, second) = (
        project.render().expect("valid"),
        project.render().expect("valid"),
    );
    assert_eq!(first.template, second.template);
    assert_eq!(first.parameters, second.parameters);
}

#[test]
fn manifest_fields_become_properties() {
    let container = "TaskDefinition/Properties/ContainerDefinitions/0";
    for (base, rest, path, wanted) in [
        (
            WEB,
            "http: {path: admin}\n",
            "HTTPListenerRule/Properties/Conditions/0/PathPatternConfig/Values/1",
            "/admin/*",
        ),
        (
            WEB,
            "http: {path: /, deregistration_delay: 2m}\n",
            "TargetGroup/Properties/TargetGroupAttributes/0/Value",
            "120",
        ),
        (
            WEB,
            "http: {path: /, version: gRPC}\n",
            "TargetGroup/Properties/ProtocolVersion",
            "GRPC",
        ),
        (
            WEB,
            "http: false\nnlb: {port: 99/udp}\n",
            "NLBListener/Properties/Protocol",
            "UDP",
        ),
        (
            BACKEND,
            "cpu: 512\nmemory: 1024\nexec: true\n",
            "Service/Properties/EnableExecuteCommand",
            "true",
        ),
        (
            BACKEND,
            "platform: windows/x86_64\ncpu: 1024\nmemory: 2048\n",
            "Service/Properties/PlatformVersion",
            "1.0.0",
        ),
        (
            BACKEND,
            "network: {vpc: {placement: private}}\n",
            "EnvControllerAction/Properties/Parameters/0",
            "NATWorkloads",
        ),
        (
            BACKEND,
            "count: {range: {min: 2, max: 9, spot_from: 4}, cpu_percentage: 5}\n",
            "Service/Properties/CapacityProviderStrategy/1/Base",
            "3",
        ),
        (
            BACKEND,
            "deployment: {rolling: Recreate}\n",
            "Service/Properties/DeploymentConfiguration/MinimumHealthyPercent",
            "0",
        ),
        (
            WORKER,
            "count: {range: 1-2, queue_delay: {acceptable_latency: 10s, msg_processing_time: 250ms}}\n",
            "AutoScalingPolicyEventsQueue/Properties/TargetTrackingScalingPolicyConfiguration/TargetValue",
            "40",
        ),
        (
            JOB,
            "on: {schedule: none}\n",
            "Rule/Properties/State",
            "DISABLED",
        ),
        (
            RUNNER,
            "tags: {cost: 42}\n",
            "Service/Properties/Tags/3/Value",
            "42",
        ),
        (
            SITE,
            "files: [{source: public}]\n",
            "TriggerStateMachineAction/Properties/AssetMappingFilePath",
            "mapping",
        ),
    ] {
        assert_text(&Project::new(base, rest).template(), path, wanted);
    }
    let template = Project::new(BACKEND, "command: [serve, '80', 'a, b']\n").template();
    assert_text(&template, &format!("{container}/Command/1"), "80");
    assert_text(&template, &format!("{container}/Command/2"), "a, b");
}

#[test]
fn a_worker_gets_a_queue_of_its_own_for_a_topic() {
    let subscribe = "subscribe:\n  topics:\n    - {name: order-events, service: my-shop, queue: {dead_letter: {tries: 3}, fifo: true}}\n";
    let project = Project::new(WORKER, subscribe).facts(|facts| {
        facts.topics = vec![
            "arn:aws:sns:eu-west-1:123456789012:shop-test-my-shop-order-events.fifo".to_owned(),
        ];
    });
    let template = project.template();
    let id = "myshopordereventsfifo";
    assert_text(
        &template,
        &format!("{id}EventsQueue/Properties/RedrivePolicy/maxReceiveCount"),
        "3",
    );
    assert_text(
        &template,
        &format!("{id}DeadLetterQueue/Properties/FifoQueue"),
        "true",
    );
    assert_text(
        &template,
        &format!("{id}SNSTopicSubscription/Properties/Protocol"),
        "sqs",
    );
}

#[test]
fn everything_wrong_is_said_at_once_with_its_place_and_cure() {
    let refusal = Project::new(
        BACKEND,
        "platform: os2/warp\nstorage: {ephemeral: 5}\ncount: {spot: 1, range: 1-2}\n",
    )
    .refusal();
    for words in [
        "os2/warp",
        "storage.ephemeral",
        "count.spot",
        "manifest.yml:4:11",
        "hint:",
    ] {
        assert!(refusal.contains(words), "{words} in {refusal}");
    }
}

#[test]
fn manifests_copilot_refuses_are_refused() {
    for (base, rest, words) in [
        (WEB, "", "`http` must be specified"),
        (WEB, "http: {path: /, hosted_zone: Z}\n", "hosted_zone"),
        (
            WEB,
            "http: {path: /, allowed_source_ips: [1.2.3.4]}\n",
            "1.2.3.4",
        ),
        (
            WEB,
            "http: {path: /, target_container: x}\nsidecars: {x: {image: i}}\n",
            "does not expose a port",
        ),
        (WEB, "http: {path: /, alb: nobody}\n", "nobody"),
        (
            WEB,
            "http: {path: /, healthcheck: {grace_period: 1s}}\nnlb: {port: 1, healthcheck: {grace_period: 1s}}\n",
            "grace_period",
        ),
        (
            WEB,
            "http: false\nnlb: {port: 1, additional_listeners: [{target_port: 2}]}\n",
            "nlb.additional_listeners[0].port",
        ),
        (BACKEND, "image: {port: 80}\n", "appears twice"),
        (
            BACKEND,
            "sidecars: {x: {image: i, port: 8080}}\n",
            "same port 8080",
        ),
        (BACKEND, "sidecars: {x: {port: 1}}\n", "sidecars.x.image"),
        (
            BACKEND,
            "sidecars: {x: {image: i, depends_on: {y: start}}, y: {image: i, depends_on: {x: start}}}\n",
            "wait for itself",
        ),
        (BACKEND, "entrypoint: \"open 'quote\"\n", "entrypoint"),
        (BACKEND, "variables: {A: {form_cfn: x}}\n", "variables.A"),
        (BACKEND, "count: {range: 1-2, cpu_percentage: 101}\n", "101"),
        (
            BACKEND,
            "count: {range: 1-2, cpu_percentage: {cooldown: {in: 1s}}}\n",
            "count.cpu_percentage.value",
        ),
        (BACKEND, "platform: linux/arm64\ncount: {spot: 2}\n", "Spot"),
        (BACKEND, "exec: maybe\n", "exec"),
        (BACKEND, "variables: [a]\n", "must be a map"),
        (BACKEND, "storage: {volumes: {v: {path: 'a b'}}}\n", "a b"),
        (
            BACKEND,
            "taskdef_overrides: [{path: 'A[', value: 1}]\n",
            "A[",
        ),
        (
            BACKEND,
            "taskdef_overrides: [{path: 'ContainerDefinitions[0].Name', value: x}]\n",
            "cannot be overridden",
        ),
        (
            BACKEND,
            "environments: {other: {cpu: lots}}\n",
            "environments.other.cpu",
        ),
        (
            BACKEND,
            "publish: {topics: [{fifo: true}]}\n",
            "publish.topics[0].name",
        ),
        (
            WORKER,
            "count: {range: 1-2, queue_delay: {cooldown: {in: 1s}}}\n",
            "acceptable_latency",
        ),
        (
            WORKER,
            "subscribe: {queue: {fifo: {high_throughput: true, throughput_limit: perQueue}}}\n",
            "high_throughput",
        ),
        (JOB, "on: {schedule: '0 9 1 * 1'}\n", "day of week"),
        (JOB, "on: {schedule: '@daily'}\ntimeout: 5\n", "timeout"),
        (RUNNER, "observability: {tracing: jaeger}\n", "jaeger"),
        (SITE, "files: [{source: nowhere}]\n", "nowhere"),
        (SITE, "files: [{destination: x}]\n", "files[0].source"),
        (SITE, "http: {alias: a.example.com}\n", "needs a domain"),
    ] {
        let refusal = Project::new(base, rest).refusal();
        assert!(refusal.contains(words), "`{words}` for {rest}: {refusal}");
    }
}

#[test]
fn what_copilot_ignores_is_warned_about_and_refused_when_strict() {
    for (base, rest, words) in [
        (BACKEND, "varaibles: {A: b}\n", "did you mean `variables`?"),
        (
            BACKEND,
            "cpu: 256\nmemory: 9000\n",
            "no tasks with `cpu` 256",
        ),
        (
            BACKEND,
            "sidecars: {x: {image: i, mount_points: [{source_volume: v, path: /v}]}}\n",
            "does not have",
        ),
        (
            WEB,
            "http: {path: /, stickiness: sometimes}\n",
            "the value is dropped",
        ),
        (
            WORKER,
            "subscribe: {queue: {delay: 1s}}\n",
            "no effect without",
        ),
        (
            JOB,
            "on: {schedule: '@daily'}\nexec: true\n",
            "`exec` has no effect",
        ),
        (
            BACKEND,
            "exec: true\nenvironments: {test: {exec: {enable: false}}}\n",
            "exec: false",
        ),
    ] {
        let mut project = Project::new(base, rest);
        assert!(
            project.warnings().contains(words),
            "{words}: {}",
            project.warnings()
        );
        project.strict = true;
        assert!(project.refusal().contains(words));
    }
    let found = Project::new(BACKEND, "colour: red\n")
        .render()
        .expect("accepted")
        .warnings;
    assert_eq!(
        (found[0].severity, found[0].code),
        (Severity::Warning, "unknown-key")
    );
}

#[test]
fn substituted_values_stay_texts_and_say_so() {
    let mut project = Project::new(BACKEND, "cpu: ${CPU}\n");
    project.variables.insert("CPU".to_owned(), "256".to_owned());
    assert!(project.refusal().contains("stays a text"));
}

#[test]
fn yaml_patches_change_the_template() {
    let patches = "- {op: add, path: /Resources/Service/Properties/Tags, value: [{Key: a, Value: !Ref AppName}]}\n\
        - {op: replace, path: /Resources/Service/Properties/NetworkConfiguration/AwsvpcConfiguration/Subnets/Fn::Split/0, value: ';'}\n\
        - {op: remove, path: /Outputs}\n";
    let template = Project::new(BACKEND, "").patches(patches).template();
    assert_text(&template, "Service/Properties/Tags/0/Value", "AppName");
    assert_text(
        &template,
        "Service/Properties/NetworkConfiguration/AwsvpcConfiguration/Subnets/0",
        ";",
    );
    assert!(template.get("Outputs").is_none());
}

#[test]
fn patches_that_do_not_fit_are_refused() {
    for (patches, words) in [
        ("- {op: move, path: /a, value: 1}\n", "`op` move"),
        ("- {op: add, path: /Resources/X}\n", "needs a `value`"),
        (
            "- {op: remove, path: /Resources/Nope}\n",
            "/Resources/Nope is not in the template",
        ),
        (
            "- {op: replace, path: /Resources/Service/DependsOn/7, value: x}\n",
            "index 7 is out of range",
        ),
        ("- {op: add, path: Resources, value: x}\n", "begins with /"),
        ("a: b\n", "must be a list"),
    ] {
        let refusal = Project::new(BACKEND, "").patches(patches).refusal();
        assert!(
            refusal.contains(words) && refusal.contains("cfn.patches.yml:1"),
            "{words}: {refusal}"
        );
    }
    let mut project = Project::new(BACKEND, "");
    project.overrides.push(File {
        path: "copilot/api/overrides/cdk.json".to_owned(),
        text: "{}".to_owned(),
    });
    assert!(project.refusal().contains("credentials"));
}

const ADDON: &str =
    "Parameters: {App: {Type: String}, Env: {Type: String}, Name: {Type: String}}\n";

#[test]
fn addons_are_merged_and_their_outputs_reach_the_containers() {
    let project = Project::new(BACKEND, "")
        .addon("a.yml", &format!("{ADDON}Resources: {{Key: {{Type: AWS::SecretsManager::Secret}}}}\nOutputs: {{apiKey: {{Value: !Ref Key}}}}\n"))
        .addon("b.yml", &format!("{ADDON}Resources: {{Box: {{Type: AWS::S3::Bucket}}}}\nOutputs: {{BoxName: {{Value: !Ref Box}}}}\n"));
    let template = project.template();
    let container = "TaskDefinition/Properties/ContainerDefinitions/0";
    assert_text(&template, &format!("{container}/Secrets/0/Name"), "API_KEY");
    assert_text(
        &template,
        &format!("{container}/Environment/4/Name"),
        "BOX_NAME",
    );
    let merged = project.render().expect("valid").addons.expect("addons");
    let merged = yaml::parse(&merged, 0).expect("yaml");
    assert!(merged.dig("Resources.Key").is_some() && merged.dig("Resources.Box").is_some());
}

#[test]
fn addons_that_do_not_fit_together_are_refused() {
    let bucket = format!("{ADDON}Resources: {{Box: {{Type: AWS::S3::Bucket}}}}\n");
    let queue = format!("{ADDON}Resources: {{Box: {{Type: AWS::SQS::Queue}}}}\n");
    let base = || Project::new(BACKEND, "");
    for (project, words) in [
        (
            base().addon("a.yml", &bucket).addon("b.yml", &queue),
            "Resources.Box",
        ),
        (
            base().addon("a.yml", "Resources: {}\n"),
            "must declare the parameter `App`",
        ),
        (
            base()
                .addon("a.yml", &bucket)
                .addon("addons.parameters.yml", "Parameters: {Env: x}\n"),
            "reserved",
        ),
        (
            base().addon(
                "a.yml",
                &bucket.replace("Name: {", "Size: {Type: Number}, Name: {"),
            ),
            "`Size` has no value",
        ),
    ] {
        assert!(project.refusal().contains(words), "{words}");
    }
}

#[test]
fn explain_finds_the_manifest_line_of_a_property() {
    let package = Project::new(BACKEND, "count: 3\nvariables:\n  LOG: info\n")
        .render()
        .expect("valid");
    let count = explain::lookup(&package.origins, "Service.Properties.DesiredCount");
    assert_eq!(
        (count[0].place.line, count[0].place.source.as_str()),
        (4, "count: 3")
    );
    let variable = explain::lookup(
        &package.origins,
        "/Resources/TaskDefinition/Properties/ContainerDefinitions/0/Environment/4/Value",
    );
    assert_eq!(variable[0].place.line, 6);
    let fixed = explain::lookup(&package.origins, "Service/Properties/PropagateTags");
    assert_eq!(fixed[0].place.source, "type: Backend Service");
}

#[test]
fn the_host_learns_what_to_build_and_upload() {
    let rest = "platform: linux/arm64\nenv_file: api.env\nsidecars: {x: {image: {build: {context: x, target: t}}}}\n";
    let package = Project::new(BACKEND, rest).render().expect("valid");
    let found: Vec<_> = package
        .images
        .iter()
        .map(|i| {
            (
                i.container.as_str(),
                i.build.dockerfile.as_str(),
                i.build.context.as_str(),
                i.platform.as_deref(),
            )
        })
        .collect();
    let platform = Some("linux/arm64");
    assert_eq!(
        found,
        [
            ("api", "Dockerfile", ".", platform),
            ("x", "x/Dockerfile", "x", platform)
        ]
    );
    assert_eq!(package.env_files[0].path, "api.env");
    let needs = ecs_renderer::needs::first(
        "type: Static Site\nfiles: [{source: a}]\nenvironments: {t: {files: [{source: '${B}'}]}}\n",
    );
    assert_eq!(needs.variables.into_iter().collect::<Vec<_>>(), ["B"]);
    assert_eq!(needs.paths.into_iter().collect::<Vec<_>>(), ["${B}", "a"]);
}

// Mistakes of Copilot that are not repeated.

#[test]
fn scaling_behind_an_imported_load_balancer_refers_to_a_target_group_that_exists() {
    let rest = "http: {path: /, alb: shared}\ncount: {range: 1-2, requests: 5}\n";
    let template = Project::new(WEB, rest).facts(with_load_balancer).template();
    let dimension = "AutoScalingPolicyALBSumRequestCountPerTarget/Properties/TargetTrackingScalingPolicyConfiguration/CustomizedMetricSpecification/Dimensions/1/Value";
    assert_text(
        &template,
        dimension,
        "TargetGroupForImportedALB.TargetGroupFullName",
    );
    assert!(at(&template, "TargetGroupForImportedALB").is_some());
}

#[test]
fn app_runner_accepts_the_platform_it_runs() {
    Project::new(RUNNER, "platform: linux/x86_64\n").template();
    assert!(
        Project::new(RUNNER, "platform: linux/arm64\n")
            .refusal()
            .contains("platform")
    );
}

#[test]
fn an_empty_environment_changes_nothing() {
    for (base, rest) in [
        (JOB, "on: {schedule: '@daily'}\n"),
        (RUNNER, ""),
        (BACKEND, ""),
        (SITE, ""),
    ] {
        Project::new(base, &format!("{rest}environments: {{test: null}}\n")).template();
    }
}

#[test]
fn hosted_zones_of_additional_rules_get_their_records() {
    let rest = "http:\n  path: /\n  alias: [{name: a.example.com, hosted_zone: ZA}]\n  additional_rules:\n    - {path: b, alias: [{name: b.example.com, hosted_zone: ZB}]}\n";
    let project =
        Project::new(WEB, rest).facts(|f| with_certificates(f, "public", &["*.example.com"]));
    let template = project.template();
    assert_text(
        &template,
        "LoadBalancerDNSAliasZA/Properties/RecordSets/0/Name",
        "a.example.com",
    );
    assert_text(
        &template,
        "LoadBalancerDNSAliasZB/Properties/RecordSets/0/Name",
        "b.example.com",
    );
}

#[test]
fn http_true_in_an_environment_keeps_the_rules_of_the_base() {
    let project = Project::new(
        WEB,
        "http: {path: shop}\nenvironments: {test: {http: true}}\n",
    );
    assert!(
        project
            .render()
            .expect("valid")
            .parameters
            .contains("\"RulePath\": \"shop\"")
    );
}

#[test]
fn grpc_success_codes_become_a_grpc_matcher() {
    let rest = "http: {path: /, version: grpc, healthcheck: {success_codes: 0-5}}\n";
    assert_text(
        &Project::new(WEB, rest).template(),
        "TargetGroup/Properties/Matcher/GrpcCode",
        "0-5",
    );
}

#[test]
fn an_access_point_switches_iam_on() {
    let rest =
        "storage: {volumes: {v: {path: /v, efs: {id: fs-1, auth: {access_point_id: ap-1}}}}}\n";
    let path = "TaskDefinition/Properties/Volumes/0/EFSVolumeConfiguration/AuthorizationConfig/IAM";
    assert_text(&Project::new(BACKEND, rest).template(), path, "ENABLED");
}

#[test]
fn names_that_differ_in_punctuation_only_are_refused() {
    let topics = "publish: {topics: [{name: a-b}, {name: ab}]}\n";
    assert!(
        Project::new(BACKEND, topics)
            .refusal()
            .contains("abSNSTopic")
    );
    let sidecars = "sidecars: {a-b: {image: i}, ab: {image: i}}\n";
    assert!(
        Project::new(BACKEND, sidecars)
            .refusal()
            .contains("same parameters")
    );
}

#[test]
fn static_sites_name_the_partition_they_are_in() {
    let project = Project::new(SITE, "files: [{source: public}]\n")
        .facts(|facts| facts.environment.region = "cn-north-1".to_owned());
    let text = project.render().expect("valid").template;
    assert!(text.contains("arn:aws-cn:s3:::artifacts/mapping") && !text.contains("arn:aws:"));
}

#[test]
fn aliases_that_cannot_work_are_warned_about() {
    let project = Project::new(WEB, "http: {path: /, alias: a.example.com}\n")
        .facts(|facts| facts.checks = ecs_renderer::facts::Checks::Manifest);
    assert!(project.warnings().contains("no effect without HTTPS"));
}

/// A template as somebody else would have written it: other sentences, other code.
fn in_other_words(template: &str) -> String {
    let texts = [
        "Description: ",
        "GroupDescription: ",
        "AlarmDescription: ",
        "Comment: ",
        "aws:copilot:description: ",
    ];
    let other = |line: &str| {
        let start = line.trim_start().trim_start_matches("- ");
        let indent = &line[..line.len() - start.len()];
        if let Some(key) = texts.iter().find(|key| start.starts_with(**key)) {
            format!("{indent}{key}In other words")
        } else if start.starts_with("S3Key: ") {
            format!("{indent}S3Key: manual/scripts/theirs.zip")
        } else if start.starts_with("// plimsoll: ") {
            format!("{indent}// their code")
        } else {
            line.replace("Runs the job's task on Fargate", "In other words")
        }
    };
    template.lines().map(|line| other(line) + "\n").collect()
}

#[test]
fn an_unchanged_stack_of_copilots_is_rendered_as_it_is_deployed() {
    let table = [
        (
            WEB,
            "http: {path: /}\nnlb: {port: 443/tls, additional_listeners: [{port: 81}]}\ncount: {range: 1-2, cpu_percentage: 70}\n\
             deployment: {rollback_alarms: {cpu_utilization: 70}}\n",
        ),
        (BACKEND, "http: {path: /}\n"),
        (
            WORKER,
            "subscribe: {topics: [{name: t, service: svc}]}\n\
             count: {range: 1-2, queue_delay: {acceptable_latency: 2m, msg_processing_time: 1s}}\n",
        ),
        (JOB, "on: {schedule: rate(1 day)}\n"),
        (
            RUNNER,
            "network: {vpc: {placement: private}}\nhttp: {alias: a.example.com}\n",
        ),
        (
            SITE,
            "http: {alias: a.example.com}\nfiles: [{source: public}]\n",
        ),
    ];
    for (base, rest) in table {
        let project = Project::new(base, rest).facts(|facts| {
            facts.application.domain = Some("example.com".to_owned());
            facts.topics = vec!["arn:aws:sns:eu-west-1:123456789012:shop-test-svc-t".to_owned()];
        });
        let fresh = project
            .render()
            .unwrap_or_else(|found| panic!("{}", report(&found)))
            .template;
        let theirs = in_other_words(&fresh);
        assert_ne!(fresh, theirs);
        let adopted = project.facts(|facts| facts.deployed_template = Some(theirs.clone()));
        let rendered = adopted.render().expect("valid").template;
        assert!(
            rendered == theirs,
            "{}",
            first_difference(&theirs, &rendered)
        );
    }
}

fn first_difference(a: &str, b: &str) -> String {
    let lines = a.lines().zip(b.lines());
    let found = lines.enumerate().find(|(_, (a, b))| a != b);
    format!("{found:#?}")
}

#[test]
fn code_for_an_older_runtime_and_texts_of_another_resource_are_not_kept() {
    let project = Project::new(RUNNER, "network: {vpc: {placement: private}}\n");
    let fresh = project.render().expect("valid").template;
    let theirs = in_other_words(&fresh)
        .replace("nodejs20.x", "nodejs16.x")
        .replace("AWS::EC2::SecurityGroup\n", "AWS::EC2::Other\n");
    let adopted = project.facts(|facts| facts.deployed_template = Some(theirs));
    let rendered = adopted.render().expect("valid").template;
    assert!(!rendered.contains("theirs.zip") && !rendered.contains("GroupDescription: In other"));
}

#[test]
fn a_patch_changes_a_text_that_would_be_kept() {
    let patch = "- {op: replace, path: /Description, value: Mine}\n";
    let project = Project::new(BACKEND, "").patches(patch);
    let project =
        project.facts(|facts| facts.deployed_template = Some("Description: Theirs".to_owned()));
    assert!(
        project
            .render()
            .expect("valid")
            .template
            .contains("\nDescription: Mine\n")
    );
    let broken =
        Project::new(BACKEND, "").facts(|facts| facts.deployed_template = Some("{".to_owned()));
    assert!(
        broken
            .warnings()
            .contains("the deployed template cannot be read")
    );
}

// Deployments.

#[test]
fn addons_that_say_the_same_in_another_tools_words_keep_their_text() {
    let ours = format!(
        "{ADDON}Resources:\n  Box: {{Type: AWS::S3::Bucket, Properties: {{Tags: !Ref App}}}}\n"
    );
    let theirs = "# By another tool\nResources:\n    Box:\n        Properties:\n            Tags: {Ref: App}\n        Type: 'AWS::S3::Bucket'\nParameters: {Name: {Type: String}, App: {Type: String}, Env: {Type: String}}\n";
    let deployed = |text: &str| {
        let project = Project::new(BACKEND, "").addon("a.yml", &ours);
        let project = project.facts(|facts| facts.deployed_addons = Some(text.to_owned()));
        project.render().expect("valid").addons.expect("addons")
    };
    assert_eq!(deployed(theirs), theirs);
    let other = theirs.replace("S3::Bucket", "SNS::Topic");
    assert_ne!(deployed(&other), other);
}

fn deploying(facts: &mut Facts) {
    let deployment = serde_json::json!({
        "repository": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/api",
        "commit": "abc1234",
        "execution_role": "arn:aws:iam::123456789012:role/shop-test-CFNExecutionRole",
        "tags": {"team": "web"},
    });
    facts.deployment = serde_json::from_value(deployment).expect("it fits");
    facts.static_site.asset_mapping_url = None;
    for file in ["api.env", "public/index.html"] {
        facts.digests.insert(file.to_owned(), "e".repeat(64));
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("it is JSON")
}

#[test]
fn a_deployment_says_where_it_belongs_what_is_uploaded_and_how_images_are_called() {
    let rest = "env_file: ./api.env\nsidecars: {x: {image: {build: x/Dockerfile}}}\n";
    let addon = "Parameters: {App: {Type: String}, Env: {Type: String}, Name: {Type: String}}\nResources: {T: {Type: 'AWS::SNS::Topic'}}\n";
    let project = Project::new(BACKEND, rest)
        .addon("topic.yml", addon)
        .facts(deploying);
    let package = project.render().expect("valid");
    let parameters = json(&package.parameters);
    let repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/api";
    assert_eq!(
        parameters["Parameters"]["ContainerImage"],
        format!("{repository}:abc1234")
    );
    let env_file = format!("manual/env-files/api.env/{}.env", "e".repeat(64));
    assert_eq!(
        parameters["Parameters"]["EnvFileARN"],
        format!("arn:aws:s3:::artifacts/{env_file}")
    );
    assert_eq!(parameters["Tags"]["team"], "web");
    assert!(
        package
            .template
            .contains(&format!("{repository}:x-abc1234"))
    );
    let handover = json(&package.handover.expect("a deployment has one"));
    assert_eq!(handover["stack"], "shop-test-api");
    assert_eq!(handover["uploads"][0]["key"], env_file);
    let addons = handover["uploads"][1]["key"].as_str().expect("a key");
    let url = parameters["Parameters"]["AddonsTemplateURL"]
        .as_str()
        .expect("a URL");
    assert_eq!(
        url,
        format!("https://artifacts.s3.eu-west-1.amazonaws.com/{addons}")
    );
    let functions: Vec<&str> = handover["uploads"].as_array().expect("a list")[2..]
        .iter()
        .map(|upload| upload["source"]["function"].as_str().expect("a function"))
        .collect();
    assert_eq!(functions, ["EnvControllerFunction"]);

    let untagged = Project::new(BACKEND, "").facts(|facts| {
        deploying(facts);
        if let Some(deployment) = &mut facts.deployment {
            deployment.commit = None;
        }
    });
    let parameters = json(&untagged.render().expect("valid").parameters);
    assert_eq!(
        parameters["Parameters"]["ContainerImage"],
        format!("{repository}@<slot:image/api>")
    );

    let missing = Project::new(BACKEND, "env_file: other.env\n").facts(deploying);
    assert!(
        missing
            .refusal()
            .contains("`other.env`, which is not a file")
    );
}

#[test]
fn a_static_sites_files_go_where_the_mapping_says() {
    let project =
        Project::new(SITE, "files: [{source: public, recursive: true}]\n").facts(deploying);
    let package = project.render().expect("valid");
    let mapping = package.mapping.expect("a site has one");
    let key = format!("local-assets/{}", "e".repeat(64));
    assert_eq!(
        json(&mapping),
        serde_json::json!([{"path": key, "destPath": "index.html", "contentType": "text/html; charset=utf-8"}])
    );
    let handover = json(&package.handover.expect("a deployment has one"));
    assert_eq!(handover["uploads"][0]["key"], key);
    let at = handover["uploads"][1]["key"].as_str().expect("a key");
    assert!(at.starts_with("local-assets/environments/test/workloads/api/mapping/"));
    assert!(
        package.template.contains(at),
        "the state machine is told where the mapping is"
    );
}

#[test]
fn secrets_that_are_missing_or_unreadable_are_refused_all_at_once_with_their_lines() {
    use ecs_renderer::facts::Reach;
    let rest = "secrets:\n  A: /gone\n  B: {secretsmanager: untagged}\n  C: /fine\n  D: /unknown\n";
    let project = Project::new(BACKEND, rest).facts(|facts| {
        for (name, reach) in [
            ("ssm:/gone", Reach::Missing),
            ("secretsmanager:untagged", Reach::Untagged),
            ("ssm:/fine", Reach::Readable),
        ] {
            facts.secrets.insert(name.to_owned(), reach);
        }
    });
    let refusal = project.refusal();
    for words in [
        "there is no parameter `/gone`",
        "manifest.yml:5:",
        "may not read secret `untagged`",
        "manifest.yml:6:",
        "tag-resource",
    ] {
        assert!(refusal.contains(words), "{words}: {refusal}");
    }
    assert!(!refusal.contains("/fine") && !refusal.contains("/unknown"));
}

#[test]
fn an_addon_that_names_files_the_host_says_nothing_of_renders_but_is_not_deployed() {
    let addon = format!(
        "{ADDON}Resources: {{F: {{Type: AWS::Lambda::Function, Properties: {{Code: lambdas/a}}}}}}\n"
    );
    let project = Project::new(BACKEND, "").addon("f.yml", &addon);
    assert!(project.render().is_ok(), "for `aws cloudformation package`");
    let refusal = project.facts(deploying).refusal();
    assert!(
        refusal.contains("lambdas/a") && refusal.contains("addons/f.yml"),
        "{refusal}"
    );
}

#[test]
fn only_what_changes_gets_a_new_version_and_a_new_id() {
    let rest = "http: {path: /}\ncount: {range: 1-2, cpu_percentage: 70}\n";
    let first = Project::new(WEB, rest).render().expect("valid");
    let deployed = first
        .template
        .replace("v1.29.0", "v1.20.0")
        .replace("5a1f0c3e", "00000000");
    let again = |rest: &str| {
        let project = Project::new(WEB, rest);
        let project = project.facts(|facts| facts.deployed_template = Some(deployed.clone()));
        project.render().expect("valid").template
    };
    assert_eq!(again(rest), deployed);
    let changed = again(&format!("{rest}cpu: 512\nvariables: {{A: b}}\n"));
    assert!(changed.contains("v1.29.0") && changed.contains("5a1f0c3e"));
    let other = Project::new(WEB, rest).facts(|facts| {
        facts.deployed_template = Some(deployed.clone());
        facts.deployed_parameters = Some(BTreeMap::from([("TaskCPU".into(), "1024".into())]));
    });
    let other = other.render().expect("valid").template;
    assert!(
        other.contains("5a1f0c3e"),
        "a parameter changes: tasks are counted anew"
    );
}
