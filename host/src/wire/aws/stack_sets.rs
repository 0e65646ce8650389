//! Stack sets: Copilot keeps what an application has in every region in instances of one.

use aws_sdk_cloudformation::Client;

use super::{AwsError, Session, Why};
use crate::wire::WireError;

impl Session {
    /// The ARN of the stack that a stack set made in an account and region; none when it made none there.
    ///
    /// # Errors
    /// When the stack set can't be asked.
    pub async fn stack_instance(
        &self,
        stack_set: &str,
        account: &str,
        region: &str,
    ) -> Result<Option<String>, WireError> {
        let request = Client::new(self.config())
            .list_stack_instances()
            .stack_set_name(stack_set)
            .stack_instance_account(account)
            .stack_instance_region(region);
        let what = format!(
            "find what stack set {stack_set} made in {region} (cloudformation ListStackInstances)"
        );
        match request.send().await {
            Ok(answer) => {
                let instances = answer.summaries.unwrap_or_default().into_iter();
                Ok(instances.filter_map(|instance| instance.stack_id).next())
            }
            Err(error) => match AwsError::of(what, &error) {
                error if error.why == Why::NotFound => Ok(None),
                error => Err(error.into()),
            },
        }
    }
}
