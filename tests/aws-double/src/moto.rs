//! Everything that is not ours to answer: moto's, in an account of our own there.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::Value;

use crate::sts;
use crate::wire::http::{Answer, send};
use crate::wire::{Call, Refusal};
use crate::world::World;

/// Passes a request on, as somebody of the signer's account.
pub(crate) async fn forward(world: &World, call: &Call) -> Answer {
    let service = call.service.as_str();
    let is_json = !call.header("x-amz-target").is_empty();
    let Some(moto) = world.settings.moto else {
        let why = format!("{service} is answered by moto, and this double runs without");
        return Refusal::new("InvalidAction", why)
            .status(501)
            .answer(service, is_json);
    };
    let mut headers = call.head.headers.clone();
    headers.insert(
        "x-moto-account-id",
        header(&sts::account(world, &call.access_key)),
    );
    let path = call
        .head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let sent = send(
        moto,
        call.head.method.clone(),
        path,
        &headers,
        call.body.clone(),
    )
    .await;
    match sent {
        Ok((status, headers, body)) => {
            // moto answers what it lacks with a page of HTML, which no client can read.
            let is_page = status.is_server_error() && body.starts_with(b"<!doctype html>");
            if is_page {
                let why = format!("moto does not have {} of {service}", call.action());
                return Refusal::new("InvalidAction", why)
                    .status(501)
                    .answer(service, is_json);
            }
            passed_on(status, &headers, body)
        }
        Err(why) => Refusal::new("ServiceUnavailable", why)
            .status(503)
            .answer(service, is_json),
    }
}

/// An answer of somebody else's.
pub(crate) fn passed_on(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    for (name, value) in headers {
        let is_ours = [
            "content-length",
            "connection",
            "transfer-encoding",
            "date",
            "server",
        ];
        if !is_ours.contains(&name.as_str()) {
            answer.headers_mut().append(name, value.clone());
        }
    }
    // The answer to HEAD has a length and no body.
    if let Some(length) = headers
        .get("content-length")
        .filter(|_| answer_is_empty(&answer))
    {
        answer
            .headers_mut()
            .insert("content-length", length.clone());
    }
    answer
}

fn answer_is_empty(answer: &Answer) -> bool {
    hyper::body::Body::size_hint(answer.body()).exact() == Some(0)
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn signed(world: &World, region: &str, service: &str) -> HeaderMap {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=AKIADOUBLE/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut headers = HeaderMap::new();
    headers.insert("authorization", header(&scope));
    headers.insert("x-moto-account-id", header(&world.settings.account));
    headers
}

async fn own(
    world: &World,
    method: Method,
    path: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Bytes), String> {
    let moto = world.settings.moto.ok_or("this double runs without moto")?;
    let (status, _, body) = send(moto, method, path, &headers, body).await?;
    Ok((status, body))
}

/// A request of our own in a JSON protocol; what moto says when it refuses.
pub(crate) async fn json(
    world: &World,
    region: &str,
    service: &str,
    target: &str,
    body: &Value,
) -> Result<Value, String> {
    let mut headers = signed(world, region, service);
    headers.insert("x-amz-target", header(target));
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/x-amz-json-1.1"),
    );
    let (status, answer) = own(world, Method::POST, "/", headers, body.to_string().into()).await?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(value);
    }
    let message = value["message"].as_str().or(value["Message"].as_str());
    Err(message.map_or(text.clone(), str::to_owned))
}

/// A request of our own in the query protocol; the XML of the answer.
pub(crate) async fn query(
    world: &World,
    region: &str,
    service: &str,
    form: &[(String, String)],
) -> Result<String, String> {
    let mut headers = signed(world, region, service);
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let (status, answer) = own(world, Method::POST, "/", headers, body.into()).await?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    if status.is_success() {
        Ok(text)
    } else {
        Err(text)
    }
}

/// Makes a bucket.
pub(crate) async fn make_bucket(world: &World, region: &str, name: &str) -> Result<(), String> {
    let body = if region == "us-east-1" {
        String::new()
    } else {
        format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    let headers = signed(world, region, "s3");
    let (status, answer) = own(
        world,
        Method::PUT,
        &format!("/{name}"),
        headers,
        body.into(),
    )
    .await?;
    if status.is_success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&answer).into_owned())
}

/// An object's content.
pub(crate) async fn object(world: &World, bucket: &str, key: &str) -> Result<Bytes, String> {
    let headers = signed(world, &world.settings.region, "s3");
    let path = format!("/{bucket}/{key}");
    let (status, body) = own(world, Method::GET, &path, headers, Bytes::new()).await?;
    if status.is_success() {
        return Ok(body);
    }
    Err(format!("{bucket}/{key}: {status}"))
}

/// Writes an object, by `/BUCKET/KEY`.
pub(crate) async fn put_object(world: &World, path: &str, body: Bytes) -> Result<(), String> {
    let headers = signed(world, &world.settings.region, "s3");
    let (status, answer) = own(world, Method::PUT, path, headers, body).await?;
    if status.is_success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&answer).into_owned())
}

/// What moto keeps for the account is gone.
pub(crate) async fn forget(world: &World) -> Result<(), String> {
    if world.settings.moto.is_none() {
        return Ok(());
    }
    let path = format!("/_forget/{}", world.settings.account);
    own(world, Method::POST, &path, HeaderMap::new(), Bytes::new())
        .await
        .map(drop)
}

/// Lets moto know that somebody is still there.
pub(crate) async fn touch(world: &World) {
    // If it is gone, the next request says so better.
    let _ = own(
        world,
        Method::GET,
        "/_forget/nobody",
        HeaderMap::new(),
        Bytes::new(),
    )
    .await;
}

/// The template at an address of S3, as CloudFormation takes them.
pub(crate) async fn template(world: &Arc<World>, url: &str) -> Result<String, Refusal> {
    let (bucket, key) = bucket_and_key(url)
        .ok_or_else(|| Refusal::validation("TemplateURL must be a supported URL."))?;
    let body = object(world, bucket, key)
        .await
        .map_err(|why| Refusal::validation(format!("S3 error: Access Denied ({why})")))?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// `https://BUCKET.s3.REGION.amazonaws.com/KEY` or `https://s3.REGION.amazonaws.com/BUCKET/KEY`.
fn bucket_and_key(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://")?;
    let (host, path) = rest.split_once('/')?;
    if !host.ends_with(".amazonaws.com") && !host.ends_with(".amazonaws.com.cn") {
        return None;
    }
    if host.starts_with("s3.") || host.starts_with("s3-") {
        return path.split_once('/');
    }
    let bucket = host
        .split(".s3.")
        .next()
        .filter(|bucket| bucket.len() < host.len());
    let bucket = bucket.or_else(|| host.split(".s3-").next().filter(|it| it.len() < host.len()))?;
    Some((bucket, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_objects_are_taken_apart() {
        for (url, expected) in [
            (
                "https://b.s3.eu-west-1.amazonaws.com/a/b.yml",
                Some(("b", "a/b.yml")),
            ),
            ("https://b.s3.amazonaws.com/a.yml", Some(("b", "a.yml"))),
            (
                "https://b.s3.cn-north-1.amazonaws.com.cn/a.yml",
                Some(("b", "a.yml")),
            ),
            (
                "https://s3.eu-west-1.amazonaws.com/b/a.yml",
                Some(("b", "a.yml")),
            ),
            ("https://example.com/a.yml", None),
            ("http://b.s3.amazonaws.com/a.yml", None),
        ] {
            assert_eq!(bucket_and_key(url), expected, "{url}");
        }
    }
}
