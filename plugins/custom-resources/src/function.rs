//! Which functions each type of workload has, and the code of each.

use crate::published::PUBLISHED;
use crate::zip::zip;
use sha2::{Digest, Sha256};

/// The runtime the code is written for.
pub const RUNTIME: &str = "nodejs20.x";

/// A Lambda function of a workload's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Logical id.
    pub id: &'static str,
    code: Code,
}

/// A file of `functions/` that is a function's `index.js`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    AliasRecords,
    AppRunnerDomain,
    BacklogPerTask,
    Certificate,
    DesiredCount,
    EnvironmentController,
    RulePriority,
    StateMachine,
}

const ENVIRONMENT: Function = function("EnvControllerFunction", Code::EnvironmentController);
const COUNT: Function = function("DynamicDesiredCountFunction", Code::DesiredCount);
const PRIORITY: Function = function("RulePriorityFunction", Code::RulePriority);
const BACKLOG: Function = function("BacklogPerTaskCalculatorFunction", Code::BacklogPerTask);
const NLB_DOMAIN: Function = function("NLBCustomDomainFunction", Code::AliasRecords);
const NLB_CERTIFICATE: Function = function("NLBCertValidatorFunction", Code::Certificate);
const APP_RUNNER_DOMAIN: Function = function("CustomDomainFunction", Code::AppRunnerDomain);
const SITE_DOMAIN: Function = function("CustomDomainFunction", Code::AliasRecords);
const SITE_CERTIFICATE: Function = function("CertificateValidationFunction", Code::Certificate);
const SITE_FILES: Function = function("TriggerStateMachineFunction", Code::StateMachine);

const fn function(id: &'static str, code: Code) -> Function {
    Function { id, code }
}

/// The functions that a stack of this type may have; `workload` is the manifest's `type`. None for a type nobody knows.
pub fn functions(workload: &str) -> &'static [Function] {
    match workload {
        "Load Balanced Web Service" => &[COUNT, ENVIRONMENT, PRIORITY, NLB_DOMAIN, NLB_CERTIFICATE],
        "Backend Service" => &[COUNT, PRIORITY, ENVIRONMENT],
        "Worker Service" => &[COUNT, BACKLOG, ENVIRONMENT],
        "Scheduled Job" => &[ENVIRONMENT],
        "Request-Driven Web Service" => &[ENVIRONMENT, APP_RUNNER_DOMAIN],
        "Static Site" => &[SITE_FILES, SITE_CERTIFICATE, SITE_DOMAIN],
        _ => &[],
    }
}

/// The archives that have to be in the bucket before this template is deployed: those whose keys it names.
pub fn named_in(template: &str, workload: &str) -> Vec<Archive> {
    functions(workload)
        .iter()
        .filter(|function| template.contains(&function.key()))
        .map(Function::archive)
        .collect()
}

/// What is uploaded for a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Key in the artifact bucket.
    pub key: String,
    /// Digest of the bytes, hexadecimal.
    pub sha256: String,
    /// A ZIP archive.
    pub bytes: Vec<u8>,
}

impl Function {
    /// Handler of the function's resource.
    pub fn handler(&self) -> &'static str {
        match self.code {
            Code::RulePriority => "index.nextAvailableRulePriorityHandler",
            Code::AliasRecords
            | Code::AppRunnerDomain
            | Code::BacklogPerTask
            | Code::Certificate
            | Code::DesiredCount
            | Code::EnvironmentController
            | Code::StateMachine => "index.handler",
        }
    }

    /// Digest of the archive, without making it.
    pub fn sha256(&self) -> &'static str {
        let digests = self.published();
        digests
            .last()
            .expect("a test holds every code to be published")
    }

    /// Where the archive goes in the artifact bucket:
    /// `manual/scripts/custom-resources/<function in lower case>/<sha256>.zip`.
    pub fn key(&self) -> String {
        format!(
            "manual/scripts/custom-resources/{}/{}.zip",
            self.id.to_lowercase(),
            self.sha256()
        )
    }

    /// The archive.
    pub fn archive(&self) -> Archive {
        let bytes = zip(self.code.files());
        Archive {
            key: self.key(),
            sha256: digest(&bytes),
            bytes,
        }
    }

    /// Digests of this function's archives, the newest last.
    pub(crate) fn published(&self) -> &'static [&'static str] {
        let name = self.code.name();
        PUBLISHED
            .iter()
            .find(|(code, _)| *code == name)
            .map(|(_, digests)| *digests)
            .unwrap_or_default()
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

macro_rules! files {
    ($($name:literal = $file:literal),+) => {
        &[$(($name, include_str!(concat!("../functions/", $file)))),+]
    };
}

impl Code {
    /// The name of its file in `functions/`, without the extension.
    fn name(self) -> &'static str {
        match self {
            Code::AliasRecords => "alias-records",
            Code::AppRunnerDomain => "app-runner-domain",
            Code::BacklogPerTask => "backlog-per-task",
            Code::Certificate => "certificate",
            Code::DesiredCount => "desired-count",
            Code::EnvironmentController => "environment-controller",
            Code::RulePriority => "rule-priority",
            Code::StateMachine => "state-machine",
        }
    }

    /// The entries of its archive: name there, and text.
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Code::AliasRecords => files!(
                "index.js" = "alias-records.js",
                "cloudformation.js" = "cloudformation.js",
                "dns.js" = "dns.js"
            ),
            Code::AppRunnerDomain => files!(
                "index.js" = "app-runner-domain.js",
                "cloudformation.js" = "cloudformation.js",
                "dns.js" = "dns.js"
            ),
            Code::BacklogPerTask => files!("index.js" = "backlog-per-task.js"),
            Code::Certificate => files!(
                "index.js" = "certificate.js",
                "cloudformation.js" = "cloudformation.js",
                "dns.js" = "dns.js"
            ),
            Code::DesiredCount => files!(
                "index.js" = "desired-count.js",
                "cloudformation.js" = "cloudformation.js"
            ),
            Code::EnvironmentController => files!(
                "index.js" = "environment-controller.js",
                "cloudformation.js" = "cloudformation.js"
            ),
            Code::RulePriority => files!(
                "index.js" = "rule-priority.js",
                "cloudformation.js" = "cloudformation.js"
            ),
            Code::StateMachine => files!(
                "index.js" = "state-machine.js",
                "cloudformation.js" = "cloudformation.js"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const TYPES: [&str; 6] = [
        "Load Balanced Web Service",
        "Backend Service",
        "Worker Service",
        "Scheduled Job",
        "Request-Driven Web Service",
        "Static Site",
    ];

    #[test]
    fn the_code_as_it_is_was_published_last() {
        let all = TYPES.iter().flat_map(|kind| functions(kind));
        let changed: BTreeMap<&str, String> = all
            .map(|function| (function, function.archive()))
            .filter(|(function, archive)| archive.sha256 != function.sha256())
            .map(|(function, archive)| (function.code.name(), archive.sha256))
            .collect();
        assert!(
            changed.is_empty(),
            "write into src/published.rs, as a new line if the last was released: {changed:#?}"
        );
    }

    #[test]
    fn a_key_is_where_copilot_puts_the_function() {
        let function = functions("Scheduled Job")[0];
        let archive = function.archive();
        assert_eq!(
            archive.key,
            format!(
                "manual/scripts/custom-resources/envcontrollerfunction/{}.zip",
                archive.sha256
            )
        );
    }

    #[test]
    fn an_archive_has_every_file_that_its_code_requires() {
        for function in TYPES.iter().flat_map(|kind| functions(kind)) {
            let files = function.code.files();
            for (_, text) in files {
                for rest in text.split("require(\"./").skip(1) {
                    let wanted = rest.split('"').next().unwrap_or_default();
                    let there = files
                        .iter()
                        .any(|(name, _)| *name == format!("{wanted}.js"));
                    assert!(there, "{}: {wanted}", function.id);
                }
            }
            let handler = function.handler().trim_start_matches("index.");
            assert!(
                files[0].1.contains(&format!("exports.{handler} =")),
                "{}",
                function.id
            );
        }
    }

    #[test]
    fn only_archives_that_a_template_names_are_uploaded() {
        let kind = "Load Balanced Web Service";
        let template = format!(
            "S3Key: {}\nS3Key: {}\n",
            PRIORITY.key(),
            "manual/scripts/custom-resources/envcontrollerfunction/0.zip"
        );
        let keys: Vec<String> = named_in(&template, kind)
            .into_iter()
            .map(|a| a.key)
            .collect();
        assert_eq!(keys, [PRIORITY.key()]);
        assert!(named_in(&template, "Scheduled Job").is_empty());
        assert!(functions("Environment").is_empty());
    }
}
