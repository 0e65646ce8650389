//! A refusal in the form its protocol has.

use hyper::StatusCode;
use serde_json::json;

use super::http::{Answer, answer, json as json_answer};
use super::xml::Fields;
use crate::id;

/// An error of AWS: what clients branch on, and what people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `ValidationError`, `Throttling`.
    pub(crate) code: String,
    /// The sentence.
    pub(crate) message: String,
    /// The HTTP status.
    pub(crate) status: u16,
}

impl Refusal {
    /// With status 400.
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status: 400,
        }
    }

    /// What CloudFormation calls nearly everything.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// The same with another status.
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// For a client of `service`: S3's XML, the query protocol's, or JSON.
    pub(crate) fn answer(&self, service: &str, is_json: bool) -> Answer {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        if is_json {
            return json_answer(
                status,
                &json!({ "__type": self.code, "message": self.message, "Message": self.message }),
            );
        }
        let error = Fields::default()
            .with("Type", "Sender")
            .with("Code", &self.code)
            .with("Message", &self.message);
        let request = id::uuid();
        let text = if service == "s3" {
            let error = error.done().inner();
            format!("<?xml version=\"1.0\"?><Error>{error}<RequestId>{request}</RequestId></Error>")
        } else {
            let error = error.done().inner();
            format!(
                "<ErrorResponse><Error>{error}</Error><RequestId>{request}</RequestId></ErrorResponse>"
            )
        };
        answer(status, "text/xml", text)
    }
}
