//! Stacks that Copilot has made: a workload that nobody changed since has nothing to deploy.
//!
//! Templates and parameters are Copilot's own, from the conformance data, for what AWS says in this account: names of the bucket,
//! digests of files that were really uploaded, and what Copilot's canonical form leaves out (the code of functions, the manifest).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aws_double::seed::{Application, Environment};
use aws_double::{Options, Rule};
use serde_json::{Value, json};

use super::{Said, Stage, said};
use crate::support::{conformance, sha256};

/// Where the data's own things are.
const ACCOUNT: &str = "123456789123";
const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// What is built is called this.
const TAG: &str = "v1";

#[test]
fn load_balanced_web_services() {
    each("lbws-");
}

#[test]
fn backend_services() {
    each("bs-");
}

#[test]
fn worker_services_and_static_sites() {
    each("ws-");
    each("ss-");
}

#[test]
fn request_driven_web_services() {
    each("rdws-");
}

#[test]
fn scheduled_jobs() {
    each("sj-");
}

/// Every case whose name begins like this: `package --diff` finds nothing, and `deploy` changes nothing.
fn each(prefix: &str) {
    let Some(data) = conformance("copilot") else {
        return;
    };
    let mut cases: Vec<PathBuf> = fs::read_dir(data.join("cases/visible"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(prefix)
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for folder in cases {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let case = Case::read(&folder);
        if case.facts["checks"] == "manifest" {
            println!("skipped: {name} breaks a rule of its own environment");
            continue;
        }
        let stage = case.deployed();
        let difference = case.run(&stage, &["package", "--diff"]);
        if difference.code != Some(0) || difference.stdout != "No changes.\n" {
            wrong.push(format!("{name}: {difference}"));
            continue;
        }
        let nothing = case.run(&stage, &["deploy", "--diff", "--yes"]);
        let changes = stage.double.count("cloudformation", "CreateChangeSet");
        if nothing.code != Some(0) || !nothing.stdout.contains("No changes") || changes > 0 {
            wrong.push(format!("{name}: {nothing}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

struct Case {
    folder: PathBuf,
    facts: Value,
    case: Value,
    /// As it was deployed, but for what this account calls otherwise.
    template: String,
    parameters: Value,
    addons: Option<String>,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(folder.join(name));
        let json = |name: &str| serde_json::from_str(&text(name).unwrap()).unwrap();
        Self {
            folder: folder.to_owned(),
            facts: json("facts.json"),
            case: json("case.json"),
            template: text("expected.template.json").unwrap(),
            parameters: json("expected.params.json"),
            addons: text("expected.addons.json").ok(),
        }
    }

    fn text<'a>(&'a self, of: &'a Value, path: &str) -> &'a str {
        of.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.text(&self.case, "/name")
    }

    fn application(&self) -> Application {
        let facts = &self.facts;
        let name = self.text(facts, "/application/name");
        let environment = self.text(facts, "/environment/name");
        let text = |path: &str| {
            facts
                .pointer(path)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let kind = self.text(&self.case, "/type");
        let mut application = Application::new(name, environment).workload(self.name(), kind);
        application.domain = text("/application/domain");
        application.permissions_boundary = text("/application/permissions_boundary");
        let tags = facts["application"]["tags"]
            .as_object()
            .into_iter()
            .flatten();
        application.tags = tags
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        application.environments = vec![Environment {
            version: self.text(facts, "/environment/version").to_owned(),
            manifest: Some(facts["environment"]["manifest"].to_string()),
            ..Environment::new(environment)
        }];
        application
    }

    /// The workspace, and its stack as Copilot left it.
    fn deployed(&self) -> Stage {
        let region = self.text(&self.facts, "/environment/region");
        let stage = Stage::of(
            Options {
                region: region.to_owned(),
                ..Options::default()
            },
            &self.application(),
        );
        self.copy(&stage, &self.folder, &stage.workspace);
        self.answers(&stage);
        let application = self.text(&self.facts, "/application/name");
        let bucket = stage.double.bucket(application).unwrap();
        let mut template: Value = serde_json::from_str(&self.own(&stage, &self.template)).unwrap();
        self.restore(&stage, &mut template, &bucket);
        self.rename_assets(&stage, &mut template);
        let mut parameters = self.parameters(&stage);
        if let Some(addons) = &self.addons {
            let addons = self.own(&stage, addons);
            let key = format!(
                "manual/addons/{}/{}.yml",
                self.name(),
                sha256(addons.as_bytes())
            );
            stage.double.put_object(&bucket, &key, &addons).unwrap();
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            let url = format!("https://{bucket}.s3.{region}.amazonaws.com{suffix}/{key}");
            parameters.insert("AddonsTemplateURL".to_owned(), url);
        }
        let stack = format!(
            "{application}-{}-{}",
            self.text(&self.facts, "/environment/name"),
            self.name()
        );
        let parameters: Vec<(String, String)> = parameters.into_iter().collect();
        let tags: Vec<(String, String)> = texts(&self.parameters["Tags"]).into_iter().collect();
        stage
            .double
            .remember_stack(&stack, &template.to_string(), &parameters, &tags)
            .unwrap();
        stage.double.forget_requests();
        stage
    }

    /// A text of the data with the names of this account.
    fn own(&self, stage: &Stage, text: &str) -> String {
        let application = self.text(&self.facts, "/application/name");
        let key = stage
            .double
            .infrastructure(application, "KMSKeyARN")
            .unwrap();
        let bucket = stage.double.bucket(application).unwrap();
        let mut text = text
            .replace(KEY, &key)
            .replace(ACCOUNT, stage.double.account());
        let theirs = self.text(&self.facts, "/artifacts/bucket");
        for around in ["\"@\"", "s3:::@\"", "s3:::@/", "'@/", "://@."] {
            text = text.replace(&around.replace('@', theirs), &around.replace('@', &bucket));
        }
        // The data's own placeholder for a name in a policy is another thing.
        text.replace(&format!("\"{bucket}\": {{\"Ref\""), "\"bucket\": {\"Ref\"")
    }

    /// What the canonical form leaves out.
    fn restore(&self, stage: &Stage, template: &mut Value, bucket: &str) {
        template["Metadata"] = json!({
            "Version": aws_double::seed::VERSION,
            "Manifest": self.manifest(stage),
        });
        let functions = texts(&self.facts["custom_resources"]);
        for (name, resource) in template["Resources"].as_object_mut().unwrap() {
            let is_function = resource["Type"] == "AWS::Lambda::Function";
            let properties = &mut resource["Properties"];
            if is_function && properties["Code"].is_null() {
                let url = &functions[name];
                let (_, key) = url.split_once(".amazonaws.com").unwrap();
                let key = key.trim_start_matches(".cn").trim_start_matches('/');
                properties["Code"] = json!({"S3Bucket": bucket, "S3Key": key});
            }
            if let Some(machine) = properties.pointer("/DefinitionString/<json>") {
                properties["DefinitionString"] = json!(machine.to_string());
            }
        }
    }

    /// The manifest with its variables.
    fn manifest(&self, stage: &Stage) -> String {
        let path = format!("copilot/{}/manifest.yml", self.name());
        let path = stage.workspace.join(path);
        let text = fs::read_to_string(path).unwrap();
        let mut variables = texts(&self.case["os_env"]);
        for (name, path) in [
            ("COPILOT_APPLICATION_NAME", "/application/name"),
            ("COPILOT_ENVIRONMENT_NAME", "/environment/name"),
        ] {
            variables.insert(name.to_owned(), self.text(&self.facts, path).to_owned());
        }
        variables.into_iter().fold(text, |text, (name, value)| {
            let reference = format!("${{{name}}}");
            let kept = text.replace(&format!("\\{reference}"), "\u{0}");
            kept.replace(&reference, &value)
                .replace('\u{0}', &reference)
        })
    }

    /// The mapping of a static site's files is called after its content, which is not in the data.
    fn rename_assets(&self, stage: &Stage, template: &mut Value) {
        let url = self.text(&self.facts, "/static_site/asset_mapping_url");
        let Some((_, key)) = url.trim_start_matches("s3://").split_once('/') else {
            return;
        };
        let rendered = self.run(stage, &["package", "--diff"]).stdout;
        let (_, after) = rendered.split_once("AssetMappingFilePath: ").unwrap();
        let end = after.find(|c: char| c.is_whitespace() || "'\"".contains(c));
        let text = template.to_string().replace(key, &after[..end.unwrap()]);
        *template = serde_json::from_str(&text).unwrap();
    }

    fn parameters(&self, stage: &Stage) -> BTreeMap<String, String> {
        let text = self.own(stage, &self.parameters["Parameters"].to_string());
        let mut parameters = texts(&serde_json::from_str(&text).unwrap());
        let application = self.text(&self.facts, "/application/name");
        let region = self.text(&self.facts, "/environment/region");
        let is_built = !self.facts["images"][self.name()].is_null()
            || parameters
                .get("ContainerImage")
                .is_some_and(String::is_empty);
        if is_built {
            let account = stage.double.account();
            let image = format!(
                "{account}.dkr.ecr.{region}.amazonaws.com/{application}/{}:{TAG}",
                self.name()
            );
            parameters.insert("ContainerImage".to_owned(), image);
            if let Some(kind) = parameters.get_mut("ImageRepositoryType") {
                "ECR".clone_into(kind);
            }
        }
        for (name, value) in &mut parameters {
            let Some((start, _)) = value
                .rsplit_once('/')
                .filter(|(start, _)| name.contains("EnvFileARN") && start.contains("/env-files/"))
            else {
                continue;
            };
            let (_, file) = start.rsplit_once('/').unwrap();
            let digest = sha256(&fs::read(find(&self.folder, file).unwrap()).unwrap());
            *value = format!("{start}/{digest}.env");
        }
        parameters
    }

    /// The workspace without what is expected of it. Whoever wrote the manifest knew their account.
    fn copy(&self, stage: &Stage, from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let to = to.join(&name);
            if path.is_dir() {
                fs::create_dir_all(&to).unwrap();
                self.copy(stage, &path, &to);
            } else if name.ends_with(".yml") || name.ends_with(".yaml") {
                let text = fs::read_to_string(&path).unwrap();
                let mut text = text.replace(ACCOUNT, stage.double.account());
                for masked in ["db clients", "ledger", "etl"] {
                    let description = "GroupDescription: ";
                    let theirs = format!("{description}{masked}");
                    text = text.replace(&theirs, &format!("{description}'<text>'"));
                }
                fs::write(&to, text).unwrap();
            } else if !name.starts_with("expected.")
                && !["facts.json", "case.json"].contains(&&*name)
            {
                fs::copy(&path, &to).unwrap();
            }
        }
    }

    /// What AWS says of things that somebody else has made.
    fn answers(&self, stage: &Stage) {
        let rule = |service: &str, action: &str, body: String| {
            let body = self.own(stage, &body);
            stage
                .double
                .rule(Rule::request(service, action).answered(body));
        };
        let tags = json!([
            {"Key": "copilot-application", "Value": self.facts["application"]["name"]},
            {"Key": "copilot-environment", "Value": self.facts["environment"]["name"]},
        ]);
        rule(
            "ssm",
            "GetParameters",
            json!({"Parameters": []}).to_string(),
        );
        rule(
            "ssm",
            "ListTagsForResource",
            json!({"TagList": tags}).to_string(),
        );
        rule(
            "secretsmanager",
            "DescribeSecret",
            json!({"Tags": tags}).to_string(),
        );
        for (arn, certificate) in self.facts["certificates"].as_object().into_iter().flatten() {
            let body = json!({"Certificate": {"SubjectAlternativeNames": certificate["names"]}});
            let own = self.own(stage, &body.to_string());
            let described = Rule::request("acm", "DescribeCertificate");
            stage.double.rule(described.holding(arn).answered(own));
        }
        let region = self.text(&self.facts, "/environment/region");
        let topics = self.facts["topics"].as_array().into_iter().flatten();
        let topics: Vec<Value> = topics
            .map(|name| {
                let name = name.as_str().unwrap();
                json!({"ResourceARN": format!("arn:aws:sns:{region}:{ACCOUNT}:{name}")})
            })
            .collect();
        let topics = json!({"ResourceTagMappingList": topics}).to_string();
        rule("tagging", "GetResources", topics);
        let balancers = self.facts["load_balancers"].as_array().unwrap();
        if let Some(balancer) = balancers.first() {
            let of = |name: &str| self.text(balancer, &format!("/{name}")).to_owned();
            let groups = balancer["security_groups"].as_array().unwrap().iter();
            let groups: String = groups
                .map(|group| element("member", group.as_str().unwrap()))
                .collect();
            let found = [
                element("LoadBalancerArn", &of("arn")),
                element("LoadBalancerName", &of("name")),
                element("DNSName", &of("dns_name")),
                element("CanonicalHostedZoneId", &of("hosted_zone_id")),
                element("Scheme", &of("scheme")),
                element("SecurityGroups", &groups),
            ];
            let listeners = balancer["listeners"].as_array().unwrap().iter();
            let listeners: String = listeners
                .map(|listener| {
                    let port = listener["port"].to_string();
                    let inside = [
                        element("ListenerArn", self.text(listener, "/arn")),
                        element("Port", &port),
                        element("Protocol", self.text(listener, "/protocol")),
                    ];
                    element("member", &inside.concat())
                })
                .collect();
            for (action, list, members) in [
                (
                    "DescribeLoadBalancers",
                    "LoadBalancers",
                    element("member", &found.concat()),
                ),
                ("DescribeListeners", "Listeners", listeners),
            ] {
                let inside = element(&format!("{action}Result"), &element(list, &members));
                rule(
                    "elasticloadbalancing",
                    action,
                    element(&format!("{action}Response"), &inside),
                );
            }
        }
        let subnets = self.facts["subnets"].as_array().unwrap().iter();
        let subnets: String = subnets
            .map(|subnet| {
                let tags = texts(&subnet["tags"]).into_iter();
                let tags: String = tags
                    .map(|(key, value)| {
                        element(
                            "item",
                            &[element("key", &key), element("value", &value)].concat(),
                        )
                    })
                    .collect();
                let inside = [
                    element("subnetId", self.text(subnet, "/id")),
                    element("tagSet", &tags),
                ];
                element("item", &inside.concat())
            })
            .collect();
        let subnets = element("DescribeSubnetsResponse", &element("subnetSet", &subnets));
        rule("ec2", "DescribeSubnets", subnets);
    }

    fn run(&self, stage: &Stage, words: &[&str]) -> Said {
        let kind = self.text(&self.case, "/kind");
        let environment = self.text(&self.case, "/env");
        let mut line = vec![kind];
        line.extend(words);
        line.extend(["--name", self.name(), "--env", environment, "--tag", TAG]);
        let mut command = stage.command(&line);
        command.envs(texts(&self.case["os_env"]));
        said(command)
    }
}

fn element(name: &str, inside: &str) -> String {
    format!("<{name}>{inside}</{name}>")
}

/// The texts of an object.
fn texts(object: &Value) -> BTreeMap<String, String> {
    let entries = object.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A file of this name, wherever it is.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.find_map(|entry| {
        let path = entry.ok()?.path();
        match path.is_dir() {
            true => find(&path, name),
            false => path.ends_with(name).then_some(path),
        }
    })
}
