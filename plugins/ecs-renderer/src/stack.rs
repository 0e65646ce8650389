//! The template under construction, section by section.

use crate::cfn;
use crate::cfn::{Map, Value, is_set};
use crate::package::{ContainerImage, EnvFile, SiteFile};
use crate::yaml::At;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// A template and the values of its parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    /// Template parameters.
    pub(crate) parameters: Map,
    /// Values of the parameters.
    pub(crate) values: BTreeMap<String, String>,
    /// Conditions.
    pub(crate) conditions: Map,
    /// Resources.
    pub(crate) resources: Map,
    /// Outputs.
    pub(crate) outputs: Map,
    /// Logical ids that two things claimed.
    pub(crate) collisions: Vec<At<String>>,
    /// Logical ids that are taken.
    ids: HashSet<String>,
    /// Images that are built and pushed before the deployment.
    pub(crate) images: Vec<ContainerImage>,
    /// Environment files that are uploaded before the deployment.
    pub(crate) env_files: Vec<EnvFile>,
    /// Files that a static site serves.
    pub(crate) site_files: Vec<SiteFile>,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `String`.
    Text,
    /// `String`, `""` unless set.
    Optional,
    /// `String`, `true` or `false`.
    Flag,
    /// `Number`.
    Number,
}

impl Stack {
    /// Declares a parameter and sets its value.
    pub(crate) fn parameter(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        value: impl Into<String>,
    ) {
        let name = name.into();
        self.values.insert(name.to_string(), value.into());
        self.declare(name, kind);
    }

    /// Declares a parameter that is left at its default.
    pub(crate) fn declare(&mut self, name: impl Into<Cow<'static, str>>, kind: Kind) {
        let declaration = match kind {
            Kind::Text => cfn!({ "Type": "String" }),
            Kind::Optional => cfn!({ "Type": "String", "Default": "" }),
            Kind::Flag => cfn!({ "Type": "String", "AllowedValues": [true, false] }),
            Kind::Number => cfn!({ "Type": "Number" }),
        };
        self.parameters.push((name.into(), declaration));
    }

    /// Declares a number with a default.
    pub(crate) fn number_with_default(
        &mut self,
        name: &'static str,
        default: i64,
        value: impl Into<String>,
    ) {
        self.values.insert(name.to_owned(), value.into());
        self.parameters.push((
            name.into(),
            cfn!({ "Type": "Number", "Default": (default) }),
        ));
    }

    /// Adds a condition.
    pub(crate) fn condition(&mut self, name: impl Into<Cow<'static, str>>, condition: Value) {
        self.conditions.push((name.into(), condition));
    }

    /// Adds a condition that a parameter is not empty.
    pub(crate) fn condition_set(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        parameter: impl Into<Cow<'static, str>>,
    ) {
        self.condition(name, is_set(parameter));
    }

    /// Adds a resource.
    pub(crate) fn resource(&mut self, id: impl Into<Cow<'static, str>>, resource: Value) {
        let id = id.into();
        if self.ids.insert(id.to_string()) {
            self.resources.push((id, resource));
        } else {
            self.collisions
                .push(At::new(id.into_owned(), resource.span()));
        }
    }

    /// Adds an output.
    pub(crate) fn output(&mut self, id: &'static str, description: &'static str, value: Value) {
        self.outputs.push((
            id.into(),
            cfn!({
                "Description": (description),
                "Value": (value),
                "Export": { "Name": (cfn::sub(format!("${{AWS::StackName}}-{id}"))) },
            }),
        ));
    }

    /// The whole template.
    pub(crate) fn template(
        self,
        description: &'static str,
        version: &str,
        manifest: String,
    ) -> Value {
        let section = |map: Map| (!map.is_empty()).then(|| Value::map(map));
        cfn!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": (description),
            "Metadata": { "Version": (version.to_owned()), "Manifest": (manifest) },
            "Parameters": (section(self.parameters)),
            "Conditions": (section(self.conditions)),
            "Resources": (section(self.resources)),
            "Outputs": (section(self.outputs)),
        })
    }
}
