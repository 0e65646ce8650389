//! CloudWatch alarms: their states.

use super::Session;
use super::call::Service;
use crate::wire::WireError;

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference>
const CLOUDWATCH: Service = Service {
    id: "CloudWatch",
    name: "monitoring",
    version: "2010-08-01",
    target: None,
};
/// What one question may name.
const MOST: usize = 100;

impl Session {
    /// States of alarms by their names: `OK`, `ALARM`, `INSUFFICIENT_DATA`. What isn't there is left out.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn alarms(&self, names: &[String]) -> Result<Vec<(String, String)>, WireError> {
        let keys: Vec<String> = (1..=names.len().min(MOST))
            .map(|number| format!("AlarmNames.member.{number}"))
            .collect();
        let fields: Vec<(&str, &str)> = keys
            .iter()
            .map(String::as_str)
            .zip(names.iter().map(String::as_str))
            .collect();
        let what = "look at alarms (cloudwatch DescribeAlarms)";
        let answer = self
            .form(&CLOUDWATCH, "DescribeAlarms", what, &fields)
            .await?;
        let alarms = answer
            .list("MetricAlarms")
            .iter()
            .chain(answer.list("CompositeAlarms"));
        Ok(alarms
            .map(|alarm| {
                (
                    alarm.at("AlarmName").to_owned(),
                    alarm.at("StateValue").to_owned(),
                )
            })
            .collect())
    }
}
