//! Functions of stacks: their code from S3, run with node and Lambda's SDK against this double.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use lab::node::Node;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::oneshot;

use crate::cloudformation::evaluate::text_of;
use crate::world::World;
use crate::{id, moto, sts};

/// Takes the archive apart, as Lambda does, and calls the handler.
const RUNTIME: &str = include_str!("lambda/runtime.js");

/// A function of a stack.
pub(crate) struct Function {
    /// Evaluated.
    properties: Value,
    name: String,
    region: String,
}

/// The function of an ARN, when a stack has it and its code is in S3.
pub(crate) fn find(world: &World, arn: &str) -> Option<Function> {
    let state = world.state();
    let stacks = state.stacks.iter().filter(|stack| !stack.is_gone());
    for stack in stacks {
        for resource in &stack.version.resources {
            let known = resource.identity.attributes.get("Arn");
            if known.is_some_and(|it| it == arn) && resource.properties["Code"]["S3Key"].is_string()
            {
                return Some(Function {
                    properties: resource.properties.clone(),
                    name: resource.physical.clone(),
                    region: stack.region.clone(),
                });
            }
        }
    }
    None
}

/// Sends CloudFormation's request to a function and waits for its answer; why there was none.
pub(crate) async fn request(
    world: &Arc<World>,
    node: &Node,
    function: &Function,
    mut event: Value,
) -> Result<Value, String> {
    let token = id::hex(16);
    let (told, answered) = oneshot::channel();
    world.state().callbacks.insert(token.clone(), told);
    let address = world.address.get().ok_or("the double does not listen")?;
    event["ResponseURL"] = json!(format!("http://{address}/_double/respond/{token}"));
    let code = &function.properties["Code"];
    let (bucket, key) = (text_of(&code["S3Bucket"]), text_of(&code["S3Key"]));
    let archive = moto::object(world, &bucket, &key).await?;
    let folder = std::env::temp_dir().join(format!("plimsoll-function-{}", id::hex(8)));
    let limit = text_of(&function.properties["Timeout"])
        .parse()
        .unwrap_or(3);
    let ran = match write(&folder, &archive) {
        Ok(()) => {
            run(
                world,
                node,
                function,
                &folder,
                &event,
                Duration::from_secs(limit),
            )
            .await
        }
        Err(error) => Err(error.to_string()),
    };
    // What is left of it is in the way of nobody.
    let _ = std::fs::remove_dir_all(&folder);
    world.state().callbacks.remove(&token);
    // An answer counts, whatever became of the function afterwards.
    match (answered.await, ran) {
        (Ok(answer), _) => Ok(answer),
        (Err(_), Err(why)) => Err(format!("function {}: {why}", function.name)),
        (Err(_), Ok(said)) => Err(format!(
            "CloudFormation did not receive a response from your Custom Resource. Function {} said: {said}",
            function.name
        )),
    }
}

fn write(folder: &Path, archive: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("function.zip"), archive)?;
    std::fs::write(folder.join("runtime.js"), RUNTIME)
}

async fn run(
    world: &World,
    node: &Node,
    function: &Function,
    folder: &Path,
    event: &Value,
    limit: Duration,
) -> Result<String, String> {
    let address = world.address.get().ok_or("the double does not listen")?;
    let role = text_of(&function.properties["Role"]);
    let (access_key, secret_key, token) = sts::session(world, &role, &function.name);
    let mut process = Command::new(&node.program)
        .arg("runtime.js")
        .arg(text_of(&function.properties["Handler"]))
        .current_dir(folder)
        .env_clear()
        .env("NODE_PATH", &node.modules)
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("AWS_REGION", &function.region)
        .env("AWS_ACCESS_KEY_ID", access_key)
        .env("AWS_SECRET_ACCESS_KEY", secret_key)
        .env("AWS_SESSION_TOKEN", token)
        .env("AWS_LAMBDA_FUNCTION_NAME", &function.name)
        .env("TIMEOUT_MS", limit.as_millis().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("start node: {error}"))?;
    let mut stdin = process.stdin.take().ok_or("node has no stdin")?;
    stdin
        .write_all(event.to_string().as_bytes())
        .await
        .map_err(|error| format!("tell node the event: {error}"))?;
    drop(stdin);
    let ended = tokio::time::timeout(limit, process.wait_with_output()).await;
    let output = ended
        .map_err(|_| format!("Task timed out after {} seconds", limit.as_secs()))?
        .map_err(|error| format!("run node: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}
