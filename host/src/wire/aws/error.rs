//! What can go wrong with a call to AWS, told apart by its cure.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::wire::WireError;

/// A call to AWS that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    /// What was asked: `cloudformation DescribeStacks of shop-test`.
    pub what: String,
    /// Told apart by the cure.
    pub why: Why,
    /// AWS's code: `AccessDenied`; empty when AWS did not answer.
    pub code: String,
    /// In AWS's words, or the connection's.
    pub message: String,
    /// What AWS's support asks for; empty when AWS did not answer.
    pub request_id: String,
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing says who calls.
    NoCredentials,
    /// The code of an MFA device is missing.
    NoCode,
    /// They were valid once.
    Expired,
    /// They are wrong.
    Unrecognised,
    /// They are right, and don't allow this.
    Denied,
    /// Too many calls, after all retries.
    Throttled,
    /// A quota of the account is used up.
    Quota,
    /// It isn't there.
    NotFound,
    /// Nothing says which region.
    NoRegion,
    /// No connection to the endpoint.
    Unreachable,
    /// The connection broke: whether the call took effect is not known.
    Lost,
    /// No answer in time.
    TimedOut,
    /// AWS failed.
    Service,
    /// AWS refused the request itself.
    Refused,
}

/// Codes of AWS by what they mean. Services spell the same thing differently.
const CODES: &[(Why, &[&str])] = &[
    (
        Why::Expired,
        &[
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "TokenRefreshRequired",
        ],
    ),
    (
        Why::Unrecognised,
        &[
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "IncompleteSignature",
            "AuthFailure",
            "InvalidIdentityToken",
        ],
    ),
    (
        Why::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "NotAuthorized",
            "UnauthorizedAccess",
            "Forbidden",
            "403",
        ],
    ),
    (
        Why::Throttled,
        &[
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "SlowDown",
            "RequestThrottled",
            "RequestThrottledException",
            "PriorRequestNotComplete",
            "BandwidthLimitExceeded",
        ],
    ),
    (
        Why::Quota,
        &[
            "LimitExceededException",
            "LimitExceeded",
            "ServiceQuotaExceededException",
        ],
    ),
    (
        Why::NotFound,
        &[
            "ParameterNotFound",
            "ResourceNotFoundException",
            "ResourceNotFound",
            "RepositoryNotFoundException",
            "ImageNotFoundException",
            "LoadBalancerNotFound",
            "StackSetNotFoundException",
            "StackInstanceNotFoundException",
            "NoSuchBucket",
            "NoSuchKey",
            "NotFound",
            "NoSuchEntity",
            "ClusterNotFoundException",
            "ServiceNotFoundException",
            "ChangeSetNotFound",
        ],
    ),
    (
        Why::Service,
        &[
            "InternalFailure",
            "InternalError",
            "InternalServerError",
            "ServiceUnavailable",
            "ServerException",
        ],
    ),
];

impl AwsError {
    /// What the SDK says went wrong with `what`.
    pub fn of<E>(what: impl Into<String>, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let mut found = Self {
            what: what.into(),
            why: Why::Refused,
            code: error.code().unwrap_or_default().to_owned(),
            message: error.message().unwrap_or_default().to_owned(),
            request_id: error.request_id().unwrap_or_default().to_owned(),
        };
        found.why = match error {
            SdkError::ServiceError(answer) => {
                if found.message.is_empty() {
                    found.message = format!("it answered {}", answer.raw().status().as_u16());
                }
                meaning(&found.code, &found.message, answer.raw().status().as_u16())
            }
            SdkError::TimeoutError(_) => {
                found.message = "there was no answer in time".to_owned();
                Why::TimedOut
            }
            SdkError::ResponseError(answer) => {
                found.message = format!(
                    "its answer ({}) makes no sense: {}",
                    answer.raw().status().as_u16(),
                    chain(error)
                );
                Why::Service
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                // What the credentials' own provider was told counts more than that it failed.
                if let Some(inner) = source::<Self>(error) {
                    return Self {
                        what: found.what,
                        ..inner.clone()
                    };
                }
                found.message = chain(error);
                undelivered(error, &found.message)
            }
            // The SDK may grow more of them.
            _ => {
                found.message = chain(error);
                Why::Service
            }
        };
        found
    }

    /// No call was made: nothing says where to.
    pub fn no_region() -> Self {
        Self::before_any_call(
            Why::NoRegion,
            "nothing says which AWS region to use".to_owned(),
        )
    }

    pub(crate) fn before_any_call(why: Why, message: String) -> Self {
        Self {
            what: "reach AWS".to_owned(),
            why,
            code: String::new(),
            message,
            request_id: String::new(),
        }
    }

    /// The next step for the user.
    pub fn hint(&self) -> Option<String> {
        let text = match self.why {
            Why::NoCredentials => {
                "log in (`aws sso login`), choose a profile with AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            }
            Why::NoCode => {
                "run it in a terminal, or use temporary credentials: `aws sts get-session-token --serial-number … --token-code …` gives some for AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
            }
            Why::Expired => {
                "log in again (`aws sso login`), or get new keys; then run the same command again"
            }
            Why::Unrecognised => {
                "AWS doesn't know these keys: check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and this machine's clock"
            }
            Why::Denied => {
                return Some(format!(
                    "let whoever calls do this, or choose another profile with AWS_PROFILE; `aws sts get-caller-identity` says who calls{}",
                    if self.request_id.is_empty() {
                        String::new()
                    } else {
                        format!(" (request {})", self.request_id)
                    }
                ));
            }
            Why::Throttled => "wait a minute, then run the same command again",
            Why::Quota => {
                "remove what isn't used any more, or ask for more in the Service Quotas console"
            }
            Why::NoRegion => {
                "set AWS_REGION, or `region` of the profile in ~/.aws/config (`aws configure set region us-west-2`)"
            }
            Why::Unreachable => {
                "check this machine's network and proxy, the region's name, and AWS_ENDPOINT_URL if it is set; then run the same command again"
            }
            Why::Lost | Why::TimedOut => "run it again: what is already done is recognised",
            Why::Service => {
                "run it again in a moment; https://health.aws.amazon.com says whether AWS has a problem"
            }
            // CloudFormation: `Stack:… is in UPDATE_IN_PROGRESS state and can not be updated.`
            Why::Refused if self.message.contains("_IN_PROGRESS state") => {
                "somebody else changes the stack: wait until that is done (`aws cloudformation describe-stack-events` tells), then run the same command again"
            }
            Why::NotFound | Why::Refused => return None,
        };
        Some(text.to_owned())
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.why, self.code.as_str()) {
            (Why::Expired, _) => write!(
                f,
                "{}: the credentials have expired ({})",
                self.what, self.message
            ),
            (Why::Unreachable, "") => {
                write!(f, "{}: AWS can't be reached: {}", self.what, self.message)
            }
            (Why::Lost, "") => write!(
                f,
                "{}: the connection to AWS was lost: {}",
                self.what, self.message
            ),
            (Why::Throttled, code) => write!(
                f,
                "{}: AWS still has too many requests after all retries: {} ({code})",
                self.what, self.message
            ),
            (_, "") => write!(f, "{}: {}", self.what, self.message),
            (_, code) => write!(f, "{}: {} ({code})", self.what, self.message),
        }
    }
}

impl Error for AwsError {}

impl From<AwsError> for WireError {
    fn from(error: AwsError) -> Self {
        Self::Aws(Box::new(error))
    }
}

/// What an answer means: by its code, then by what its words say, then by its status.
fn meaning(code: &str, message: &str, status: u16) -> Why {
    let by_code = CODES.iter().find(|(_, codes)| codes.contains(&code));
    match by_code {
        Some((why, _)) => *why,
        // CloudFormation has one code for everything.
        None if code == "ValidationError" && message.contains("does not exist") => Why::NotFound,
        None if message.contains("Rate exceeded") => Why::Throttled,
        None if message.contains("is not authorized to perform") => Why::Denied,
        None if message.contains("security token included in the request is expired") => {
            Why::Expired
        }
        None if status == 403 => Why::Denied,
        None if status >= 500 => Why::Service,
        None => Why::Refused,
    }
}

/// Why a request did not get its answer.
fn undelivered(error: &(dyn Error + 'static), text: &str) -> Why {
    if let Some(credentials) = source::<CredentialsError>(error) {
        return match credentials {
            CredentialsError::CredentialsNotLoaded(_) => Why::NoCredentials,
            _ if text.contains("expired") || text.contains("Expired") => Why::Expired,
            _ => Why::NoCredentials,
        };
    }
    if let Some(hyper) = source::<hyper_util::client::legacy::Error>(error) {
        return if hyper.is_connect() {
            Why::Unreachable
        } else {
            Why::Lost
        };
    }
    if text.contains("timed out") || text.contains("timeout") {
        return Why::TimedOut;
    }
    if text.contains("dns error") || text.contains("refused") {
        return Why::Unreachable;
    }
    if text.contains("egion") && text.contains("issing") {
        return Why::NoRegion;
    }
    Why::Lost
}

/// The first error of a type below an error.
fn source<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What it and everything below it says, once each.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        // Wrappers repeat what they wrap.
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
        next = error.source();
    }
    match said.len() {
        0 => error.to_string(),
        _ => said.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_their_cure() {
        for (code, message, status, why) in [
            ("ExpiredToken", "", 403, Why::Expired),
            ("ExpiredTokenException", "", 400, Why::Expired),
            ("InvalidClientTokenId", "", 403, Why::Unrecognised),
            ("AccessDenied", "", 403, Why::Denied),
            ("AccessDeniedException", "", 400, Why::Denied),
            ("Throttling", "Rate exceeded", 400, Why::Throttled),
            ("SlowDown", "", 503, Why::Throttled),
            (
                "ValidationError",
                "Stack with id x does not exist",
                400,
                Why::NotFound,
            ),
            (
                "ValidationError",
                "Template format error",
                400,
                Why::Refused,
            ),
            ("ParameterNotFound", "", 400, Why::NotFound),
            ("LimitExceededException", "", 400, Why::Quota),
            ("", "", 500, Why::Service),
            (
                "Whatever",
                "User: x is not authorized to perform: y",
                400,
                Why::Denied,
            ),
        ] {
            assert_eq!(meaning(code, message, status), why, "{code} {message}");
        }
    }

    #[test]
    fn a_failed_call_names_itself_and_its_cure() {
        let error = AwsError {
            what: "read the environment `test` (ssm GetParameter)".to_owned(),
            why: Why::Denied,
            code: "AccessDeniedException".to_owned(),
            message: "User: arn:aws:iam::1:user/x is not authorized".to_owned(),
            request_id: "4-2".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "read the environment `test` (ssm GetParameter): User: arn:aws:iam::1:user/x is not authorized (AccessDeniedException)"
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("request 4-2"))
        );
        assert!(
            AwsError::no_region()
                .hint()
                .is_some_and(|hint| hint.contains("AWS_REGION"))
        );
    }
}
