//! Operations of services whose generated client would cost more than it is worth (EC2's alone is larger than all
//! others together): on the SDK's own runtime, so that credentials, signing, retries, time limits and endpoints are the
//! same as everywhere.

pub mod xml;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use aws_config::SdkConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use aws_types::service_config::ServiceConfigKey;
use serde_json::Value as Json;

use super::{AwsError, Session, Why};
use crate::wire::WireError;
use xml::Element;

/// A service of AWS, as its own documentation names its parts.
#[derive(Debug)]
pub(crate) struct Service {
    /// The SDK's service id, by which endpoints are configured: `Secrets Manager`.
    pub(crate) id: &'static str,
    /// First label of its host name, and what requests are signed for.
    pub(crate) name: &'static str,
    /// Version of its API.
    pub(crate) version: &'static str,
    /// Before the operation in `X-Amz-Target`; none for services that take forms and answer XML.
    pub(crate) target: Option<&'static str>,
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference>
pub(crate) const EC2: Service = Service {
    id: "EC2",
    name: "ec2",
    version: "2016-11-15",
    target: None,
};
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference>
pub(crate) const ELASTIC_LOAD_BALANCING: Service = Service {
    id: "Elastic Load Balancing v2",
    name: "elasticloadbalancing",
    version: "2015-12-01",
    target: None,
};
/// <https://docs.aws.amazon.com/acm/latest/APIReference>
pub(crate) const CERTIFICATES: Service = Service {
    id: "ACM",
    name: "acm",
    version: "2015-12-08",
    target: Some("CertificateManager"),
};
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference>
pub(crate) const SECRETS: Service = Service {
    id: "Secrets Manager",
    name: "secretsmanager",
    version: "2017-10-17",
    target: Some("secretsmanager"),
};
/// <https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference>
pub(crate) const TAGGING: Service = Service {
    id: "Resource Groups Tagging API",
    name: "tagging",
    version: "2017-01-26",
    target: Some("ResourceGroupsTaggingAPI_20170126"),
};

impl Session {
    /// An operation of a service that speaks JSON.
    pub(crate) async fn json(
        &self,
        service: &'static Service,
        operation: &'static str,
        what: &str,
        input: &Json,
    ) -> Result<Json, WireError> {
        let text = self
            .call(service, operation, what, input.to_string())
            .await?;
        serde_json::from_str(&text).map_err(|error| senseless(what, &error.to_string()))
    }

    /// An operation of a service that takes a form and answers XML: the root of the answer.
    pub(crate) async fn form(
        &self,
        service: &'static Service,
        operation: &'static str,
        what: &str,
        fields: &[(&str, &str)],
    ) -> Result<Element, WireError> {
        let own = [("Action", operation), ("Version", service.version)];
        let body: Vec<String> = own
            .iter()
            .chain(fields)
            .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
            .collect();
        let text = self.call(service, operation, what, body.join("&")).await?;
        xml::parse(&text).map_err(|why| senseless(what, &why))
    }

    async fn call(
        &self,
        service: &'static Service,
        operation: &'static str,
        what: &str,
        body: String,
    ) -> Result<String, WireError> {
        let what = format!("{what} ({} {operation})", service.name);
        let call = prepared(self.config(), service, operation);
        call.invoke(body)
            .await
            .map_err(|error| AwsError::of(what, &error).into())
    }
}

/// The answer of a service, as text, or what it refused.
fn prepared(
    config: &SdkConfig,
    service: &'static Service,
    operation: &'static str,
) -> Operation<String, String, Refusal> {
    let json = service.target;
    let content = match json {
        Some(_) => "application/x-amz-json-1.1",
        None => "application/x-www-form-urlencoded",
    };
    let mut builder = Operation::builder()
        .service_name(service.id)
        .operation_name(operation)
        .behavior_version(aws_config::BehaviorVersion::latest())
        .endpoint_url(&endpoint(config, service))
        .with_connection_poisoning();
    if let Some(http) = config.http_client() {
        builder = builder.http_client(http);
    }
    if let Some(sleep) = config.sleep_impl() {
        builder = builder.sleep_impl(sleep);
    }
    if let Some(time) = config.time_source() {
        builder = builder.time_source(time);
    }
    if let Some(retries) = config.retry_config() {
        builder = builder.standard_retry(retries);
    }
    if let Some(limits) = config.timeout_config() {
        builder = builder.timeout_config(limits.clone());
    }
    builder
        .runtime_plugin(signing(config, service))
        .retry_classifier(HttpStatusCodeClassifier::default())
        .retry_classifier(TransientErrorClassifier::<Refusal>::new())
        .retry_classifier(AwsErrorCodeClassifier::<Refusal>::new())
        .interceptor(SharedInterceptor::permanent(UserAgentInterceptor::new()))
        .serializer(move |body: String| {
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_method("POST")?;
            request.set_uri("/")?;
            request.headers_mut().insert("content-type", content);
            if let Some(target) = json {
                let target = format!("{target}.{operation}");
                request.headers_mut().insert("x-amz-target", target);
            }
            Ok(request)
        })
        .deserializer(move |answer: &HttpResponse| {
            let text = String::from_utf8_lossy(answer.body().bytes().unwrap_or_default());
            if answer.status().is_success() {
                return Ok(text.into_owned());
            }
            Err(OrchestratorError::operation(Refusal::read(
                answer,
                &text,
                json.is_some(),
            )))
        })
        .build()
}

fn signing(config: &SdkConfig, service: &'static Service) -> StaticRuntimePlugin {
    let mut components = RuntimeComponentsBuilder::new("plimsoll")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )))
        .with_identity_cache(config.identity_cache());
    if let Some(credentials) = config.credentials_provider() {
        components.set_identity_resolver(SCHEME_ID, credentials);
    }
    let mut layer = Layer::new("plimsoll");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(ApiMetadata::new(service.name, service.version));
    if let Some(name) = config.app_name() {
        layer.store_put(name.clone());
    }
    layer.store_put(SigV4OperationSigningConfig {
        region: config.region().cloned().map(SigningRegion::from),
        region_set: None,
        name: Some(SigningName::from_static(service.name)),
        signing_options: SigningOptions::default(),
    });
    StaticRuntimePlugin::new()
        .with_config(layer.freeze())
        .with_runtime_components(components)
}

/// Where a service is: what the SDK's settings say, or its place in the region.
fn endpoint(config: &SdkConfig, service: &Service) -> String {
    let key = ServiceConfigKey::builder()
        .service_id(service.id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let configured = key
        .ok()
        .and_then(|key| config.service_config()?.load_config(key))
        .or_else(|| config.endpoint_url().map(str::to_owned));
    let region = config
        .region()
        .map_or("us-east-1", |region| region.as_ref());
    let fips = if config.use_fips() == Some(true) {
        "-fips"
    } else {
        ""
    };
    configured.unwrap_or_else(|| {
        format!(
            "https://{}{fips}.{region}.{}",
            service.name,
            dns_suffix(region)
        )
    })
}

/// What host names of a region's partition end with.
pub fn dns_suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

/// The partition of a region, as ARNs have it.
pub fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

fn senseless(what: &str, why: &str) -> WireError {
    AwsError {
        what: what.to_owned(),
        why: Why::Service,
        code: String::new(),
        message: format!("its answer makes no sense: {why}"),
        request_id: String::new(),
    }
    .into()
}

/// A service's own words.
#[derive(Debug)]
struct Refusal(ErrorMetadata);

impl Refusal {
    fn read(answer: &HttpResponse, text: &str, json: bool) -> Self {
        let (code, message, request) = if json {
            let body: Json = serde_json::from_str(text).unwrap_or_default();
            let said = |key: &str| body[key].as_str().map(str::to_owned);
            // `com.amazonaws.acm#ResourceNotFoundException`, or with a link behind a colon.
            let header = answer.headers().get("x-amzn-errortype").map(str::to_owned);
            let code = header.or_else(|| said("__type")).map(|code| {
                let code = code.split(':').next().unwrap_or_default();
                code.rsplit('#').next().unwrap_or_default().to_owned()
            });
            (code, said("message").or_else(|| said("Message")), None)
        } else {
            let root = xml::parse(text).ok();
            let said = |name: &str| root.as_ref()?.find(name).map(|found| found.text.clone());
            (
                said("Code"),
                said("Message"),
                said("RequestId").or_else(|| said("RequestID")),
            )
        };
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code);
        }
        if let Some(message) = message {
            meta = meta.message(message);
        }
        if let Some(request) = request {
            meta = meta.custom("aws_request_id", request);
        }
        Self(meta.build())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message().unwrap_or("it refused without a reason"))
    }
}

impl Error for Refusal {}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

/// A form's key or value.
fn encoded(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        assert_eq!(encoded("Filter.1.Name"), "Filter.1.Name");
        assert_eq!(encoded("tag:a b/ü"), "tag%3Aa%20b%2F%C3%BC");
    }

    #[test]
    fn a_service_is_where_its_region_is_unless_the_settings_say_otherwise() {
        let config =
            |region: &'static str| SdkConfig::builder().region(aws_config::Region::new(region));
        let china = config("cn-north-1").build();
        assert_eq!(
            endpoint(&china, &EC2),
            "https://ec2.cn-north-1.amazonaws.com.cn"
        );
        let own = config("us-east-1").endpoint_url("http://127.0.0.1:5555");
        assert_eq!(endpoint(&own.build(), &SECRETS), "http://127.0.0.1:5555");
    }
}
