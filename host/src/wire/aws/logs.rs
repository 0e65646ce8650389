//! CloudWatch Logs: the last lines of a container.

use aws_sdk_cloudwatchlogs::Client;

use super::{AwsError, Session, Why};
use crate::wire::WireError;

/// The log groups of a session.
#[derive(Clone)]
pub struct Logs {
    client: Client,
}

impl Logs {
    /// Nothing is asked yet.
    pub fn new(session: &Session) -> Self {
        Self {
            client: Client::new(session.config()),
        }
    }

    /// The last lines of a stream, oldest first; none when there is no such stream.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn tail(
        &self,
        group: &str,
        stream: &str,
        lines: u32,
    ) -> Result<Vec<String>, WireError> {
        let what = format!("read the log {group} (logs GetLogEvents)");
        let request = self.client.get_log_events().log_group_name(group);
        let answer = request
            .log_stream_name(stream)
            .limit(i32::try_from(lines).unwrap_or(100))
            .start_from_head(false)
            .send()
            .await;
        match answer.map_err(|error| AwsError::of(what, &error)) {
            Ok(found) => {
                let events = found.events.unwrap_or_default();
                Ok(events
                    .into_iter()
                    .filter_map(|event| event.message)
                    .collect())
            }
            Err(error) if error.why == Why::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}
