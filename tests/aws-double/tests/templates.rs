//! Every template that Copilot's own renderer made comes to stand here, as far as it would anywhere.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#![allow(missing_docs, reason = "test names are sentences")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aws_double::seed::{Application, Environment};
use aws_double::{Double, Options};
use serde_json::{Value, json};

/// Everything an environment can have.
fn whole(name: &str) -> Environment {
    let mut environment = Environment::new(name);
    let parts = [
        "ALBWorkloads",
        "InternalALBWorkloads",
        "EFSWorkloads",
        "NATWorkloads",
        "AppRunnerPrivateWorkloads",
    ];
    environment.parameters = parts
        .map(|part| (part.to_owned(), "somebody".to_owned()))
        .into();
    for listener in ["CreateHTTPSListener", "CreateInternalHTTPSListener"] {
        environment
            .parameters
            .push((listener.to_owned(), "true".to_owned()));
    }
    environment
}

/// What the case's own stack came to.
fn deployed(case: &Path) -> String {
    let json = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(case.join(name)).unwrap()).unwrap()
    };
    let parameters = json("expected.params.json");
    let text = |name: &str| {
        parameters["Parameters"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (app, env) = (text("AppName"), text("EnvName"));
    let mut application = Application::new(&app, &env);
    application.environments = vec![whole(&env)];
    application.domain = Some("example.com".to_owned());
    let double = Double::start(Options {
        has_moto: false,
        resource_time: std::time::Duration::from_millis(1),
        task_time: std::time::Duration::from_millis(1),
        ..Options::default()
    })
    .unwrap();
    double.seed(&application).unwrap();
    let given: Vec<(String, String)> = parameters["Parameters"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let value = value.as_str().unwrap_or_default();
            // Nested stacks come from S3, which is not what is tried here.
            let value = if name == "AddonsTemplateURL" {
                ""
            } else {
                value
            };
            (name.clone(), value.to_owned())
        })
        .collect();
    let given: Vec<(&str, &str)> = given
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let template = fs::read_to_string(case.join("expected.template.json")).unwrap();
    others(&double, &template);
    let name = format!("{app}-{env}-{}", text("WorkloadName"));
    double.create_stack(&name, &template, &given, &[]).unwrap()
        + &double
            .failure(&name)
            .map(|why| format!(" {why}"))
            .unwrap_or_default()
}

/// Exports of stacks that users have beside Copilot's.
fn others(double: &Double, template: &str) {
    fn literals(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| literals(item, found)),
            Value::Object(map) => {
                for (key, value) in map {
                    match value {
                        Value::String(name) if key == "Fn::ImportValue" => {
                            found.insert(name.clone());
                        }
                        _ => literals(value, found),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut names = BTreeSet::new();
    literals(&serde_json::from_str(template).unwrap(), &mut names);
    let output = |(index, name): (usize, &String)| {
        (
            format!("O{index}"),
            json!({ "Value": "x", "Export": { "Name": name } }),
        )
    };
    let outputs: serde_json::Map<String, Value> = names.iter().enumerate().map(output).collect();
    let body =
        json!({ "Resources": { "Topic": { "Type": "AWS::SNS::Topic" } }, "Outputs": outputs });
    let status = double
        .create_stack("others", &body.to_string(), &[], &[])
        .unwrap();
    assert_eq!(status, "CREATE_COMPLETE");
}

#[test]
fn templates_of_copilot_come_to_stand() {
    let cases = lab::cargo::workspace().join("../shared/conformance/copilot/cases/visible");
    let Ok(entries) = fs::read_dir(&cases) else {
        println!("skipped: there is no {}", cases.display());
        return;
    };
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in entries {
        let case = entry.unwrap();
        count += 1;
        let status = deployed(&case.path());
        if status != "CREATE_COMPLETE" {
            failed.push(format!("{}: {status}", case.file_name().display()));
        }
    }
    failed.sort();
    println!("{} of {count}\n{}", count - failed.len(), failed.join("\n"));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
