//! What resources are called: the name each type gets, and the attributes that follow from it.

use serde_json::{Map, Value, json};

use super::Operation;
use crate::cloudformation::evaluate::{Identity, dns_suffix, partition, text_of};
use crate::id;

/// Properties that name a resource, where its user may.
const NAMES: [(&str, &str); 14] = [
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
    ("AWS::Logs::LogGroup", "LogGroupName"),
    ("AWS::Lambda::Function", "FunctionName"),
    ("AWS::S3::Bucket", "BucketName"),
    ("AWS::ECR::Repository", "RepositoryName"),
    ("AWS::ECS::Cluster", "ClusterName"),
    ("AWS::ECS::Service", "ServiceName"),
    ("AWS::SNS::Topic", "TopicName"),
    ("AWS::SQS::Queue", "QueueName"),
    ("AWS::SSM::Parameter", "Name"),
    ("AWS::SecretsManager::Secret", "Name"),
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::StepFunctions::StateMachine", "StateMachineName"),
];

/// Where a resource lives.
struct Home {
    stack: String,
    region: String,
    account: String,
    partition: &'static str,
}

fn home(operation: &Operation) -> Home {
    let (stack, region) = operation.world.read(&operation.stack, |stack| {
        (stack.name.clone(), stack.region.clone())
    });
    let partition = partition(&region);
    Home {
        stack,
        region,
        account: operation.world.settings.account.clone(),
        partition,
    }
}

impl Home {
    fn arn(&self, service: &str, rest: &str) -> String {
        let (partition, region, account) = (self.partition, &self.region, &self.account);
        format!("arn:{partition}:{service}:{region}:{account}:{rest}")
    }
}

/// A physical id as the type has them.
pub(super) fn physical(operation: &Operation) -> String {
    let home = home(operation);
    let properties = &operation.properties;
    let given = NAMES
        .iter()
        .find(|(kind, _)| *kind == operation.kind)
        .map(|(_, property)| text_of(&properties[*property]))
        .filter(|name| !name.is_empty());
    let made_up = format!("{}-{}-{}", home.stack, operation.name, id::suffix(12));
    let name = given.unwrap_or(made_up);
    let short = |prefix: &str| format!("{prefix}-0{}", &id::hex(8));
    match operation.kind.as_str() {
        "AWS::EC2::VPC" => short("vpc"),
        "AWS::EC2::Subnet" => short("subnet"),
        "AWS::EC2::SecurityGroup" => short("sg"),
        "AWS::EC2::InternetGateway" => short("igw"),
        "AWS::EC2::NatGateway" => short("nat"),
        "AWS::EC2::RouteTable" => short("rtb"),
        "AWS::EC2::VPCEndpoint" => short("vpce"),
        "AWS::EFS::FileSystem" => short("fs"),
        "AWS::EFS::AccessPoint" => short("fsap"),
        "AWS::ServiceDiscovery::PrivateDnsNamespace" => format!("ns-{}", &id::hex(8)),
        "AWS::ServiceDiscovery::Service" => format!("srv-{}", &id::hex(8)),
        "AWS::Route53::HostedZone" => format!("Z{}", id::suffix(20)),
        "AWS::KMS::Key" => id::uuid(),
        "AWS::S3::Bucket" => name.to_lowercase(),
        "AWS::SNS::Topic" => home.arn("sns", &name),
        "AWS::SQS::Queue" => format!(
            "https://sqs.{}.{}/{}/{name}",
            home.region,
            dns_suffix(&home.region),
            home.account
        ),
        "AWS::StepFunctions::StateMachine" => home.arn("states", &format!("stateMachine:{name}")),
        "AWS::SecretsManager::Secret" => home.arn(
            "secretsmanager",
            &format!("secret:{name}-{}", id::suffix(6)),
        ),
        "AWS::ECS::Service" => {
            let cluster = text_of(&properties["Cluster"]);
            let cluster = cluster.rsplit('/').next().unwrap_or_default();
            home.arn("ecs", &format!("service/{cluster}/{name}"))
        }
        "AWS::ECS::TaskDefinition" => {
            let family = text_of(&properties["Family"]);
            home.arn("ecs", &format!("task-definition/{family}:1"))
        }
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => {
            let kind = if properties["Type"] == "network" {
                "net"
            } else {
                "app"
            };
            let name = balancer_name(&home.stack, operation);
            home.arn(
                "elasticloadbalancing",
                &format!("loadbalancer/{kind}/{name}/{}", id::hex(8)),
            )
        }
        "AWS::ElasticLoadBalancingV2::TargetGroup" => {
            let name = balancer_name(&home.stack, operation);
            home.arn(
                "elasticloadbalancing",
                &format!("targetgroup/{name}/{}", id::hex(8)),
            )
        }
        "AWS::ElasticLoadBalancingV2::Listener" => {
            let balancer = text_of(&properties["LoadBalancerArn"]);
            let balancer = balancer
                .split("loadbalancer/")
                .nth(1)
                .unwrap_or("app/none/0");
            home.arn(
                "elasticloadbalancing",
                &format!("listener/{balancer}/{}", id::hex(8)),
            )
        }
        "AWS::ElasticLoadBalancingV2::ListenerRule" => {
            let listener = text_of(&properties["ListenerArn"]);
            let listener = listener.split("listener/").nth(1).unwrap_or("app/none/0/0");
            home.arn(
                "elasticloadbalancing",
                &format!("listener-rule/{listener}/{}", id::hex(8)),
            )
        }
        _ => name,
    }
}

/// Balancers and their targets have at most 32 characters.
fn balancer_name(stack: &str, operation: &Operation) -> String {
    let given = text_of(&operation.properties["Name"]);
    if !given.is_empty() {
        return given;
    }
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    let (stack, name) = (cut(stack, 6), cut(&operation.name, 5));
    format!("{}-{name}-{}", stack.trim_end_matches('-'), id::suffix(12))
}

/// What `Ref` and `Fn::GetAtt` give for a resource of this name.
pub(super) fn identity(operation: &Operation, physical: &str) -> Identity {
    let home = home(operation);
    let suffix = dns_suffix(&home.region);
    let after = |mark: &str| physical.split_once(mark).map_or("", |(_, rest)| rest);
    let last = physical.rsplit(['/', ':']).next().unwrap_or_default();
    let arn = |service: &str, rest: String| json!({ "Arn": home.arn(service, &rest) });
    let attributes = match operation.kind.as_str() {
        "AWS::IAM::Role" => json!({
            "Arn": format!("arn:{}:iam::{}:role/{physical}", home.partition, home.account),
            "RoleId": format!("AROA{}", id::suffix(17)),
        }),
        "AWS::Logs::LogGroup" => arn("logs", format!("log-group:{physical}:*")),
        "AWS::Lambda::Function" => arn("lambda", format!("function:{physical}")),
        "AWS::KMS::Key" => {
            let arn = home.arn("kms", &format!("key/{physical}"));
            json!({ "Arn": arn, "KeyId": physical })
        }
        "AWS::S3::Bucket" => json!({
            "Arn": format!("arn:{}:s3:::{physical}", home.partition),
            "DomainName": format!("{physical}.s3.{suffix}"),
            "RegionalDomainName": format!("{physical}.s3.{}.{suffix}", home.region),
        }),
        "AWS::ECR::Repository" => json!({
            "Arn": home.arn("ecr", &format!("repository/{physical}")),
            "RepositoryUri": format!("{}.dkr.ecr.{}.{suffix}/{physical}", home.account, home.region),
        }),
        "AWS::ECS::Cluster" => arn("ecs", format!("cluster/{physical}")),
        "AWS::ECS::Service" => json!({ "Name": last, "ServiceArn": physical }),
        "AWS::ECS::TaskDefinition" => json!({ "TaskDefinitionArn": physical }),
        "AWS::SNS::Topic" => json!({ "TopicArn": physical, "TopicName": last }),
        "AWS::SQS::Queue" => {
            json!({ "Arn": home.arn("sqs", last), "QueueName": last, "QueueUrl": physical })
        }
        "AWS::StepFunctions::StateMachine" => json!({ "Arn": physical, "Name": last }),
        "AWS::Events::Rule" => arn("events", format!("rule/{physical}")),
        "AWS::CloudWatch::Alarm" => arn("cloudwatch", format!("alarm:{physical}")),
        "AWS::EC2::VPC" => json!({
            "VpcId": physical,
            "CidrBlock": operation.properties["CidrBlock"],
            "DefaultSecurityGroup": format!("sg-{}", last.trim_start_matches("vpc-")),
        }),
        "AWS::EC2::Subnet" => json!({ "SubnetId": physical }),
        "AWS::EC2::SecurityGroup" => {
            json!({ "GroupId": physical, "VpcId": operation.properties["VpcId"] })
        }
        "AWS::EC2::EIP" => json!({ "AllocationId": format!("eipalloc-{}", id::hex(8)) }),
        "AWS::EC2::NatGateway" => json!({ "NatGatewayId": physical }),
        "AWS::EC2::InternetGateway" => json!({ "InternetGatewayId": physical }),
        "AWS::EC2::RouteTable" => json!({ "RouteTableId": physical }),
        "AWS::EC2::VPCEndpoint" => json!({ "Id": physical }),
        "AWS::EFS::FileSystem" => json!({
            "Arn": home.arn("elasticfilesystem", &format!("file-system/{physical}")),
            "FileSystemId": physical,
        }),
        "AWS::EFS::AccessPoint" => json!({
            "Arn": home.arn("elasticfilesystem", &format!("access-point/{physical}")),
            "AccessPointId": physical,
        }),
        "AWS::ServiceDiscovery::PrivateDnsNamespace" => json!({
            "Arn": home.arn("servicediscovery", &format!("namespace/{physical}")),
            "Id": physical,
            "HostedZoneId": "Z0PRIVATE",
        }),
        "AWS::ServiceDiscovery::Service" => json!({
            "Arn": home.arn("servicediscovery", &format!("service/{physical}")),
            "Id": physical,
            "Name": operation.properties["Name"],
        }),
        "AWS::Route53::HostedZone" => {
            json!({ "Id": physical, "NameServers": ["ns-1.example.com", "ns-2.example.com"] })
        }
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => {
            let full = after("loadbalancer/");
            let name = full.split('/').nth(1).unwrap_or_default();
            json!({
                "LoadBalancerArn": physical,
                "LoadBalancerFullName": full,
                "LoadBalancerName": name,
                "DNSName": format!("{name}.{}.elb.{suffix}", home.region),
                "CanonicalHostedZoneID": "Z35SXDOTRQ7X7K",
                "SecurityGroups": operation.properties["SecurityGroups"],
            })
        }
        "AWS::ElasticLoadBalancingV2::TargetGroup" => {
            let full = format!("targetgroup/{}", after("targetgroup/"));
            let name = full.split('/').nth(1).unwrap_or_default().to_owned();
            json!({
                "TargetGroupArn": physical,
                "TargetGroupFullName": full,
                "TargetGroupName": name,
                "LoadBalancerArns": [],
            })
        }
        "AWS::ElasticLoadBalancingV2::Listener" => json!({ "ListenerArn": physical }),
        "AWS::ElasticLoadBalancingV2::ListenerRule" => {
            json!({ "RuleArn": physical, "IsDefault": false })
        }
        "AWS::CloudFront::Distribution" => {
            let domain = format!(
                "d{}.cloudfront.net",
                physical.to_lowercase().replace('-', "")
            );
            json!({ "Id": physical, "DomainName": domain })
        }
        "AWS::CloudFront::Function" => json!({ "FunctionARN": arn_global(&home, physical) }),
        "AWS::CloudFront::OriginAccessControl" => json!({ "Id": physical }),
        "AWS::AppRunner::Service" => json!({
            "ServiceArn": home.arn("apprunner", &format!("service/{physical}")),
            "ServiceId": id::hex(16),
            "ServiceUrl": format!("{}.{}.awsapprunner.com", id::hex(5), home.region),
        }),
        "AWS::AppRunner::VpcConnector" => {
            json!({ "VpcConnectorArn": home.arn("apprunner", &format!("vpcconnector/{physical}")) })
        }
        "AWS::AppRunner::VpcIngressConnection" => json!({
            "VpcIngressConnectionArn": home.arn("apprunner", &format!("vpcingressconnection/{physical}")),
            "DomainName": format!("{}.{}.awsapprunner.com", id::hex(5), home.region),
        }),
        "AWS::SecretsManager::Secret" => json!({ "Id": physical }),
        "AWS::SSM::Parameter" => json!({ "Value": operation.properties["Value"] }),
        "AWS::DynamoDB::Table" => arn("dynamodb", format!("table/{physical}")),
        "AWS::IAM::Policy" => json!({}),
        _ => arn("double", physical.to_owned()),
    };
    let Value::Object(attributes) = attributes else {
        return Identity::default();
    };
    let present = |(_, value): &(String, Value)| !value.is_null();
    Identity {
        reference: physical.to_owned(),
        attributes: attributes
            .into_iter()
            .filter(present)
            .collect::<Map<_, _>>(),
    }
}

fn arn_global(home: &Home, physical: &str) -> String {
    format!(
        "arn:{}:cloudfront::{}:function/{physical}",
        home.partition, home.account
    )
}
