//! S3: uploads to the artifact bucket, and small texts from it.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ObjectCannedAcl;

use super::kept::Kept;
use super::{AwsError, Session, Why};
use crate::wire::WireError;

/// No template is larger.
const TEXT: u64 = 4 << 20;

/// The buckets of a session.
#[derive(Clone)]
pub struct S3 {
    client: Client,
    region: String,
    texts: Kept<Option<String>>,
}

impl S3 {
    /// Nothing is asked yet.
    pub fn new(session: &Session) -> Self {
        Self {
            client: Client::new(session.config()),
            region: session.region().to_owned(),
            texts: Kept::default(),
        }
    }

    /// Uploads an object that belongs to the bucket's owner; its URL.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        content: Vec<u8>,
        content_type: Option<String>,
    ) -> Result<String, WireError> {
        let what = format!("upload s3://{bucket}/{key} (s3 PutObject)");
        let answer = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .acl(ObjectCannedAcl::BucketOwnerFullControl)
            .set_content_type(content_type)
            .body(ByteStream::from(content))
            .send()
            .await;
        answer.map_err(|error| AwsError::of(what, &error))?;
        Ok(url(&self.region, bucket, key))
    }

    /// A small text; none when it is not there. It is read once: texts that templates refer to are named by their digest.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses, or it is no text.
    pub async fn text(&self, bucket: &str, key: &str) -> Result<Option<String>, WireError> {
        let name = format!("{bucket}/{key}");
        self.texts.get(&name, self.read_text(bucket, key)).await
    }

    async fn read_text(&self, bucket: &str, key: &str) -> Result<Option<String>, WireError> {
        let what = format!("read s3://{bucket}/{key} (s3 GetObject)");
        let refused = |message: &str| -> WireError {
            AwsError {
                what: what.clone(),
                why: Why::Refused,
                code: String::new(),
                message: message.to_owned(),
                request_id: String::new(),
            }
            .into()
        };
        let answer = self
            .client
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await;
        let object = match answer.map_err(|error| AwsError::of(what.clone(), &error)) {
            Ok(object) => object,
            Err(error) if error.why == Why::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if object
            .content_length
            .is_some_and(|length| u64::try_from(length).is_ok_and(|l| l > TEXT))
        {
            return Err(refused("it is larger than any template"));
        }
        let body = object.body.collect().await;
        let body = body.map_err(|error| refused(&error.to_string()))?;
        String::from_utf8(body.to_vec())
            .map(Some)
            .map_err(|_| refused("it is no text"))
    }
}

/// What AWS's own domain is called in a region.
pub fn domain(region: &str) -> &'static str {
    match region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    }
}

/// `https://BUCKET.s3.REGION.amazonaws.com/KEY`: the form that CloudFormation takes, and that Copilot wrote.
pub fn url(region: &str, bucket: &str, key: &str) -> String {
    format!("https://{bucket}.s3.{region}.{}/{key}", domain(region))
}

/// Bucket and key of such a URL.
pub fn parse_url(url: &str) -> Option<(&str, &str)> {
    let (host, key) = url.strip_prefix("https://")?.split_once('/')?;
    let (bucket, rest) = host.split_once(".s3")?;
    let ours = rest.ends_with(".amazonaws.com") || rest.ends_with(".amazonaws.com.cn");
    (ours && !bucket.is_empty() && !key.is_empty()).then_some((bucket, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_url_is_made_and_read() {
        for (region, expected) in [
            (
                "eu-west-1",
                "https://b.s3.eu-west-1.amazonaws.com/manual/x.yml",
            ),
            (
                "cn-north-1",
                "https://b.s3.cn-north-1.amazonaws.com.cn/manual/x.yml",
            ),
        ] {
            let made = url(region, "b", "manual/x.yml");
            assert_eq!(made, expected);
            assert_eq!(parse_url(&made), Some(("b", "manual/x.yml")));
        }
        for other in [
            "https://evil.example.com/x",
            "http://b.s3.amazonaws.com/x",
            "https://b.s3.evil.com/x",
            "",
        ] {
            assert_eq!(parse_url(other), None, "{other}");
        }
    }
}
