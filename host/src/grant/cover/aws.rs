//! Requests to AWS.

use super::{Answer, quoted};
use crate::grant::{Grants, NamePattern, PathPattern};

impl Grants {
    /// An account, by its twelve digits.
    pub fn covers_account(&self, account: &str) -> Answer {
        self.name("account", account, &self.aws.accounts, "accounts")
    }

    /// A region.
    pub fn covers_region(&self, region: &str) -> Answer {
        self.name("region", region, &self.aws.regions, "regions")
    }

    /// A stack to change.
    pub fn covers_stack(&self, stack: &str) -> Answer {
        self.name("stack", stack, &self.aws.stacks, "stacks")
    }

    /// A stack to look at. What may be changed may be looked at too: see [`covers_stack`](Self::covers_stack).
    pub fn covers_observed_stack(&self, stack: &str) -> Answer {
        let what = "looking at stack";
        self.name(what, stack, &self.aws.observed_stacks, "observed-stacks")
    }

    /// A role that CloudFormation is given.
    pub fn covers_role(&self, arn: &str) -> Answer {
        self.path("passing role", arn, &self.aws.roles, "roles")
    }

    /// An object of a bucket.
    pub fn covers_object(&self, bucket: &str, key: &str) -> Answer {
        let object = format!("{bucket}/{key}");
        // A slash in the bucket's name would move the border between the two.
        let patterns = match bucket.contains('/') {
            true => &[][..],
            false => &self.aws.objects,
        };
        self.path("object", &object, patterns, "objects")
    }

    /// A file of the project, to upload.
    pub fn covers_file(&self, path: &str) -> Answer {
        self.path("uploading file", path, &self.aws.files, "files")
    }

    /// A log group, to read.
    pub fn covers_log_group(&self, group: &str) -> Answer {
        self.path("log group", group, &self.aws.log_groups, "log-groups")
    }

    fn name(&self, what: &str, name: &str, patterns: &[NamePattern], key: &str) -> Answer {
        let any = patterns.iter().any(|pattern| pattern.covers(name));
        let request = format!("{what} {}", quoted(name));
        self.unless(any, "aws", request, &format!("aws.{key}"), &quoted(name))
    }

    fn path(&self, what: &str, path: &str, patterns: &[PathPattern], key: &str) -> Answer {
        let any = patterns.iter().any(|pattern| pattern.covers(path));
        let request = format!("{what} {}", quoted(path));
        self.unless(any, "aws", request, &format!("aws.{key}"), &quoted(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::AwsGrants;

    fn grants() -> Grants {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| NamePattern::parse(name).expect("a pattern"))
                .collect()
        };
        let paths = |paths: &[&str]| {
            paths
                .iter()
                .map(|path| PathPattern::parse(path).expect("a pattern"))
                .collect()
        };
        Grants {
            aws: AwsGrants {
                accounts: names(&["123456789012"]),
                regions: names(&["eu-west-1"]),
                stacks: names(&["app-test-api"]),
                observed_stacks: names(&["app-test"]),
                roles: paths(&["arn:aws:iam::123456789012:role/app-test-CFNExecutionRole"]),
                objects: paths(&["bucket/manual/addons/api/**", "bucket/local-assets/**"]),
                files: paths(&["env/api.env", "site/**"]),
                log_groups: paths(&["/copilot/app-test-api"]),
            },
            ..Grants::none("ecs-driver")
        }
    }

    #[test]
    fn what_is_granted_on_aws_is_covered_and_nothing_beside_it() {
        let grants = grants();
        for covered in [
            grants.covers_account("123456789012"),
            grants.covers_region("eu-west-1"),
            grants.covers_stack("app-test-api"),
            grants.covers_observed_stack("app-test"),
            grants.covers_role("arn:aws:iam::123456789012:role/app-test-CFNExecutionRole"),
            grants.covers_object("bucket", "manual/addons/api/{sha256}.yml"),
            grants.covers_object("bucket", "local-assets/abc"),
            grants.covers_file("env/api.env"),
            grants.covers_file("site/a/b.html"),
            grants.covers_log_group("/copilot/app-test-api"),
        ] {
            assert_eq!(covered, Ok(()));
        }
        for refused in [
            grants.covers_account("210987654321"),
            grants.covers_region("us-east-1"),
            grants.covers_stack("app-test-api2"),
            grants.covers_stack("app-test"),
            grants.covers_observed_stack("app-prod"),
            grants.covers_role("arn:aws:iam::123456789012:role/Admin"),
            grants.covers_role("arn:aws:iam::123456789012:role/app-test-CFNExecutionRole/.."),
            grants.covers_object("other", "manual/addons/api/x.yml"),
            grants.covers_object("bucket", "manual/addons/web/x.yml"),
            grants.covers_object("bucket", "manual/addons/api/../web/x.yml"),
            grants.covers_object("bucket/manual/addons", "api/x.yml"),
            grants.covers_file(".env"),
            grants.covers_file("/etc/passwd"),
            grants.covers_file("site/../.env"),
            grants.covers_log_group("/copilot/app-test-web"),
            grants.covers_log_group("copilot/app-test-api"),
        ] {
            refused.expect_err("it is not granted");
        }
        let denied = grants.covers_stack("db").expect_err("not granted");
        assert_eq!(
            (denied.request.as_str(), denied.rule.as_str()),
            (
                "stack \"db\"",
                "plugins.ecs-driver.grants.aws.stacks += \"db\""
            )
        );
    }
}
