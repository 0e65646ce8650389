//! Files and folders of the project that an addon refers to, where CloudFormation wants an object in S3.
//!
//! The list is that of `aws cloudformation package`.

use crate::yaml::{At, Node};

/// Properties that hold the place of an object, by resource type.
const PROPERTIES: &[(&str, &str)] = &[
    ("AWS::ApiGateway::RestApi", "BodyS3Location"),
    (
        "AWS::AppSync::FunctionConfiguration",
        "RequestMappingTemplateS3Location",
    ),
    (
        "AWS::AppSync::FunctionConfiguration",
        "ResponseMappingTemplateS3Location",
    ),
    ("AWS::AppSync::GraphQLSchema", "DefinitionS3Location"),
    ("AWS::AppSync::Resolver", "RequestMappingTemplateS3Location"),
    (
        "AWS::AppSync::Resolver",
        "ResponseMappingTemplateS3Location",
    ),
    ("AWS::CloudFormation::Stack", "TemplateURL"),
    ("AWS::CodeCommit::Repository", "Code.S3"),
    ("AWS::ElasticBeanstalk::ApplicationVersion", "SourceBundle"),
    ("AWS::Glue::Job", "Command.ScriptLocation"),
    ("AWS::Lambda::Function", "Code"),
    ("AWS::Lambda::LayerVersion", "Content"),
    ("AWS::Serverless::Api", "DefinitionUri"),
    ("AWS::Serverless::Application", "Location"),
    ("AWS::Serverless::Function", "CodeUri"),
    ("AWS::Serverless::LayerVersion", "ContentUri"),
    ("AWS::Serverless::StateMachine", "DefinitionUri"),
    ("AWS::StepFunctions::StateMachine", "DefinitionS3Location"),
];

/// Paths of the project in a resource.
pub(crate) fn local(resource: &Node) -> Vec<At<String>> {
    let kind = resource.text_at("Type").map(|kind| kind.value);
    PROPERTIES
        .iter()
        .filter(|(of, _)| kind.as_deref() == Some(of))
        .filter_map(|(_, path)| resource.dig("Properties")?.dig(path))
        .filter(|node| node.tag.is_none())
        .filter_map(|node| Some(At::new(node.text()?.to_owned(), node.span)))
        .filter(|path| is_path(&path.value))
        .collect()
}

/// Whatever does not say where in S3, or on the web, it is.
fn is_path(text: &str) -> bool {
    let elsewhere = ["s3://", "http://", "https://"];
    !text.is_empty() && !elsewhere.iter().any(|scheme| text.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn only_plain_paths_of_packaged_properties_are_local() {
        let table = [
            (
                "AWS::Lambda::Function",
                "{Code: lambdas/a}",
                vec!["lambdas/a"],
            ),
            (
                "AWS::Lambda::Function",
                "{Code: {S3Bucket: b, S3Key: k}}",
                vec![],
            ),
            ("AWS::Lambda::Function", "{Code: !Ref Code}", vec![]),
            ("AWS::Lambda::Function", "{Handler: index.handler}", vec![]),
            (
                "AWS::CloudFormation::Stack",
                "{TemplateURL: 'https://b/t.yml'}",
                vec![],
            ),
            (
                "AWS::CloudFormation::Stack",
                "{TemplateURL: more.yml}",
                vec!["more.yml"],
            ),
            (
                "AWS::Glue::Job",
                "{Command: {ScriptLocation: job.py}}",
                vec!["job.py"],
            ),
            (
                "AWS::AppSync::Resolver",
                "{RequestMappingTemplateS3Location: a, ResponseMappingTemplateS3Location: s3://b/c}",
                vec!["a"],
            ),
            ("AWS::S3::Bucket", "{Code: lambdas/a}", vec![]),
        ];
        for (kind, properties, wanted) in table {
            let text = format!("Type: {kind}\nProperties: {properties}\n");
            let resource = yaml::parse(&text, 0).expect("valid");
            let found: Vec<String> = local(&resource).into_iter().map(|at| at.value).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
