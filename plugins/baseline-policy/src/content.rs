//! What a document says about containers: a role's or the proxy's document, or a CloudFormation template with
//! container definitions in it.

use serde_json::{Map, Value as Json};
use serde_yaml::Value as Yaml;

/// A container in a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// How people know it, without the host: `role web`, `container nginx`.
    pub name: String,
    /// Image reference and pointer to it, when it is plain text.
    pub image: Option<(String, String)>,
    /// Plain-text variables: name, value, pointer.
    pub variables: Vec<(String, String, String)>,
    /// Pointer to what makes it privileged.
    pub privileged: Option<String>,
}

/// The containers of a document.
pub fn containers(address: &str, body: &str) -> Vec<Container> {
    let Some(json) = parse(body) else {
        return Vec::new();
    };
    match address
        .strip_prefix("host/")
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, kind)| kind)
    {
        Some("proxy") => vec![on_server("kamal-proxy".to_owned(), &json)],
        Some(kind) => match kind.strip_prefix("role/") {
            Some(role) => vec![on_server(format!("role {role}"), &json)],
            None => Vec::new(),
        },
        None => {
            let mut found = Vec::new();
            in_template(&json, "", &mut found);
            found
        }
    }
}

fn on_server(name: String, json: &Json) -> Container {
    let variables = json["env"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let pointer = format!("/env/{}", token(name));
            Some((name.clone(), value.as_str()?.to_owned(), pointer))
        });
    let options = json["options"].as_array().into_iter().flatten().enumerate();
    let mut privileged =
        options.filter(|(_, option)| option[0] == "privileged" && option[1] != "false");
    Container {
        name,
        image: json["image"]
            .as_str()
            .map(|image| (image.to_owned(), "/image".to_owned())),
        variables: variables.collect(),
        privileged: privileged
            .next()
            .map(|(number, _)| format!("/options/{number}")),
    }
}

fn in_template(json: &Json, pointer: &str, found: &mut Vec<Container>) {
    match json {
        Json::Object(object) => {
            for (key, value) in object {
                let pointer = format!("{pointer}/{}", token(key));
                if key == "ContainerDefinitions" {
                    definitions(value, &pointer, found);
                } else {
                    in_template(value, &pointer, found);
                }
            }
        }
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(number, item)| {
                in_template(item, &format!("{pointer}/{number}"), found)
            });
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Definitions may stand inside conditions (`Fn::If`).
fn definitions(json: &Json, pointer: &str, found: &mut Vec<Container>) {
    match json {
        Json::Object(object) if object.contains_key("Image") => {
            found.push(definition(object, pointer))
        }
        Json::Object(object) => {
            object.iter().for_each(|(key, value)| {
                definitions(value, &format!("{pointer}/{}", token(key)), found)
            });
        }
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(number, item)| {
                definitions(item, &format!("{pointer}/{number}"), found)
            });
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn definition(object: &Map<String, Json>, pointer: &str) -> Container {
    let name = object.get("Name").and_then(Json::as_str);
    let text = |json: &Json| {
        json.as_str()
            .or_else(|| json["Fn::Sub"].as_str())
            .map(str::to_owned)
    };
    let image = object
        .get("Image")
        .and_then(text)
        .map(|image| (image, format!("{pointer}/Image")));
    let variables = object
        .get("Environment")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .enumerate();
    let variables = variables.filter_map(|(number, variable)| {
        let pointer = format!("{pointer}/Environment/{number}/Value");
        Some((
            variable["Name"].as_str()?.to_owned(),
            variable["Value"].as_str()?.to_owned(),
            pointer,
        ))
    });
    let privileged = object
        .get("Privileged")
        .is_some_and(|privileged| *privileged == Json::Bool(true));
    Container {
        name: name.map_or_else(
            || "the main container".to_owned(),
            |name| format!("container {name}"),
        ),
        image: image.filter(|(image, _)| !image.is_empty()),
        variables: variables.collect(),
        privileged: privileged.then(|| format!("{pointer}/Privileged")),
    }
}

/// JSON, or YAML with CloudFormation's short tags in their long form.
fn parse(body: &str) -> Option<Json> {
    serde_json::from_str(body).ok().or_else(|| {
        serde_yaml::from_str(body)
            .ok()
            .map(|yaml: Yaml| json(&yaml))
    })
}

fn json(yaml: &Yaml) -> Json {
    match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(boolean) => Json::Bool(*boolean),
        Yaml::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => Json::Null,
        },
        Yaml::String(text) => Json::String(text.clone()),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(mapping) => mapping
            .iter()
            .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), json(value))))
            .collect(),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let key = if ["Ref", "Condition"].contains(&name) {
                name.to_owned()
            } else {
                format!("Fn::{name}")
            };
            [(key, json(&tagged.value))].into_iter().collect()
        }
    }
}

/// A key as a part of a JSON pointer.
fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_one_container_with_its_plain_variables() {
        let body = r#"{"image": "app:1", "env": {"A": "b", "S": {"secret": "S"}, "M": ["x", {"secret": "S"}]},
            "options": [["cpus", "2"], ["privileged", "true"]]}"#;
        let expected = Container {
            name: "role web".into(),
            image: Some(("app:1".into(), "/image".into())),
            variables: vec![("A".into(), "b".into(), "/env/A".into())],
            privileged: Some("/options/1".into()),
        };
        assert_eq!(containers("host/web-1/role/web", body), [expected]);
    }

    #[test]
    fn a_template_has_its_container_definitions() {
        let body = "
Resources:
  TaskDefinition:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Name: !Ref WorkloadName
          Image: !Ref ContainerImage
          Environment:
            - Name: A
              Value: b
            - Name: R
              Value: !Ref Other
        - Name: nginx
          Image: !Sub '1.dkr.ecr.${AWS::Region}.amazonaws.com/nginx'
          Privileged: true
";
        let place = "/Resources/TaskDefinition/Properties/ContainerDefinitions";
        let main = Container {
            name: "the main container".into(),
            image: None,
            variables: vec![(
                "A".into(),
                "b".into(),
                format!("{place}/0/Environment/0/Value"),
            )],
            privileged: None,
        };
        let nginx = Container {
            name: "container nginx".into(),
            image: Some((
                "1.dkr.ecr.${AWS::Region}.amazonaws.com/nginx".into(),
                format!("{place}/1/Image"),
            )),
            variables: Vec::new(),
            privileged: Some(format!("{place}/1/Privileged")),
        };
        assert_eq!(containers("stack/web", body), [main, nginx]);
    }

    #[test]
    fn other_documents_have_none() {
        for (address, body) in [
            ("release", r#"{"image": {"name": "app"}}"#),
            (
                "stack/web/parameters",
                r#"{"Parameters": {"ContainerImage": "x"}}"#,
            ),
            ("stack/web", "- [unclosed"),
            ("host/web-1/else", "{}"),
        ] {
            assert_eq!(containers(address, body), [], "{address}");
        }
    }
}
