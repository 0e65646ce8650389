//! What needs more than the double itself: Engines that push, node that runs functions.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(missing_docs, reason = "test names are sentences")]

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_double::double::Pushes;
use aws_double::seed::Application;
use aws_double::{Double, Options, Rule};
use lab::Engine;
use lab::command::run_with_input;

async fn config(double: &Double) -> SdkConfig {
    let (access_key, secret_key) = double.keys();
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(double.endpoint())
        .region(aws_config::Region::new(double.region().to_owned()))
        .credentials_provider(Credentials::new(
            access_key, secret_key, None, None, "tests",
        ))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await
}

/// A folder for `docker --config`, gone when dropped.
struct Docker {
    config: std::path::PathBuf,
}

impl Docker {
    fn new() -> Self {
        let config = std::env::temp_dir().join(format!("aws-double-docker-{}", std::process::id()));
        std::fs::create_dir_all(&config).unwrap();
        Self { config }
    }

    fn run(&self, words: &[&str], input: &[u8]) -> Result<String, lab::LabError> {
        let config = self.config.to_string_lossy();
        let words = [&["--config", &config], words].concat();
        run_with_input(&mut Engine::Local.command(&words), input)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.config);
    }
}

#[tokio::test]
async fn an_engine_pushes_to_the_registry_of_the_account_and_ecr_sees_the_image() {
    if !lab::setup::missing_packages().is_empty() {
        return;
    }
    let double = Double::start(Options {
        registry: Pushes::ForTest,
        ..Options::default()
    })
    .unwrap();
    double.seed(&Application::demo()).unwrap();
    let ecr = aws_sdk_ecr::Client::new(&config(&double).await);
    let answer = ecr.get_authorization_token().send().await.unwrap();
    let data = &answer.authorization_data()[0];
    assert!(data.expires_at().unwrap().secs() > 1_700_000_000);
    let registry = data
        .proxy_endpoint()
        .unwrap()
        .trim_start_matches("https://")
        .to_owned();
    let login = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        data.authorization_token().unwrap(),
    )
    .unwrap();
    let password = String::from_utf8(login).unwrap().replacen("AWS:", "", 1);
    let docker = Docker::new();
    let image = format!("{registry}/demo/api:v1");
    docker
        .run(
            &["build", "-q", "-t", &image, "-"],
            b"FROM scratch\nLABEL a=b\n",
        )
        .unwrap();
    let refused = docker
        .run(&["push", "-q", &image], b"")
        .unwrap_err()
        .to_string();
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    docker
        .run(
            &["login", "-u", "AWS", "--password-stdin", &registry],
            password.as_bytes(),
        )
        .unwrap();
    docker.run(&["push", "-q", &image], b"").unwrap();
    let images = ecr
        .describe_images()
        .repository_name("demo/api")
        .send()
        .await
        .unwrap();
    let pushed = &images.image_details()[0];
    assert_eq!(pushed.image_tags(), ["v1"]);
    let digest = docker
        .run(
            &["inspect", "--format", "{{index .RepoDigests 0}}", &image],
            b"",
        )
        .unwrap();
    assert!(
        digest.ends_with(pushed.image_digest().unwrap()),
        "{digest} {pushed:?}"
    );
    double.rule(Rule::request("registry", "POST *").refused(403, "DENIED", "no push for you"));
    let nowhere = format!("{registry}/demo/web:v1");
    docker.run(&["tag", &image, &nowhere], b"").unwrap();
    let refused = docker
        .run(&["push", "-q", &nowhere], b"")
        .unwrap_err()
        .to_string();
    assert!(refused.contains("no push for you"), "{refused}");
    double.forget_rules();
    let nowhere = format!("{registry}/demo/nobody:v1");
    docker.run(&["tag", &image, &nowhere], b"").unwrap();
    let refused = docker
        .run(&["push", "-q", &nowhere], b"")
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("does not exist in the registry with id"),
        "{refused}"
    );
    for image in [&image, &nowhere] {
        docker.run(&["rmi", "-f", image], b"").unwrap();
    }
}

/// As the templates of workloads have it, with the code in a bucket.
const CONTROLLED: &str = "
Parameters:
  Bucket: { Type: String }
  Key: { Type: String }
Resources:
  Role: { Type: AWS::IAM::Role, Properties: {} }
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Code: { S3Bucket: !Ref Bucket, S3Key: !Ref Key }
      Handler: index.handler
      Timeout: 60
      Role: !GetAtt Role.Arn
      Runtime: nodejs20.x
  Action:
    Type: Custom::EnvControllerFunction
    Properties:
      ServiceToken: !GetAtt Function.Arn
      Workload: web
      EnvStack: demo-test
      Parameters: [ALBWorkloads, Aliases]
      EnvVersion: v1.34.0
Outputs:
  Balancer: { Value: !GetAtt Action.PublicLoadBalancerDNSName }
";

#[tokio::test]
async fn a_function_from_a_bucket_is_run_and_updates_the_environment() {
    if lab::command::find("npm").is_none() {
        return;
    }
    let double = Double::start(Options {
        runs_functions: true,
        ..Options::default()
    })
    .unwrap();
    double.seed(&Application::demo()).unwrap();
    let config = config(&double).await;
    let bucket = double.bucket("demo").unwrap();
    let functions = custom_resources::functions("Scheduled Job");
    let archive = functions[0].archive().bytes;
    let s3 = aws_sdk_s3::Client::new(&config);
    s3.put_object()
        .bucket(&bucket)
        .key("code.zip")
        .body(archive.into())
        .send()
        .await
        .unwrap();
    let parameters = [("Bucket", bucket.as_str()), ("Key", "code.zip")];
    let status = double
        .create_stack("demo-test-web", CONTROLLED, &parameters, &[])
        .unwrap();
    assert_eq!(status, "CREATE_COMPLETE");
    let client = aws_sdk_cloudformation::Client::new(&config);
    let described = client
        .describe_stacks()
        .stack_name("demo-test")
        .send()
        .await
        .unwrap();
    let environment = &described.stacks()[0];
    let parameter = environment
        .parameters()
        .iter()
        .find(|it| it.parameter_key() == Some("ALBWorkloads"));
    assert_eq!(parameter.unwrap().parameter_value(), Some("web"));
    let described = client
        .describe_stacks()
        .stack_name("demo-test-web")
        .send()
        .await
        .unwrap();
    let output = described.stacks()[0].outputs()[0].output_value().unwrap();
    assert!(output.ends_with(".eu-west-1.elb.amazonaws.com"), "{output}");
    client
        .delete_stack()
        .stack_name("demo-test-web")
        .send()
        .await
        .unwrap();
    assert_eq!(
        double
            .wait("demo-test-web", Duration::from_secs(60))
            .unwrap(),
        "DELETE_COMPLETE"
    );
    let described = client
        .describe_stacks()
        .stack_name("demo-test")
        .send()
        .await
        .unwrap();
    let parameter = described.stacks()[0]
        .parameters()
        .iter()
        .find(|it| it.parameter_key() == Some("ALBWorkloads"));
    assert_eq!(parameter.unwrap().parameter_value(), Some(""));
}
