//! What a manifest refers to in AWS: load balancers, certificates, subnets, topics, secrets.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::call::xml::Element;
use super::call::{CERTIFICATES, EC2, ELASTIC_LOAD_BALANCING, SECRETS, TAGGING};
use super::{Session, Why};
use crate::wire::WireError;

/// A load balancer, without its listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancer {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// DNS name.
    pub dns_name: String,
    /// Hosted zone of the DNS name.
    pub hosted_zone: String,
    /// `internet-facing` or `internal`.
    pub scheme: String,
    /// Ids.
    pub security_groups: Vec<String>,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// ARN.
    pub arn: String,
    /// Port.
    pub port: u16,
    /// `HTTP`, `HTTPS`.
    pub protocol: String,
}

/// A subnet and its tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// Id.
    pub id: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl Session {
    /// A load balancer by its name or ARN; none when there is no such.
    ///
    /// # Errors
    /// When it can't be looked up.
    pub async fn load_balancer(&self, name: &str) -> Result<Option<LoadBalancer>, WireError> {
        let key = if name.starts_with("arn:") {
            "LoadBalancerArns.member.1"
        } else {
            "Names.member.1"
        };
        let what = format!("look up load balancer {name}");
        let fields = [(key, name)];
        let asked = self.form(
            &ELASTIC_LOAD_BALANCING,
            "DescribeLoadBalancers",
            &what,
            &fields,
        );
        let Some(answer) = there(asked.await)? else {
            return Ok(None);
        };
        let found = answer.list("LoadBalancers").first();
        Ok(found.map(|found| LoadBalancer {
            arn: found.at("LoadBalancerArn").to_owned(),
            name: found.at("LoadBalancerName").to_owned(),
            dns_name: found.at("DNSName").to_owned(),
            hosted_zone: found.at("CanonicalHostedZoneId").to_owned(),
            scheme: found.at("Scheme").to_owned(),
            security_groups: texts(found.list("SecurityGroups")),
        }))
    }

    /// The listeners of a load balancer.
    ///
    /// # Errors
    /// When they can't be looked up.
    pub async fn listeners(&self, arn: &str) -> Result<Vec<Listener>, WireError> {
        let what = format!("look up the listeners of {arn}");
        let fields = [("LoadBalancerArn", arn)];
        let answer = self
            .form(&ELASTIC_LOAD_BALANCING, "DescribeListeners", &what, &fields)
            .await?;
        let listener = |found: &Element| Listener {
            arn: found.at("ListenerArn").to_owned(),
            port: found.at("Port").parse().unwrap_or_default(),
            protocol: found.at("Protocol").to_owned(),
        };
        Ok(answer.list("Listeners").iter().map(listener).collect())
    }

    /// Subnets with tags: every key must be there, with any of its values (with any value at all when it has none).
    ///
    /// # Errors
    /// When they can't be looked up.
    pub async fn subnets(
        &self,
        tags: &BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<Subnet>, WireError> {
        let mut fields = Vec::new();
        for (number, (key, values)) in tags.iter().enumerate() {
            let filter = format!("Filter.{}", number + 1);
            let (name, wanted) = match values.as_slice() {
                [] => ("tag-key".to_owned(), vec![key.clone()]),
                values => (format!("tag:{key}"), values.to_vec()),
            };
            fields.push((format!("{filter}.Name"), name));
            for (number, value) in wanted.into_iter().enumerate() {
                fields.push((format!("{filter}.Value.{}", number + 1), value));
            }
        }
        let subnet = |found: &Element| Subnet {
            id: found.at("subnetId").to_owned(),
            tags: found
                .list("tagSet")
                .iter()
                .map(|tag| (tag.at("key").to_owned(), tag.at("value").to_owned()))
                .collect(),
        };
        let (mut subnets, mut next) = (Vec::new(), String::new());
        loop {
            let mut asked: Vec<(&str, &str)> = fields
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            if !next.is_empty() {
                asked.push(("NextToken", &next));
            }
            let what = "look up subnets by their tags";
            let answer = self.form(&EC2, "DescribeSubnets", what, &asked).await?;
            subnets.extend(answer.list("subnetSet").iter().map(subnet));
            next = answer.at("nextToken").to_owned();
            if next.is_empty() {
                return Ok(subnets);
            }
        }
    }

    /// The names that a certificate covers; none when there is no such certificate.
    ///
    /// # Errors
    /// When it can't be looked up.
    pub async fn certificate_names(&self, arn: &str) -> Result<Option<Vec<String>>, WireError> {
        let what = format!("look up certificate {arn}");
        let input = json!({"CertificateArn": arn});
        let asked = self.json(&CERTIFICATES, "DescribeCertificate", &what, &input);
        let Some(answer) = there(asked.await)? else {
            return Ok(None);
        };
        let certificate = &answer["Certificate"];
        let also = certificate["SubjectAlternativeNames"].as_array();
        let mut names: Vec<String> = also
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        if let Some(own) = certificate["DomainName"].as_str()
            && !names.iter().any(|name| name == own)
        {
            names.insert(0, own.to_owned());
        }
        Ok(Some(names))
    }

    /// The tags of a secret; none when there is no such secret. Its value is not asked for.
    ///
    /// # Errors
    /// When it can't be looked up.
    pub async fn secret_tags(
        &self,
        id: &str,
    ) -> Result<Option<BTreeMap<String, String>>, WireError> {
        let what = format!("look up secret {id}");
        let input = json!({"SecretId": id});
        let asked = self.json(&SECRETS, "DescribeSecret", &what, &input);
        let Some(answer) = there(asked.await)? else {
            return Ok(None);
        };
        let tag = |tag: &Json| {
            Some((
                tag["Key"].as_str()?.to_owned(),
                tag["Value"].as_str()?.to_owned(),
            ))
        };
        let tags = answer["Tags"].as_array();
        Ok(Some(tags.into_iter().flatten().filter_map(tag).collect()))
    }

    /// ARNs of the resources of a kind (`sns`) that have all these tags.
    ///
    /// # Errors
    /// When they can't be looked up.
    pub async fn tagged(
        &self,
        kind: &str,
        tags: &[(&str, &str)],
    ) -> Result<Vec<String>, WireError> {
        let filters: Vec<Json> = tags
            .iter()
            .map(|(key, value)| json!({"Key": key, "Values": [value]}))
            .collect();
        let (mut found, mut next) = (Vec::new(), String::new());
        loop {
            let mut input = json!({"ResourceTypeFilters": [kind], "TagFilters": filters});
            if !next.is_empty() {
                input["PaginationToken"] = json!(next);
            }
            let what = format!("look up tagged {kind} resources");
            let answer = self.json(&TAGGING, "GetResources", &what, &input).await?;
            let mappings = answer["ResourceTagMappingList"].as_array();
            found.extend(
                mappings
                    .into_iter()
                    .flatten()
                    .filter_map(|mapping| mapping["ResourceARN"].as_str().map(str::to_owned)),
            );
            next = answer["PaginationToken"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if next.is_empty() {
                return Ok(found);
            }
        }
    }
}

fn texts(items: &[Element]) -> Vec<String> {
    items.iter().map(|item| item.text.clone()).collect()
}

/// What is not there is no error.
fn there<T>(answer: Result<T, WireError>) -> Result<Option<T>, WireError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(WireError::Aws(error)) if error.why == Why::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
