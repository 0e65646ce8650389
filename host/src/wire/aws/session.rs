//! Who calls AWS, from where: the SDK's own configuration (variables, profiles, SSO, credential processes,
//! `AWS_ENDPOINT_URL*`), and roles assumed from there.

mod assumed;
mod authorities;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{
    self, ProfileFileCredentialsProvider, ProfileFileRegionProvider, ProfileSet,
};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};

use super::error::{AwsError, Why};
use crate::wire::WireError;
use assumed::Assumed;

/// Copilot's own limits (`ipkg/aws/sessions`): for one attempt at an answer, and attempts beyond the first.
const ANSWER: Duration = Duration::from_secs(30);
const RETRIES: u32 = 8;
/// For a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Between retries at most: people wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Gives the code of an MFA device, by its serial number; none when nobody is there to ask.
pub type AskForCode = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Credentials and a region. Cheap to clone; prints neither.
#[derive(Clone)]
pub struct Session {
    config: SdkConfig,
    region: String,
    /// The role it acts as; none for the user's own credentials.
    role: Option<String>,
}

impl Session {
    /// The user's own: nothing is asked of AWS yet, unless the profile's role wants an MFA code.
    ///
    /// # Errors
    /// When there is no region, or no code for the role of the profile.
    pub async fn open(ask: AskForCode) -> Result<Self, WireError> {
        Self::load(None, ask).await
    }

    /// The same in a region that is known.
    ///
    /// # Errors
    /// When there is no code for the role of the profile.
    pub async fn open_in(region: &str, ask: AskForCode) -> Result<Self, WireError> {
        Self::load(Some(Region::new(region.to_owned())), ask).await
    }

    async fn load(region: Option<Region>, ask: AskForCode) -> Result<Self, WireError> {
        let variables = Env::real();
        let profiles = profiles(&variables).await;
        let http = http_client(authorities::chosen(&variables, profiles.as_ref())?);
        let provider = ProviderConfig::without_region().with_http_client(http.clone());
        let chosen = RegionProviderChain::first_try(region)
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(
                ProfileFileRegionProvider::builder()
                    .configure(&provider)
                    .build(),
            );
        let region = chosen.region().await.ok_or_else(AwsError::no_region)?;
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .app_name(AppName::new("plimsoll").expect("it is a plain word"))
            .region(region.clone())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(1 + RETRIES)
                    .with_max_backoff(LONGEST_PAUSE),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .read_timeout(ANSWER)
                    .build(),
            );
        let session = Self {
            config: loader.load().await,
            region: region.to_string(),
            role: None,
        };
        match wants_code(&variables, profiles.as_ref()) {
            Some(role) => session.with_code(role, &provider, ask).await,
            None => Ok(session),
        }
    }

    /// With a configuration that somebody has already.
    pub fn of(config: SdkConfig) -> Self {
        let region = config.region().map(ToString::to_string);
        Self {
            region: region.unwrap_or_default(),
            role: None,
            config,
        }
    }

    /// Its region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The ARN of the role it acts as; none for the user's own credentials.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// The SDK's configuration, for a client.
    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The same credentials in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let config = self
            .config
            .to_builder()
            .region(Region::new(region.to_owned()));
        Self {
            config: config.build(),
            region: region.to_owned(),
            role: self.role.clone(),
        }
    }

    /// Acts as a role in a region, from now on and until the end of the run: credentials are renewed before they
    /// expire. `policy` cuts what the role may do down to what it says (JSON, at most 2,048 characters).
    ///
    /// # Errors
    /// When the role can't be assumed.
    pub async fn assume(
        &self,
        role: &str,
        region: &str,
        policy: Option<String>,
    ) -> Result<Self, WireError> {
        let from = self.in_region(region);
        let assumed = Assumed::new(&from.config, role, policy, None);
        from.as_role(assumed, role).await
    }

    async fn as_role(&self, assumed: Assumed, role: &str) -> Result<Self, WireError> {
        assumed.begin().await?;
        let config = self
            .config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(assumed));
        Ok(Self {
            config: config.build(),
            region: self.region.clone(),
            role: Some(role.to_owned()),
        })
    }

    /// The SDK itself knows nothing of MFA: the role of such a profile is assumed here.
    async fn with_code(
        &self,
        role: ProfileRole,
        provider: &ProviderConfig,
        ask: AskForCode,
    ) -> Result<Self, WireError> {
        let code = ask(&role.serial).ok_or_else(|| {
            AwsError::before_any_call(
                Why::NoCode,
                format!(
                    "profile `{}` needs a code of MFA device {}, and nobody is there to type it",
                    role.profile, role.serial
                ),
            )
        })?;
        let source = ProfileFileCredentialsProvider::builder()
            .configure(provider)
            .profile_name(role.source)
            .build();
        let config = self
            .config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(source))
            .build();
        let assumed = Assumed::new(&config, &role.role, None, Some((role.serial, code)));
        self.as_role(assumed, &role.role).await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("region", &self.region)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// rustls with ring, as everywhere here; through the user's proxy when there is one.
fn http_client(authorities: TlsContext) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(authorities.clone())
            .build()
    })
}

/// A role of a profile that needs an MFA code.
#[derive(Debug, PartialEq, Eq)]
struct ProfileRole {
    profile: String,
    role: String,
    serial: String,
    source: String,
}

/// The role of the chosen profile, when it needs a code and nothing before the profile gives credentials.
fn wants_code(variables: &Env, profiles: Option<&ProfileSet>) -> Option<ProfileRole> {
    match variables.get("AWS_ACCESS_KEY_ID") {
        Ok(_) => None,
        Err(_) => role_with_code(profiles?),
    }
}

/// The user's profiles. Those that can't be read are reported by the SDK, when it needs them.
async fn profiles(variables: &Env) -> Option<ProfileSet> {
    let files = EnvConfigFiles::default();
    profile::load(&Fs::real(), variables, &files, None)
        .await
        .ok()
}

fn role_with_code(profiles: &ProfileSet) -> Option<ProfileRole> {
    let name = profiles.selected_profile();
    let profile = profiles.get_profile(name)?;
    let text = |key: &str| profile.get(key).map(str::to_owned);
    Some(ProfileRole {
        profile: name.to_owned(),
        role: text("role_arn")?,
        serial: text("mfa_serial")?,
        source: text("source_profile")?,
    })
}
