//! What the environment manager role may do in a deploy: its own permissions, cut down to this workload. STS takes the
//! intersection, so nothing is gained by what stands here.

use serde_json::json;

use crate::wire::aws::call::partition;

/// A session policy, JSON. STS takes 2,048 characters.
pub fn session_policy(
    application: &str,
    environment: &str,
    workload: &str,
    account: &str,
    region: &str,
    execution_role: &str,
) -> String {
    let partition = partition(region);
    let stack =
        |name: &str| format!("arn:{partition}:cloudformation:{region}:{account}:stack/{name}");
    let own = format!("{application}-{environment}-{workload}");
    let allow = |actions: &[&str], resources: &[String]| json!({"Effect": "Allow", "Action": actions, "Resource": resources});
    let any = ["*".to_owned()];
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            allow(
                &["cloudformation:*"],
                &[stack(&format!("{own}/*")), stack(&format!("{own}-AddonsStack-*"))],
            ),
            allow(
                &[
                    "cloudformation:Describe*", "cloudformation:Get*", "ecs:Describe*", "ecs:List*",
                    "apprunner:Describe*", "elasticloadbalancing:Describe*", "acm:Describe*", "ec2:Describe*",
                    "tag:GetResources", "cloudwatch:Describe*", "logs:Get*", "logs:FilterLogEvents", "logs:Describe*",
                    "ssm:GetParameters", "ssm:ListTagsForResource", "secretsmanager:DescribeSecret",
                    "kms:GenerateDataKey", "kms:Decrypt", "iam:GetRole",
                ],
                &any,
            ),
            allow(
                &["s3:GetObject", "s3:PutObject", "s3:PutObjectAcl"],
                &[
                    format!("arn:{partition}:s3:::*/manual/*"),
                    format!("arn:{partition}:s3:::*/local-assets/*"),
                ],
            ),
            allow(
                &["ecs:UpdateService"],
                &[format!("arn:{partition}:ecs:{region}:{account}:service/{application}-{environment}-*")],
            ),
            allow(
                &["apprunner:StartDeployment", "apprunner:ListOperations"],
                &[format!("arn:{partition}:apprunner:{region}:{account}:service/{own}/*")],
            ),
            allow(&["iam:PassRole"], &[execution_role.to_owned()]),
        ],
    });
    policy.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_workload_and_fits() {
        let long = "a".repeat(40);
        let role = format!("arn:aws:iam::123456789012:role/{long}-{long}-CFNExecutionRole");
        let policy = session_policy(&long, &long, &long, "123456789012", "ap-southeast-2", &role);
        assert!(policy.len() <= 2048, "{}", policy.len());
        let short = session_policy(
            "shop",
            "test",
            "api",
            "123456789012",
            "cn-north-1",
            "arn:role",
        );
        assert!(
            short.contains(
                "arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/shop-test-api/*"
            )
        );
        assert!(!short.contains("DeleteStack") && short.contains("\"arn:role\""));
    }
}
