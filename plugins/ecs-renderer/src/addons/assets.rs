//! Files and folders of the project that an addon refers to, where CloudFormation wants an object in S3.
//!
//! The list is that of `aws cloudformation package`, and so is what an object is called; where it goes is Copilot's
//! (`internal/pkg/addon/package.go`). Nested templates are referred to by URL: CloudFormation takes no `s3://` there,
//! though Copilot writes one.

use crate::diagnostic::{Findings, code};
use crate::facts::{Asset, Facts};
use crate::handover;
use crate::yaml::{At, Data, Key, Node, Scalar, Span};

/// How a property names an object of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `s3://bucket/key`
    Uri,
    /// `https://bucket.s3.region.amazonaws.com/key`
    Url,
    /// A map with these keys.
    Map(&'static str, &'static str),
}

/// What is uploaded for a property that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// A file as it is, a folder as an archive.
    AsItIs,
    /// An archive always.
    Archive,
}

/// A property that holds the place of an object.
#[derive(Clone, Copy, Debug)]
struct Property {
    of: &'static str,
    path: &'static [&'static str],
    packing: Packing,
    form: Form,
}

const fn property(
    of: &'static str,
    path: &'static [&'static str],
    packing: Packing,
    form: Form,
) -> Property {
    Property {
        of,
        path,
        packing,
        form,
    }
}

const PROPERTIES: &[Property] = {
    use Form::{Map, Uri, Url};
    use Packing::{Archive, AsItIs};
    const OBJECT: Form = Map("S3Bucket", "S3Key");
    const SHORT: Form = Map("Bucket", "Key");
    &[
        property(
            "AWS::ApiGateway::RestApi",
            &["BodyS3Location"],
            AsItIs,
            SHORT,
        ),
        property(
            "AWS::AppSync::FunctionConfiguration",
            &["RequestMappingTemplateS3Location"],
            AsItIs,
            Uri,
        ),
        property(
            "AWS::AppSync::FunctionConfiguration",
            &["ResponseMappingTemplateS3Location"],
            AsItIs,
            Uri,
        ),
        property(
            "AWS::AppSync::GraphQLSchema",
            &["DefinitionS3Location"],
            AsItIs,
            Uri,
        ),
        property(
            "AWS::AppSync::Resolver",
            &["RequestMappingTemplateS3Location"],
            AsItIs,
            Uri,
        ),
        property(
            "AWS::AppSync::Resolver",
            &["ResponseMappingTemplateS3Location"],
            AsItIs,
            Uri,
        ),
        property("AWS::CloudFormation::Stack", &["TemplateURL"], AsItIs, Url),
        property(
            "AWS::CodeCommit::Repository",
            &["Code", "S3"],
            Archive,
            SHORT,
        ),
        property(
            "AWS::ElasticBeanstalk::ApplicationVersion",
            &["SourceBundle"],
            AsItIs,
            OBJECT,
        ),
        property(
            "AWS::Glue::Job",
            &["Command", "ScriptLocation"],
            AsItIs,
            Uri,
        ),
        property("AWS::Lambda::Function", &["Code"], Archive, OBJECT),
        property("AWS::Lambda::LayerVersion", &["Content"], Archive, OBJECT),
        property("AWS::Serverless::Api", &["DefinitionUri"], AsItIs, Uri),
        property("AWS::Serverless::Application", &["Location"], AsItIs, Url),
        property("AWS::Serverless::Function", &["CodeUri"], Archive, Uri),
        property(
            "AWS::Serverless::LayerVersion",
            &["ContentUri"],
            Archive,
            Uri,
        ),
        property(
            "AWS::Serverless::StateMachine",
            &["DefinitionUri"],
            AsItIs,
            SHORT,
        ),
        property(
            "AWS::StepFunctions::StateMachine",
            &["DefinitionS3Location"],
            AsItIs,
            SHORT,
        ),
    ]
};

/// Something to upload for an addon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    /// Where it goes in the bucket.
    pub(crate) key: String,
    /// Path from the project's root.
    pub(crate) path: String,
    /// Packed, or as it is.
    pub(crate) archive: bool,
}

/// Paths of the project that a template names.
pub(crate) fn named(template: &Node) -> Vec<String> {
    let (mut template, mut found) = (template.clone(), Vec::new());
    each(&mut template, &mut |path, _, _| {
        found.push(path.value.clone());
        None
    });
    found
}

/// The template with objects of S3 where paths of the project were, and what has to be uploaded for it.
pub(crate) fn packaged(
    template: &Node,
    workload: &str,
    facts: &Facts,
    findings: &mut Findings,
) -> (Node, Vec<Upload>) {
    let (mut template, mut uploads) = (template.clone(), Vec::new());
    each(
        &mut template,
        &mut |path, packing, form| match upload(path, packing, workload, facts) {
            Ok(upload) => {
                let node = form.node(path.span, facts, &upload.key);
                uploads.push(upload);
                Some(node)
            }
            Err(problem) => {
                findings.coded(code::ADDON).error(
                    path.span,
                    format!("`{}` {problem}", path.value),
                    "paths begin at the folder that holds `copilot/`; what lies elsewhere is named by its place in S3",
                );
                None
            }
        },
    );
    (template, uploads)
}

fn upload(
    path: &At<String>,
    packing: Packing,
    workload: &str,
    facts: &Facts,
) -> Result<Upload, String> {
    let place = |digest: &str| format!("manual/addons/{workload}/assets/{digest}");
    match (facts.assets.get(&path.value), packing) {
        (Some(Asset::Problem { problem }), _) => Err(problem.clone()),
        (
            Some(Asset::There {
                path,
                file: Some(file),
                ..
            }),
            Packing::AsItIs,
        ) => Ok(Upload {
            key: place(file),
            path: path.clone(),
            archive: false,
        }),
        (Some(Asset::There { path, archive, .. }), _) => Ok(Upload {
            key: place(archive),
            path: path.clone(),
            archive: true,
        }),
        (None, _) => Err("is not known: the host said nothing of it".to_owned()),
    }
}

impl Form {
    /// An object of the artifact bucket, named.
    fn node(self, span: Span, facts: &Facts, key: &str) -> Node {
        let bucket = &facts.artifacts.bucket;
        let text = |text: &str| Node {
            span,
            tag: None,
            data: Data::Scalar(Scalar {
                text: text.to_owned(),
                plain: true,
                literal: false,
                range: (0, 0),
            }),
        };
        let named = |name: &str| Key {
            text: name.to_owned(),
            span,
        };
        match self {
            Form::Uri => text(&format!("s3://{bucket}/{key}")),
            Form::Url => text(&handover::url(facts, key)),
            Form::Map(bucket_key, object_key) => Node {
                span,
                tag: None,
                data: Data::Map(vec![
                    (named(bucket_key), text(bucket)),
                    (named(object_key), text(key)),
                ]),
            },
        }
    }
}

/// Gives every path of the project in a template to `replace`, which may put something in its place.
fn each(template: &mut Node, replace: &mut Replace<'_>) {
    for (section, node) in entries(template) {
        includes(node, replace);
        if section.text == "Resources" {
            for (_, resource) in entries(node) {
                properties(resource, replace);
            }
        }
    }
}

type Replace<'a> = dyn FnMut(&At<String>, Packing, Form) -> Option<Node> + 'a;

fn properties(resource: &mut Node, replace: &mut Replace<'_>) {
    let Some(kind) = resource.text_at("Type") else {
        return;
    };
    for property in PROPERTIES.iter().filter(|known| known.of == kind.value) {
        let mut whole = ["Properties"]
            .into_iter()
            .chain(property.path.iter().copied());
        let found = whole.try_fold(&mut *resource, get);
        offer(found, property.packing, property.form, replace);
    }
}

/// `Fn::Transform` with the macro `AWS::Include`, in whatever form: it reads a part of the template from S3.
fn includes(node: &mut Node, replace: &mut Replace<'_>) {
    if node
        .text_at("Name")
        .is_some_and(|name| name.value == "AWS::Include")
    {
        let location = get(node, "Parameters").and_then(|parameters| get(parameters, "Location"));
        offer(location, Packing::AsItIs, Form::Uri, replace);
    }
    match &mut node.data {
        Data::Map(entries) => entries
            .iter_mut()
            .for_each(|(_, value)| includes(value, replace)),
        Data::List(items) => items.iter_mut().for_each(|item| includes(item, replace)),
        Data::Scalar(_) => {}
    }
}

fn offer(node: Option<&mut Node>, packing: Packing, form: Form, replace: &mut Replace<'_>) {
    let Some(node) = node.filter(|node| node.tag.is_none()) else {
        return;
    };
    let Some(path) = node.text().filter(|text| is_path(text)) else {
        return;
    };
    if let Some(new) = replace(&At::new(path.to_owned(), node.span), packing, form) {
        *node = new;
    }
}

/// Whatever does not say where in S3, or on the web, it is.
fn is_path(text: &str) -> bool {
    let elsewhere = ["s3://", "http://", "https://"];
    !text.is_empty() && !elsewhere.iter().any(|scheme| text.starts_with(scheme))
}

fn entries(node: &mut Node) -> &mut [(Key, Node)] {
    match &mut node.data {
        Data::Map(entries) => entries,
        Data::List(_) | Data::Scalar(_) => &mut [],
    }
}

fn get<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let found = entries(node).iter_mut().find(|(name, _)| name.text == key);
    found.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cfn::{Value, print};
    use crate::yaml;

    fn names(text: &str) -> Vec<String> {
        named(&yaml::parse(text, 0).expect("valid"))
    }

    #[test]
    fn only_plain_paths_of_packaged_properties_are_local() {
        for (kind, properties, wanted) in [
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
        ] {
            let text =
                format!("Resources:\n  R:\n    Type: {kind}\n    Properties: {properties}\n");
            assert_eq!(names(&text), wanted, "{text}");
        }
        for include in [
            "Resources: {R: {'Fn::Transform': {Name: 'AWS::Include', Parameters: {Location: a.yml}}}}",
            "Outputs: {O: !Transform {Name: 'AWS::Include', Parameters: {Location: a.yml}}}",
            "Transform: [{Name: 'AWS::Include', Parameters: {Location: a.yml}}]",
        ] {
            assert_eq!(names(include), ["a.yml"], "{include}");
        }
    }

    #[test]
    fn a_path_becomes_the_object_that_is_uploaded_for_it() {
        let template = "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties: {Code: ./a}\n  \
            J:\n    Type: AWS::Glue::Job\n    Properties: {Command: {ScriptLocation: job.py}}\n  \
            S:\n    Type: AWS::CloudFormation::Stack\n    Properties: {TemplateURL: t.yml}\n  \
            G:\n    Type: AWS::Lambda::Function\n    Properties: {Code: gone}\n";
        let template = yaml::parse(template, 0).expect("valid");
        let mut facts = crate::facts::minimal();
        for (name, answer) in [
            ("./a", r#"{"path": "a", "archive": "1a"}"#),
            (
                "job.py",
                r#"{"path": "job.py", "archive": "2a", "file": "2f"}"#,
            ),
            (
                "t.yml",
                r#"{"path": "t.yml", "archive": "3a", "file": "3f"}"#,
            ),
            (
                "gone",
                r#"{"problem": "is not a file or folder of the project"}"#,
            ),
        ] {
            let asset = serde_json::from_str(answer).expect("valid");
            facts.assets.insert(name.to_owned(), asset);
        }
        let mut findings = Findings::default();
        let (packaged, uploads) = packaged(&template, "api", &facts, &mut findings);
        let text = print::yaml(&Value::from_node(&packaged));
        for expected in [
            "S3Bucket: artifacts\n        S3Key: manual/addons/api/assets/1a",
            "ScriptLocation: s3://artifacts/manual/addons/api/assets/2f",
            "TemplateURL: https://artifacts.s3.eu-west-1.amazonaws.com/manual/addons/api/assets/3f",
            "Code: gone",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        let uploads: Vec<(&str, bool)> = uploads
            .iter()
            .map(|upload| (upload.path.as_str(), upload.archive))
            .collect();
        assert_eq!(uploads, [("a", true), ("job.py", false), ("t.yml", false)]);
        assert!(findings.failed());
    }
}
