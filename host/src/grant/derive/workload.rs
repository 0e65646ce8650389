//! Grants of a Copilot workload: its own stack, what is uploaded for it, and looking at its environment. Nothing else.
//!
//! Names on AWS: Copilot 1.33, `internal/pkg/{deploy,template/artifactpath}`.

use crate::grant::{AwsGrants, Grants, NamePattern, PathPattern};

/// Where a workload is deployed to, as the host itself knows it.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    /// Twelve digits.
    pub account: &'a str,
    /// `eu-west-1`
    pub region: &'a str,
    /// The application.
    pub application: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// The workload.
    pub name: &'a str,
    /// Where artifacts go.
    pub bucket: &'a str,
    /// The role that CloudFormation acts with.
    pub execution_role: Option<&'a str>,
    /// Files and folders (with a slash at the end) of the project that the manifest names for uploading.
    pub files: &'a [String],
}

impl Workload<'_> {
    /// Name of its stack, as Copilot cuts it.
    pub fn stack(&self) -> String {
        let name = format!("{}-{}-{}", self.application, self.environment, self.name);
        name.chars().take(128).collect()
    }
}

impl Grants {
    /// What a Copilot workload's own driver may do.
    pub fn from_workload(plugin: &str, workload: &Workload<'_>) -> Self {
        let stack = workload.stack();
        let environment = format!("{}-{}", workload.application, workload.environment);
        let folders = [
            format!("manual/templates/{stack}"),
            format!("manual/addons/{}", workload.name),
            "manual/env-files".to_owned(),
            "manual/scripts/custom-resources".to_owned(),
            "local-assets".to_owned(),
        ];
        let objects = folders
            .iter()
            .filter_map(|folder| PathPattern::below(&format!("{}/{folder}", workload.bucket)));
        let files = workload
            .files
            .iter()
            .filter_map(|path| match path.ends_with('/') {
                true => PathPattern::below(path),
                false => PathPattern::exact(path),
            });
        let group = format!("/copilot/{stack}");
        Self {
            aws: AwsGrants {
                accounts: vec![NamePattern::exact(workload.account)],
                regions: vec![NamePattern::exact(workload.region)],
                stacks: vec![NamePattern::exact(&stack)],
                observed_stacks: vec![NamePattern::exact(environment)],
                roles: workload
                    .execution_role
                    .and_then(PathPattern::exact)
                    .into_iter()
                    .collect(),
                objects: objects.collect(),
                files: files.collect(),
                log_groups: PathPattern::exact(&group).into_iter().collect(),
            },
            ..Self::none(plugin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_gets_its_own_stack_and_its_own_uploads() {
        let files = ["env/api.env".to_owned(), "site/".to_owned()];
        let grants = Grants::from_workload(
            "ecs-driver",
            &Workload {
                account: "123456789012",
                region: "eu-west-1",
                application: "app",
                environment: "test",
                name: "api",
                bucket: "b",
                execution_role: Some("arn:aws:iam::123456789012:role/app-test-CFNExecutionRole"),
                files: &files,
            },
        );
        for covered in [
            grants.covers_stack("app-test-api"),
            grants.covers_observed_stack("app-test"),
            grants.covers_object("b", "manual/templates/app-test-api/{sha256}.yml"),
            grants.covers_object(
                "b",
                "manual/scripts/custom-resources/envcontrollerfunction/1.zip",
            ),
            grants.covers_file("env/api.env"),
            grants.covers_file("site/css/main.css"),
            grants.covers_log_group("/copilot/app-test-api"),
        ] {
            assert_eq!(covered, Ok(()));
        }
        for refused in [
            grants.covers_stack("app-test"),
            grants.covers_stack("app-test-web"),
            grants.covers_object("b", "manual/templates/app-test-web/x.yml"),
            grants.covers_object("b", "manual/addons/web/x.yml"),
            grants.covers_file("copilot/api/manifest.yml"),
            grants.covers_role("arn:aws:iam::123456789012:role/Admin"),
        ] {
            refused.expect_err("it is another's");
        }
    }
}
